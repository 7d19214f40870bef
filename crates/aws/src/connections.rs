//! The HTTP connections of one region. They are replaced together once one of them turns out to be dead, and each answer
//! that comes over them is bounded.
//!
//! A connection can die silently: a firewall forgets it, or the process is frozen for longer than the peer keeps
//! it. The next request on it gets no answer at all. So the first read that hears nothing for a second, on a connection that
//! answered before, is sent once more on a new connection while the first one goes on. The first answer counts. It also tells
//! whether the connections are dead, or AWS is slow: in the first case the other reads that wait on them are sent once more as
//! well. A write is never sent twice from here.
//!
//! Each request goes through the proxy that its URL has, or directly.

use std::collections::HashSet;
use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use aws_smithy_runtime_api::client::connection::CaptureSmithyConnection;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use network::Cause;
use parking_lot::Mutex;
use rustls::ClientConfig;
use tokio::sync::{OnceCell, watch};
use tokio::time::{sleep, timeout};
use url::Url;

use crate::body::{bounded, limit, operation};
use crate::instance::{NotRead, Question};
use crate::proxy::{Kind, Proxies, Proxy, gives_credentials, host_and_port, is_ec2};
use crate::skew;
use crate::unreached::{Destination, Trace, Unreached};
use secret::clock::{Clock, Moment};

/// A read that hears nothing for this long may be on a dead connection. AWS answers within tenths of a second.
const SILENCE: Duration = Duration::from_secs(1);
/// After a suspected connection did answer, AWS is slow: nothing is sent twice for this long.
const SLOW: Duration = Duration::from_mins(1);
/// EC2 gives credentials in milliseconds, or not at all: behind a hop limit the answer never comes.
const EC2_DEADLINE: Duration = Duration::from_secs(1);
/// Connections are remembered up to this many.
const REMEMBERED: usize = 256;

const NOT_FOUND: u16 = 404;
/// A proxy wants credentials. No other server says that.
const UNAUTHORIZED: u16 = 407;

/// What may be sent twice: it changes nothing.
const READS: [&str; 6] = [
    "GetSecretValue",
    "BatchGetSecretValue",
    "DescribeSecret",
    "ListSecrets",
    "ListSecretVersionIds",
    "GetRandomPassword",
];

/// Makes a client without connections, which uses this proxy and trusts these certificates.
type Make = dyn Fn(Option<&Proxy>, Option<&Arc<ClientConfig>>) -> SharedHttpClient + Send + Sync;
/// Reads the certificates that are trusted, and how that is told.
type Load = dyn Fn() -> Pin<Box<dyn Future<Output = Tls> + Send>> + Send + Sync;

/// The certificates that are trusted.
pub(crate) struct Tls {
    pub(crate) config: Arc<ClientConfig>,
    /// Where they come from, for messages.
    pub(crate) origin: Arc<str>,
}

/// The connections of one region. Clones are the same.
#[derive(Clone)]
pub(crate) struct Connections(Arc<Shared>);

struct Shared {
    make: Box<Make>,
    load: Box<Load>,
    /// Read at the first request that needs them: an `http://` endpoint needs none.
    tls: OnceCell<Tls>,
    proxies: Proxies,
    /// How long a container's service has for one answer: it may have to ask AWS first.
    container: Duration,
    pool: Mutex<Pool>,
    heard: Mutex<Heard>,
    clock: Clock,
}

/// The clients in use, made when they are needed.
#[derive(Default)]
struct Pool {
    number: u64,
    /// By whether TLS is spoken, and whether a proxy is on the way.
    clients: [[Option<SharedHttpClient>; 2]; 2],
}

/// What is known of the connections in use.
#[derive(Default)]
struct Heard {
    /// The connections, by their local addresses, that have answered.
    answered: HashSet<SocketAddr>,
    /// The pool that was suspected last, and whether its connections turned out to be dead.
    suspected: Option<(u64, watch::Receiver<bool>)>,
    /// Until then AWS is taken to be slow.
    slow_until: Option<Moment>,
    /// How a service of the machine that gives credentials failed last; `None` after it answered.
    metadata: Option<(Destination, Cause)>,
    /// Whether EC2 last said that this instance has no role.
    has_no_role: bool,
}

impl Connections {
    /// None yet.
    pub(crate) fn new(
        make: impl Fn(Option<&Proxy>, Option<&Arc<ClientConfig>>) -> SharedHttpClient + Send + Sync + 'static,
        load: impl Fn() -> Pin<Box<dyn Future<Output = Tls> + Send>> + Send + Sync + 'static,
        proxies: Proxies,
        container: Duration,
    ) -> Self {
        Self(Arc::new(Shared {
            make: Box::new(make),
            load: Box::new(load),
            tls: OnceCell::new(),
            proxies,
            container,
            pool: Mutex::default(),
            heard: Mutex::default(),
            clock: Clock::system(),
        }))
    }

    /// The number of the pool that the next request uses.
    pub(crate) fn pool(&self) -> u64 {
        self.0.pool.lock().number
    }

    /// Has later requests use new connections, unless those of pool `number` were replaced before.
    pub(crate) fn renew(&self, number: u64) {
        let mut pool = self.0.pool.lock();
        if pool.number == number {
            *pool = Pool { number: number + 1, ..Pool::default() };
        }
    }

    /// Reads the certificates, where a request to `url` needs them.
    async fn prepare(&self, url: &str) {
        let Ok(url) = Url::parse(url) else { return };
        let is_tls = url.scheme() == "https";
        if is_tls || self.0.proxies.of(&url).is_some_and(Proxy::speaks_tls) {
            self.0.tls.get_or_init(|| (self.0.load)()).await;
        }
    }

    /// The number of the current pool, and its client for `request`.
    fn client(&self, request: &HttpRequest) -> (u64, SharedHttpClient) {
        let url = Url::parse(request.uri()).ok();
        let proxy = url.as_ref().and_then(|url| self.0.proxies.of(url));
        let is_tls = url.as_ref().is_some_and(|url| url.scheme() == "https");
        let mut pool = self.0.pool.lock();
        let number = pool.number;
        let client = &mut pool.clients[usize::from(is_tls)][usize::from(proxy.is_some())];
        let make = || (self.0.make)(proxy, self.0.tls.get().map(|tls| &tls.config));
        (number, client.get_or_insert_with(make).clone())
    }

    /// Where `request` goes; `None` when its URL cannot be read.
    fn destination(&self, request: &HttpRequest) -> Option<Destination> {
        let url = Url::parse(request.uri()).ok()?;
        let (host, port) = host_and_port(&url)?;
        let proxy = self.0.proxies.of(&url);
        let is_forwarded = url.scheme() == "http" && proxy.is_some_and(|proxy| proxy.kind() == Kind::Http);
        let proxy = proxy.map(Proxy::place).cloned();
        let is_metadata = gives_credentials(&host) || self.0.proxies.is_metadata(&host, port);
        let trusted = self.0.tls.get().map_or_else(Arc::default, |tls| tls.origin.clone());
        Some(Destination { host, port, proxy, is_forwarded, is_metadata, trusted })
    }

    fn note_answer(&self, capture: &CaptureSmithyConnection) {
        let Some(address) = address(capture) else { return };
        let answered = &mut self.0.heard.lock().answered;
        if answered.len() >= REMEMBERED {
            answered.clear();
        }
        answered.insert(address);
    }

    /// What a silent read of pool `number` does, so that of all reads on connections that are suspected only one is sent twice
    /// before they are known to be dead.
    fn suspect(&self, capture: &CaptureSmithyConnection, number: u64) -> Suspicion {
        let Some(address) = address(capture) else { return Suspicion::None };
        let mut heard = self.0.heard.lock();
        let slow = heard.slow_until.is_some_and(|end| self.0.clock.now() < end);
        if slow || !heard.answered.contains(&address) {
            return Suspicion::None;
        }
        match &heard.suspected {
            Some((suspected, are_dead)) if *suspected == number => return Suspicion::Known(are_dead.clone()),
            _ if self.pool() != number => return Suspicion::None,
            _ => {}
        }
        let (tell, are_dead) = watch::channel(false);
        heard.suspected = Some((number, are_dead));
        drop(heard);
        self.renew(number);
        Suspicion::First(tell)
    }

    /// How a service of the machine that gives credentials failed last; `None` after it answered.
    pub(crate) fn metadata_problem(&self) -> Option<(Destination, Cause)> {
        self.0.heard.lock().metadata.clone()
    }

    /// Whether EC2 last said that this instance has no role.
    pub(crate) fn has_no_role(&self) -> bool {
        self.0.heard.lock().has_no_role
    }

    fn note_metadata(&self, destination: &Destination, failed: Option<Cause>) {
        if destination.is_metadata {
            self.0.heard.lock().metadata = failed.map(|cause| (destination.clone(), cause));
        }
    }

    fn note_slow(&self) {
        self.0.heard.lock().slow_until = Some(self.0.clock.now().plus(SLOW));
    }
}

/// What is suspected of the connections of a pool on which a read hears nothing.
enum Suspicion {
    /// Nothing: AWS is slow, or never answered on this connection.
    None,
    /// This read is the first one that suspects them: it finds out whether they are dead, and tells it.
    First(watch::Sender<bool>),
    /// Another read finds that out.
    Known(watch::Receiver<bool>),
}

fn address(capture: &CaptureSmithyConnection) -> Option<SocketAddr> {
    capture.get()?.local_addr()
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Connections").field(&self.pool()).finish()
    }
}

impl HttpClient for Connections {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        // How long an answer may take is decided here, and not by the SDK's provider of credentials.
        let mut connecting = HttpConnectorSettings::builder();
        connecting.set_connect_timeout(settings.connect_timeout());
        SharedHttpConnector::new(Connector {
            connections: self.clone(),
            settings: connecting.build(),
            components: components.clone(),
        })
    }
}

/// Sends the requests of one operation.
#[derive(Clone, Debug)]
struct Connector {
    connections: Connections,
    settings: HttpConnectorSettings,
    components: RuntimeComponents,
}

type Answered = Result<HttpResponse, ConnectorError>;

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let operation = operation(&request);
        let (limit, is_read) = (limit(operation), READS.contains(&operation));
        let again = if is_read { request.try_clone() } else { None };
        let (this, signed) = (self.clone(), skew::signed_at(&request));
        HttpConnectorFuture::new(async move {
            this.connections.prepare(request.uri()).await;
            let destination = this.connections.destination(&request);
            let is_metadata = destination.as_ref().is_some_and(|destination| destination.is_metadata);
            let question = if is_metadata { Question::of(&request) } else { None };
            Trace::note(destination.as_ref());
            let answer = async {
                match again {
                    Some(again) => this.send_read(request, again).await,
                    None => this.send(request).1.await,
                }
            };
            let Some(destination) = destination else { return answer.await.map(|response| bounded(response, limit)) };
            let answered = if destination.is_metadata {
                let is_of_ec2 = is_ec2(&destination.host) || question.is_some();
                let deadline = if is_of_ec2 { EC2_DEADLINE } else { this.connections.0.container };
                let answer = async {
                    let response = bounded(answer.await?, limit);
                    let Some(question) = question else { return Ok(response) };
                    question.checked(response).await.map_err(|problem| match problem {
                        NotRead::Ended(error) => error,
                        NotRead::Another(question) => {
                            let another = Unreached::another(destination.clone(), question.unanswered());
                            ConnectorError::other(Box::new(another), None)
                        }
                    })
                };
                let Ok(answered) = timeout(deadline, answer).await else {
                    this.connections.note_metadata(&destination, Some(Cause::timed_out()));
                    return Err(ConnectorError::timeout(Box::new(Unreached::late(destination))));
                };
                answered
            } else {
                answer.await
            };
            Trace::note(None);
            match answered {
                Ok(response) if response.status().as_u16() == UNAUTHORIZED && destination.is_forwarded => {
                    Err(ConnectorError::other(Box::new(Unreached::unauthorized(destination)), None))
                }
                Ok(response) => {
                    this.connections.note_metadata(&destination, None);
                    if question == Some(Question::Role) {
                        this.connections.0.heard.lock().has_no_role = response.status().as_u16() == NOT_FOUND;
                    }
                    skew::note(&response, signed);
                    Ok(bounded(skew::marked(response, signed), limit))
                }
                Err(error) => {
                    let is_told = Unreached::within(&error).is_some();
                    let told = if is_told { error } else { Unreached::told(error, destination.clone()) };
                    let cause = Unreached::within(&told).map(|unreached| unreached.cause.clone());
                    this.connections.note_metadata(&destination, cause);
                    Err(told)
                }
            }
        })
    }
}

impl Connector {
    /// Sends `request` on a connection of the current pool, whose number is returned as well.
    fn send(&self, request: HttpRequest) -> (u64, HttpConnectorFuture) {
        let (number, client) = self.connections.client(&request);
        (number, client.http_connector(&self.settings, &self.components).call(request))
    }

    /// Sends `request`, and `again`, its copy, on a new connection when the first one seems dead.
    async fn send_read(&self, mut request: HttpRequest, again: HttpRequest) -> Answered {
        let capture = captured(&mut request);
        let (number, mut first) = self.send(request);
        tokio::select! {
            biased;
            answer = &mut first => return self.answered(&capture, answer),
            () = sleep(SILENCE) => {}
        }
        let tell = match self.connections.suspect(&capture, number) {
            Suspicion::None => {
                let answer = first.await;
                return self.answered(&capture, answer);
            }
            Suspicion::First(tell) => {
                tracing::debug!(
                    "no answer for a second on a connection that answered before: asking on a new one as well"
                );
                Some(tell)
            }
            Suspicion::Known(mut are_dead) => {
                tokio::select! {
                    biased;
                    answer = &mut first => return self.answered(&capture, answer),
                    // An error: the other read ended without an answer, so that nothing is known.
                    Ok(_) = are_dead.wait_for(|are_dead| *are_dead) => {}
                }
                None
            }
        };
        self.send_again(first, again, tell).await
    }

    /// Sends `again` on a new connection, while `first`, the same request, goes on. `tell` hears that the connection of `first` is
    /// dead.
    async fn send_again(
        &self,
        mut first: HttpConnectorFuture,
        mut again: HttpRequest,
        tell: Option<watch::Sender<bool>>,
    ) -> Answered {
        let capture = captured(&mut again);
        let mut second = self.send(again).1;
        tokio::select! {
            biased;
            answer = &mut second => match answer {
                Ok(response) => {
                    if let Some(tell) = tell {
                        tell.send_replace(true);
                    }
                    self.answered(&capture, Ok(response))
                }
                Err(_) => first.await,
            },
            answer = &mut first => if let Ok(response) = answer {
                self.connections.note_slow();
                Ok(response)
            } else {
                let answer = second.await;
                self.answered(&capture, answer)
            },
        }
    }

    fn answered(&self, capture: &CaptureSmithyConnection, answer: Answered) -> Answered {
        if answer.is_ok() {
            self.connections.note_answer(capture);
        }
        answer
    }
}

/// What shows on which connection `request` is sent; the SDK may have asked for it already.
fn captured(request: &mut HttpRequest) -> CaptureSmithyConnection {
    if let Some(capture) = request.extension::<CaptureSmithyConnection>() {
        return capture.clone();
    }
    let capture = CaptureSmithyConnection::new();
    request.add_extension(capture.clone());
    capture
}
