//! A request that got no answer: which host and port it was for, which way it took, and why it failed.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::result::ConnectorError;
use network::{Cause, Refused, Remedy, cause_of, chain};
use parking_lot::Mutex;

use crate::proxy::Place;
use crate::way::ProxyUnreached;

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Destination {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// The proxy on the way.
    pub(crate) proxy: Option<Place>,
    /// Whether the proxy makes the request itself: it opens no way.
    pub(crate) is_forwarded: bool,
    /// Whether the machine gives credentials there.
    pub(crate) is_metadata: bool,
    /// The certificates that are trusted, as they may be shown.
    pub(crate) trusted: Arc<str>,
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, proxy, .. } = self;
        if host.contains(':') {
            write!(f, "[{host}]:{port}")?;
        } else {
            write!(f, "{host}:{port}")?;
        }
        proxy.as_ref().map_or(Ok(()), |proxy| write!(f, " through the proxy {proxy}"))
    }
}

const PROXY_ITSELF: &str = "the proxy itself cannot be reached: ";

/// No answer came, for this reason.
#[derive(Debug)]
pub(crate) struct Unreached {
    pub(crate) destination: Destination,
    pub(crate) cause: Cause,
    /// Whether the proxy could not be reached, and the destination was not asked for.
    is_at_proxy: bool,
    source: BoxError,
}

impl fmt::Display for Unreached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let proxy = if self.is_at_proxy { PROXY_ITSELF } else { "" };
        if self.cause.remedy == Remedy::Place {
            return write!(f, "{} was asked, and {}", self.destination, self.cause);
        }
        write!(f, "{} cannot be reached: {proxy}{}", self.destination, self.cause)?;
        if self.cause.remedy == Remedy::Trust {
            let trusted = &self.destination.trusted;
            write!(
                f,
                "; name the root certificate in aws.ca, AWS_CA_BUNDLE or NODE_EXTRA_CA_CERTS (trusted now: {trusted})"
            )?;
        }
        Ok(())
    }
}

impl Error for Unreached {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.source)
    }
}

impl Unreached {
    /// `error`, told with where the request was for. What the SDK reads out of it stays.
    pub(crate) fn told(error: ConnectorError, destination: Destination) -> ConnectorError {
        let (is_timeout, is_io, is_user, kind) = (error.is_timeout(), error.is_io(), error.is_user(), error.as_other());
        let connection = error.connection_metadata().cloned();
        let found = if is_timeout { Some(Cause::timed_out()) } else { cause_of(&error) };
        let is_of_network = || is_io || chain(&error).any(<dyn std::error::Error>::is::<hyper::Error>);
        let Some(cause) = found.or_else(|| (!is_user && is_of_network()).then(Cause::unknown)) else { return error };
        let is_at_proxy = chain(&error).any(<dyn std::error::Error>::is::<ProxyUnreached>);
        let may_pass = cause.remedy != Remedy::Credentials;
        let source = Box::new(Self { destination, cause, is_at_proxy, source: error.into_source() });
        let told = match (is_timeout, is_user) {
            (true, _) => ConnectorError::timeout(source),
            (_, true) => ConnectorError::user(source),
            _ if !may_pass => ConnectorError::other(source, None),
            _ if is_io => ConnectorError::io(source),
            _ => ConnectorError::other(source, kind),
        };
        match connection {
            Some(connection) => told.with_connection(connection),
            None => told,
        }
    }

    /// That the proxy, which makes the request itself, wants other credentials.
    pub(crate) fn unauthorized(destination: Destination) -> Self {
        let refused = Refused::wants_credentials();
        Self { destination, cause: refused.0.clone(), is_at_proxy: false, source: Box::new(refused) }
    }

    /// That the destination did not answer in time.
    pub(crate) fn late(destination: Destination) -> Self {
        let source = BoxError::from("no answer in time");
        Self { destination, cause: Cause::timed_out(), is_at_proxy: false, source }
    }

    /// That another service answered at the destination, as `cause` says.
    pub(crate) fn another(destination: Destination, cause: Cause) -> Self {
        let source = BoxError::from("another service answered");
        Self { destination, cause, is_at_proxy: false, source }
    }

    /// For the error that is told of it.
    pub(crate) fn as_cause(&self) -> secret::error::Cause {
        let Some(proxy) = self.destination.proxy.as_ref().filter(|_| self.is_at_proxy) else {
            return cause_at(&self.destination, &self.cause);
        };
        let message = format!("{}: {PROXY_ITSELF}{}", self.destination, self.cause);
        let place = Some((proxy.host.clone(), proxy.port));
        secret::error::Cause { code: self.cause.code.into(), message, place }
    }

    /// The one that `error` was made of.
    pub(crate) fn within<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Self> {
        chain(error).find_map(|link| link.downcast_ref())
    }
}

/// `cause`, at `destination`, for an error.
pub(crate) fn cause_at(destination: &Destination, cause: &Cause) -> secret::error::Cause {
    secret::error::Cause {
        code: cause.code.into(),
        message: format!("{destination}: {cause}"),
        place: Some((destination.host.clone(), destination.port)),
    }
}

tokio::task_local! {
    static LAST: Arc<Mutex<Option<Destination>>>;
}

/// Where the requests of an attempt went.
#[derive(Clone, Default)]
pub(crate) struct Trace(Arc<Mutex<Option<Destination>>>);

impl Trace {
    /// Runs `attempt`; its requests are noted.
    pub(crate) async fn of<T>(&self, attempt: impl Future<Output = T>) -> T {
        LAST.scope(self.0.clone(), attempt).await
    }

    /// Where the last request went that has no answer yet.
    pub(crate) fn unanswered(&self) -> Option<Destination> {
        self.0.lock().clone()
    }

    /// Notes that a request of this task goes to `destination`, or (`None`) that it was answered.
    pub(crate) fn note(destination: Option<&Destination>) {
        // Outside of an attempt nobody asks.
        LAST.try_with(|last| *last.lock() = destination.cloned()).unwrap_or_default();
    }
}
