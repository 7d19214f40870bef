//! Lets a process be stopped (Ctrl-Z) while none of its threads holds the lock of a log. A process that is stopped with the lock keeps it,
//! and the others that share the log cannot write until it goes on.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// A thread does not wait longer than this for the process to be stopped and to go on.
const AT_MOST: Duration = Duration::from_secs(5);

static ROUNDS: Mutex<Rounds> = Mutex::new(Rounds { under_way: 0, paused: false });
static CHANGED: Condvar = Condvar::new();

struct Rounds {
    /// How many threads may hold a lock.
    under_way: usize,
    paused: bool,
}

/// A thread that may hold the lock of a log.
pub struct Round(());

impl Round {
    /// Waits while the process is about to be stopped.
    pub fn begin() -> Self {
        let mut rounds = ROUNDS.lock();
        let deadline = crate::time::now() + AT_MOST;
        while rounds.paused && !CHANGED.wait_until(&mut rounds, deadline).timed_out() {}
        rounds.under_way += 1;
        Self(())
    }
}

impl Drop for Round {
    fn drop(&mut self) {
        ROUNDS.lock().under_way -= 1;
        CHANGED.notify_all();
    }
}

/// Keeps all threads of this process from taking the lock of a log, and waits until none holds one; `false` when that takes longer
/// than `limit`. Until [`resume`].
pub fn pause(limit: Duration) -> bool {
    let mut rounds = ROUNDS.lock();
    rounds.paused = true;
    let deadline: Instant = crate::time::now() + limit;
    while rounds.under_way > 0 {
        if CHANGED.wait_until(&mut rounds, deadline).timed_out() {
            return rounds.under_way == 0;
        }
    }
    true
}

/// Ends a [`pause`].
pub fn resume() {
    ROUNDS.lock().paused = false;
    CHANGED.notify_all();
}
