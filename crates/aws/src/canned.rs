//! For fuzzing: Secrets Manager with answers that are given to it, through AWS's own client.

use std::sync::Arc;

use aws_credential_types::Credentials;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::{BehaviorVersion, Region};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::retry::RetryConfig;
use parking_lot::Mutex;
use rustls::RootCertStore;

use crate::connections::{Connections, Tls};
use crate::proxy::Proxies;
use crate::sdk::{KeepBodiesOutOfLogs, tls};
use crate::settings::AwsSettings;
use crate::source::Aws;
use secret::clock::Clock;

/// What the next calls are answered with.
#[derive(Clone, Debug, Default)]
pub struct Canned(Arc<Mutex<(u16, String, Vec<u8>)>>);

impl Canned {
    /// Canneds with this status, `x-amzn-errortype` (unless it is empty) and body from now on.
    pub fn set(&self, status: u16, kind: &str, body: &[u8]) {
        *self.0.lock() = (status, kind.to_owned(), body.to_vec());
    }

    /// A source that is answered like this and asks once.
    pub fn source(&self, config: &Arc<AwsSettings>) -> Aws {
        let canned = SharedHttpClient::new(self.clone());
        let connections = Connections::new(
            move |_, _| canned.clone(),
            || Box::pin(std::future::ready(nothing_trusted())),
            Proxies::default(),
            config.timeout,
        );
        let service = aws_sdk_secretsmanager::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static("eu-central-1"))
            .credentials_provider(Credentials::for_tests())
            .retry_config(RetryConfig::disabled())
            .http_client(connections.clone())
            .interceptor(KeepBodiesOutOfLogs)
            .build();
        let aws = Aws::new(config, &Clock::test());
        aws.regions[0].connect_by(Client::from_conf(service), connections);
        aws
    }
}

fn nothing_trusted() -> Tls {
    Tls { config: tls(RootCertStore::empty()), origin: Arc::default() }
}

impl HttpConnector for Canned {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        let (status, kind, body) = self.0.lock().clone();
        #[expect(clippy::expect_used, reason = "`set` is given statuses that HTTP has")]
        let status = status.try_into().expect("a status");
        let mut response = HttpResponse::new(status, SdkBody::from(body));
        if !kind.is_empty() {
            // What is no header text could not arrive as one.
            drop(response.headers_mut().try_insert("x-amzn-errortype", kind));
        }
        HttpConnectorFuture::ready(Ok(response))
    }
}

impl HttpClient for Canned {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}
