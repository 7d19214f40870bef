//! The HTTP connections of one region. They are replaced together once one of them turns out to be dead, and each answer
//! that comes over them is bounded.
//!
//! A connection can die silently: a firewall forgets it, or the process is frozen for longer than the peer keeps
//! it. The next request on it gets no answer at all. So a read that hears nothing for a second, on a connection that
//! answered before and was idle since, is sent once more on a new connection while the first one goes on. The first
//! answer counts. A write is never sent twice from here.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use aws_smithy_runtime_api::client::connection::CaptureSmithyConnection;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use parking_lot::Mutex;
use tokio::time::sleep;

use crate::body::{bounded, limit, operation};
use secret::clock::{Clock, Moment};

/// A read that hears nothing for this long may be on a dead connection. AWS answers within tenths of a second.
const SILENCE: Duration = Duration::from_secs(1);
/// A connection that answered less than this before the request is not suspected.
const IDLE: Duration = Duration::from_secs(1);
/// After a suspected connection did answer, AWS is slow: nothing is sent twice for this long.
const SLOW: Duration = Duration::from_mins(1);
/// Connections are remembered up to this many.
const REMEMBERED: usize = 256;

/// What may be sent twice: it changes nothing.
const READS: [&str; 6] = [
    "GetSecretValue",
    "BatchGetSecretValue",
    "DescribeSecret",
    "ListSecrets",
    "ListSecretVersionIds",
    "GetRandomPassword",
];

/// Makes a client without connections.
type Make = dyn Fn() -> SharedHttpClient + Send + Sync;

/// The connections of one region. Clones are the same.
#[derive(Clone)]
pub(crate) struct Connections(Arc<Shared>);

struct Shared {
    make: Box<Make>,
    pool: Mutex<Pool>,
    heard: Mutex<Heard>,
    clock: Clock,
}

struct Pool {
    number: u64,
    client: SharedHttpClient,
}

/// What is known of the connections in use.
#[derive(Default)]
struct Heard {
    /// When each connection, by its local address, answered last.
    answered: HashMap<SocketAddr, Moment>,
    /// Until then AWS is taken to be slow.
    slow_until: Option<Moment>,
}

impl Connections {
    /// None yet. `make` makes each pool of them.
    pub(crate) fn new(make: impl Fn() -> SharedHttpClient + Send + Sync + 'static) -> Self {
        let pool = Mutex::new(Pool { number: 0, client: make() });
        Self(Arc::new(Shared { make: Box::new(make), pool, heard: Mutex::default(), clock: Clock::system() }))
    }

    /// The number of the pool that the next request uses.
    pub(crate) fn pool(&self) -> u64 {
        self.0.pool.lock().number
    }

    /// Has later requests use new connections, unless those of pool `number` were replaced before.
    pub(crate) fn renew(&self, number: u64) {
        let mut pool = self.0.pool.lock();
        if pool.number == number {
            *pool = Pool { number: number + 1, client: (self.0.make)() };
            self.0.heard.lock().answered.clear();
        }
    }

    fn client(&self) -> (u64, SharedHttpClient) {
        let pool = self.0.pool.lock();
        (pool.number, pool.client.clone())
    }

    fn note_answer(&self, capture: &CaptureSmithyConnection) {
        let Some(address) = address(capture) else { return };
        let answered = &mut self.0.heard.lock().answered;
        if answered.len() >= REMEMBERED {
            answered.clear();
        }
        answered.insert(address, self.0.clock.now());
    }

    /// Whether the request that began at `began` is on a connection that answered before and was idle since.
    fn is_suspect(&self, capture: &CaptureSmithyConnection, began: Moment) -> bool {
        let Some(address) = address(capture) else { return false };
        let heard = self.0.heard.lock();
        let slow = heard.slow_until.is_some_and(|end| self.0.clock.now() < end);
        !slow && heard.answered.get(&address).is_some_and(|last| began.since(*last) >= IDLE)
    }

    fn note_slow(&self) {
        self.0.heard.lock().slow_until = Some(self.0.clock.now().plus(SLOW));
    }
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
        SharedHttpConnector::new(Connector {
            connections: self.clone(),
            settings: settings.clone(),
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
        let this = self.clone();
        HttpConnectorFuture::new(async move {
            let response = match again {
                Some(again) => this.send_read(request, again).await,
                None => this.send(request).1.await,
            };
            response.map(|response| bounded(response, limit))
        })
    }
}

impl Connector {
    /// Sends `request` on a connection of the current pool, whose number is returned as well.
    fn send(&self, request: HttpRequest) -> (u64, HttpConnectorFuture) {
        let (number, client) = self.connections.client();
        (number, client.http_connector(&self.settings, &self.components).call(request))
    }

    /// Sends `request`, and `again`, its copy, on a new connection when the first one seems dead.
    async fn send_read(&self, mut request: HttpRequest, mut again: HttpRequest) -> Answered {
        let (began, capture) = (self.connections.0.clock.now(), captured(&mut request));
        let (number, mut first) = self.send(request);
        tokio::select! {
            biased;
            answer = &mut first => return self.answered(&capture, answer),
            () = sleep(SILENCE) => {}
        }
        if !self.connections.is_suspect(&capture, began) {
            let answer = first.await;
            return self.answered(&capture, answer);
        }
        tracing::debug!("no answer for a second on an idle connection: asking on a new one as well");
        self.connections.renew(number);
        let second_capture = captured(&mut again);
        let mut second = self.send(again).1;
        tokio::select! {
            biased;
            answer = &mut second => match answer {
                Ok(response) => self.answered(&second_capture, Ok(response)),
                Err(_) => first.await,
            },
            answer = &mut first => if let Ok(response) = answer {
                self.connections.note_slow();
                Ok(response)
            } else {
                let answer = second.await;
                self.answered(&second_capture, answer)
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
