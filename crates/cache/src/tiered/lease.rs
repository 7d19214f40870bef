//! One instance of many does a long piece of work: leases in the shared cache, renewed while they are held.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::{CancellationToken, DropGuard};

use super::{SharedCache, TieredCache};

/// A holder that dies keeps the others waiting for this long.
const TERM: Duration = Duration::from_secs(10);
const RENEW_EVERY: Duration = Duration::from_secs(3);

/// What an attempt to take a lease gave.
pub enum Leased {
    /// This instance has it, as long as the caller runs its renewal beside the work.
    Ours(Lease, Renewal),
    /// Another one has it.
    Theirs,
    /// There is no shared cache, or it does not answer.
    Nowhere,
}

/// Renews a lease until it is dropped or lost, and then gives it back.
pub type Renewal = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A lease; given back when it is dropped.
pub struct Lease {
    _held: DropGuard,
    lost: CancellationToken,
}

impl Lease {
    /// Whether Redis gave it to another instance, or forgot it.
    pub fn is_lost(&self) -> bool {
        self.lost.is_cancelled()
    }
}

impl TieredCache {
    /// Takes the lease of `what` in this fleet.
    pub async fn lease(&self, what: &str) -> Leased {
        let Some(shared) = &self.shared else { return Leased::Nowhere };
        let (what, token) = (format!("{}:{what}", shared.environment), format!("{:032x}", fastrand::u128(..)));
        match shared.redis.take_lease(&what, &token, TERM).await {
            Ok(false) => Leased::Theirs,
            Err(_) => Leased::Nowhere,
            Ok(true) => {
                let (held, lost) = (CancellationToken::new(), CancellationToken::new());
                let renewal = keep(shared.clone(), what, token, held.clone(), lost.clone());
                Leased::Ours(Lease { _held: held.drop_guard(), lost }, Box::pin(renewal))
            }
        }
    }
}

async fn keep(
    shared: Arc<SharedCache>,
    what: String,
    token: String,
    dropped: CancellationToken,
    lost: CancellationToken,
) {
    loop {
        tokio::select! {
            () = dropped.cancelled() => {
                if let Err(error) = shared.redis.end_lease(&what, &token).await {
                    tracing::debug!(code = %error.code(), "a lease was not given back; it ends by itself");
                }
                return;
            }
            () = tokio::time::sleep(RENEW_EVERY) => {}
        }
        // A Redis that does not answer may do so before the term ends.
        if matches!(shared.redis.keep_lease(&what, &token, TERM).await, Ok(false)) {
            lost.cancel();
            return;
        }
    }
}
