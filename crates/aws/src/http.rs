//! The HTTP client below AWS's SDK. The SDK's own accepts a hundred headers, and one status of a proxy.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::connection::{CaptureSmithyConnection, ConnectionMetadata};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::retry::ErrorKind;
use http::header::PROXY_AUTHORIZATION;
use http::uri::Scheme;
use http::{Extensions, HeaderValue};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{CaptureConnection, capture_connection};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use network::chain;
use parking_lot::Mutex;
use rustls::ClientConfig;

use crate::interim::Endless;
use crate::proxy::{Kind, Proxy};
use crate::way::{Ends, TooSlow, Way};

/// More headers do not fit into the 16 KiB that Node.js reads of an answer: the shortest one has 5 bytes.
const MOST_HEADERS: usize = 16 * 1024 / 5 + 1;

type Pooled = Client<Way, SdkBody>;

/// Clients of one proxy, or of none, that trust the same certificates.
pub(crate) struct Http {
    proxy: Option<Arc<Proxy>>,
    tls: Option<Arc<ClientConfig>>,
    /// By how long a connection may take: the services of the machine have a time of their own.
    clients: Mutex<Vec<(Option<Duration>, Pooled)>>,
}

impl Http {
    /// No connections yet.
    pub(crate) fn new(proxy: Option<&Proxy>, tls: Option<&Arc<ClientConfig>>) -> Self {
        Self { proxy: proxy.cloned().map(Arc::new), tls: tls.cloned(), clients: Mutex::default() }
    }

    fn client(&self, connect_timeout: Option<Duration>) -> Pooled {
        let mut clients = self.clients.lock();
        if let Some((_, client)) = clients.iter().find(|(timeout, _)| *timeout == connect_timeout) {
            return client.clone();
        }
        let way = Way::new(self.proxy.clone(), self.tls.clone(), connect_timeout);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .http1_max_headers(MOST_HEADERS)
            .build(way);
        clients.push((connect_timeout, client.clone()));
        client
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Http").field(&self.proxy).finish()
    }
}

impl HttpClient for Http {
    fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(Sender {
            client: self.client(settings.connect_timeout()),
            read_timeout: settings.read_timeout(),
            authorization: self.proxy.as_ref().filter(|proxy| proxy.kind() == Kind::Http).and_then(authorization),
        })
    }
}

/// What a proxy that makes a request itself is told with it.
fn authorization(proxy: &Arc<Proxy>) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(&proxy.authorization()?).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Sends requests.
struct Sender {
    client: Pooled,
    read_timeout: Option<Duration>,
    authorization: Option<HeaderValue>,
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sender")
    }
}

impl HttpConnector for Sender {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let mut request = match request.try_into_http1x() {
            Ok(request) => request,
            Err(error) => return HttpConnectorFuture::ready(Err(ConnectorError::user(error.into()))),
        };
        if let Some(authorization) = &self.authorization
            && request.uri().scheme() == Some(&Scheme::HTTP)
        {
            request.headers_mut().insert(PROXY_AUTHORIZATION, authorization.clone());
        }
        let connection = capture_connection(&mut request);
        if let Some(capture) = request.extensions().get::<CaptureSmithyConnection>() {
            capture.set_connection_retriever(move || metadata(&connection));
        }
        let (answer, limit) = (self.client.request(request), self.read_timeout);
        HttpConnectorFuture::new(async move {
            let answered = match limit {
                Some(limit) => tokio::time::timeout(limit, answer)
                    .await
                    .map_err(|_| ConnectorError::timeout("no answer in time".into()))?,
                None => answer.await,
            };
            let response = answered.map_err(|error| told(error.into()))?;
            // Its headers are no text.
            HttpResponse::try_from(response.map(SdkBody::from_body_1_x))
                .map_err(|_| ConnectorError::other("invalid HTTP header in the answer".into(), None))
        })
    }
}

/// Which connection was used.
fn metadata(captured: &CaptureConnection) -> Option<ConnectionMetadata> {
    let (mut extras, poisoned) = (Extensions::new(), captured.clone());
    let is_forwarding = {
        let connected = captured.connection_metadata();
        let connected = connected.as_ref()?;
        connected.get_extras(&mut extras);
        connected.is_proxied()
    };
    let ends = extras.get::<Ends>();
    let mut builder = ConnectionMetadata::builder().proxied(is_forwarding).poison_fn(move || {
        if let Some(connected) = poisoned.connection_metadata().as_ref() {
            connected.poison();
        }
    });
    builder.set_local_addr(ends.map(|ends| ends.local)).set_remote_addr(ends.map(|ends| ends.remote));
    Some(builder.build())
}

/// `error` by what the SDK tells apart: timeouts, failures of the network, and the rest.
fn told(error: BoxError) -> ConnectorError {
    fn found<T: Error + 'static>(error: &BoxError) -> Option<&T> {
        chain(&**error).find_map(|link| link.downcast_ref())
    }
    if found::<TooSlow>(&error).is_some() {
        return ConnectorError::timeout(error);
    }
    let is_io = found::<std::io::Error>(&error).is_some();
    // It would send them again.
    if found::<Endless>(&error).is_some() {
        return ConnectorError::other(error, None);
    }
    if let Some(http) = found::<hyper::Error>(&error) {
        if http.is_timeout() {
            return ConnectorError::timeout(error);
        }
        if http.is_user() {
            return ConnectorError::user(error);
        }
        if http.is_closed() || http.is_canceled() || is_io {
            return ConnectorError::io(error);
        }
        // The other side may have hung up between two requests.
        let kind = http.is_incomplete_message().then_some(ErrorKind::TransientError);
        return ConnectorError::other(error, kind);
    }
    let is_connect =
        found::<hyper_util::client::legacy::Error>(&error).is_some_and(hyper_util::client::legacy::Error::is_connect);
    if is_connect || is_io { ConnectorError::io(error) } else { ConnectorError::other(error, None) }
}
