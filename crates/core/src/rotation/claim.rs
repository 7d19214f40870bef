//! Of all instances one at a time calls the hooks that change a target system. Redis alone cannot promise that: a flush, an
//! eviction or a lost connection takes a lease away while its holder works. AWS can: `UpdateSecretVersionStage` moves a
//! label only from where it is, so of two instances that take the label [`CLAIM`] to the version they try, one is refused.
//!
//! ```text
//! nowhere ──attach──► the live version ──move, only one can──► the version that is tried ──remove──► nowhere
//! ```
//!
//! The holder shows that it lives by adding and removing the label [`ALIVE`]. One that showed nothing for
//! [`TAKEN_OVER_AFTER`] has died, and its claim is taken over.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::labels::polls;
use super::steps::failed;
use crate::reads::Reads;
use crate::tasks::Tasks;
use crate::timer::Deadline;
use aws::{CURRENT, Description, Which};
use secret::error::{Result, SecretError};

/// On the version that is tried while its hooks run.
pub(super) const CLAIM: &str = "tcs-rotation";
/// Comes and goes while a claim is held for longer than [`BEAT`].
const ALIVE: &str = "tcs-rotation-alive";
const BEAT: Duration = Duration::from_secs(8);
const TAKEN_OVER_AFTER: Duration = Duration::from_secs(30);

/// The right to call hooks for a version of a secret. Dropped without [`Claim::release`] while a hook changes the target
/// system, it is taken over by the next instance after [`TAKEN_OVER_AFTER`].
pub(super) struct Claim {
    held: Option<Held>,
    tasks: Tasks,
    /// Whether a hook that changes the target system runs.
    busy: Arc<AtomicBool>,
    _beats: DropGuard,
}

struct Held {
    reads: Arc<Reads>,
    id: String,
    /// The version that has the label.
    at: String,
    /// The version that has [`ALIVE`].
    alive: Arc<Mutex<Option<String>>>,
}

impl Drop for Claim {
    fn drop(&mut self) {
        // A rotation that `close` ended. Nothing waits for a hook that does not change anything.
        if let Some(held) = self.held.take()
            && !self.busy.load(Ordering::Acquire)
            && Handle::try_current().is_ok()
        {
            self.tasks.spawn(held.give_back());
        }
    }
}

/// What an attempt to claim gave.
pub(super) enum Claimed {
    /// This instance has it.
    Ours(Claim),
    /// Another version is live by now.
    Overtaken(String),
}

/// Whether another instance calls hooks for `id`, by what AWS says of it.
pub(super) fn is_claimed(said: &Description, live: &str) -> bool {
    said.holder(CLAIM).is_some_and(|holder| holder != live)
}

/// Takes the claim of `id`, whose version `live` is live, for the version `candidate`. Waits for another holder.
pub(super) async fn claim(
    reads: &Arc<Reads>,
    (tasks, busy): (&Tasks, &Arc<AtomicBool>),
    id: &str,
    (live, candidate): (&str, &str),
    patience: Deadline,
) -> Result<Claimed> {
    let aws = reads.aws().ok_or_else(SecretError::closed)?;
    let (mut polls, mut seen) = (polls(), Seen::new());
    loop {
        let said = aws.describe(id).await?.ok_or_else(|| failed(id, "AWS has no such secret any more"))?;
        if said.holder(CURRENT).is_some_and(|now| now != live)
            && let Some(now) = aws.version(id, Which::Label(CURRENT)).await?
            && now.id != live
        {
            return Ok(Claimed::Overtaken(now.id));
        }
        let holder = said.holder(CLAIM);
        let taken = match holder {
            None => match aws.move_label(id, CLAIM, None, Some(live)).await {
                Ok(()) => aws.move_label(id, CLAIM, Some(live), Some(candidate)).await,
                refused => refused,
            },
            Some(holder) if holder == live => aws.move_label(id, CLAIM, Some(live), Some(candidate)).await,
            Some(holder) if seen.is_dead(&said) => {
                tracing::info!(secret = id, version = holder, "the claim of an instance that died is taken over");
                aws.move_label(id, CLAIM, Some(holder), Some(live)).await?;
                continue;
            }
            Some(_) => Err(failed(id, "another instance has the claim")),
        };
        match taken {
            Ok(()) => return Ok(Claimed::Ours(Claim::begin(reads, (tasks, busy), id, candidate))),
            Err(error) if error.is_denied() => return Err(error),
            Err(_) if patience.has_passed() => {
                let holder = holder.unwrap_or("unknown");
                let why = format_args!(
                    "another instance is still rotating it: version {holder} has the label {CLAIM}, and a hook of that \
                     instance has not ended"
                );
                return Err(failed(id, why));
            }
            Err(_) => sleep(polls.next_wait()).await,
        }
    }
}

/// What was seen of another holder, and since when nothing changed.
struct Seen {
    labels: (Option<String>, Option<String>),
    dead_at: Deadline,
}

impl Seen {
    fn new() -> Self {
        Self { labels: (None, None), dead_at: Deadline::after(TAKEN_OVER_AFTER) }
    }

    fn is_dead(&mut self, said: &Description) -> bool {
        let holder = |label| said.holder(label).map(str::to_owned);
        let labels = (holder(CLAIM), holder(ALIVE));
        if self.labels != labels {
            *self = Self { labels, ..Self::new() };
        }
        self.dead_at.has_passed()
    }
}

impl Claim {
    fn begin(reads: &Arc<Reads>, (tasks, busy): (&Tasks, &Arc<AtomicBool>), id: &str, at: &str) -> Self {
        let (stop, alive) = (CancellationToken::new(), Arc::default());
        let (beats, stopped) = (beat(reads.clone(), id.to_owned(), at.to_owned(), Arc::clone(&alive)), stop.clone());
        tasks.spawn(async move {
            tokio::select! {
                () = stopped.cancelled() => {}
                () = beats => {}
            }
        });
        let held = Held { reads: reads.clone(), id: id.to_owned(), at: at.to_owned(), alive };
        Self { held: Some(held), tasks: tasks.clone(), busy: busy.clone(), _beats: stop.drop_guard() }
    }

    /// After AWSCURRENT moved to the claimed version the claim is free for a rotation that begins there. Takes it again, to
    /// go back to `previous`; `false` when another rotation has it.
    pub(super) async fn keep(&mut self, previous: &str) -> bool {
        let Some(held) = &mut self.held else { return false };
        let moved = held.label(CLAIM, &held.at, Some(previous)).await.is_ok();
        if moved {
            previous.clone_into(&mut held.at);
        }
        moved
    }

    /// Gives the claim back. If AWS does not answer, it is taken over later.
    pub(super) async fn release(mut self) {
        if let Some(held) = self.held.take() {
            held.give_back().await;
        }
    }
}

impl Held {
    async fn give_back(self) {
        let alive = self.alive.lock().take();
        for (label, at) in [(ALIVE, alive.as_ref()), (CLAIM, Some(&self.at))] {
            let Some(at) = at else { continue };
            if let Err(error) = self.label(label, at, None).await {
                tracing::info!(code = %error.code(), secret = self.id, "a claim was not given back; it is taken over later");
            }
        }
    }

    async fn label(&self, label: &str, from: &str, to: Option<&str>) -> Result<()> {
        let aws = self.reads.aws().ok_or_else(SecretError::closed)?;
        aws.move_label(&self.id, label, Some(from), to).await
    }
}

async fn beat(reads: Arc<Reads>, id: String, at: String, alive: Arc<Mutex<Option<String>>>) {
    let Some(aws) = reads.aws() else { return };
    loop {
        sleep(BEAT).await;
        let on = alive.lock().clone();
        let moved = match &on {
            Some(on) => aws.move_label(&id, ALIVE, Some(on), None).await,
            None => aws.move_label(&id, ALIVE, None, Some(&at)).await,
        };
        match moved {
            Ok(()) => *alive.lock() = on.is_none().then(|| at.clone()),
            // A holder that died may have left it elsewhere: it comes off there first.
            Err(_) => {
                if let Ok(Some(said)) = aws.describe(&id).await {
                    *alive.lock() = said.holder(ALIVE).map(str::to_owned);
                }
            }
        }
    }
}
