//! The threads that read files.
//!
//! A file on a dead network mount holds the thread that reads it until the mount comes back, which no deadline changes.
//! So files have up to eight threads of their own. They do not use tokio's blocking threads, which also resolve host
//! names. A path holds one thread at most, and a directory two, since its files are nearly always on one file
//! system: once two of them hang, the others are refused until one returns. A thread ends when it has nothing to do for
//! ten seconds.

use std::any::{Any, TypeId};
use std::collections::{HashMap, VecDeque};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};
use secret::clock::{Clock, Moment};
use tokio::sync::oneshot::{Receiver, Sender, channel};

use crate::problem::Problem;

/// How long a request may take.
const DEADLINE: Duration = Duration::from_secs(2);
const THREADS: usize = 8;
/// The threads that the files of one directory may hold.
const PER_DIRECTORY: usize = 2;
/// A request begins a moment after it was asked for, so it is late this much before the deadline of the first who asked.
const SLACK: Duration = Duration::from_millis(25);
/// How long a thread waits for work before it ends.
const IDLE: Duration = Duration::from_secs(10);

static POOL: LazyLock<Arc<Pool>> = LazyLock::new(|| Pool::new(THREADS, DEADLINE));

/// Something that can be found out about a path by waiting for a file system.
pub trait Request: Sized + Send + Sync + 'static {
    /// Waits for as long as the file system takes.
    ///
    /// # Errors
    /// As the file system says.
    fn request(path: &Path) -> io::Result<Self>;
}

/// Asks the file system about `path`, and waits two seconds at most. Concurrent callers share a request. A caller never gets
/// the result of a request that began before the call: it joins the queued one, or the one that follows the one under way.
///
/// # Errors
/// As the file system says; `TimedOut` when it did not answer in time, or did not answer an earlier request yet.
pub async fn request<T: Request>(path: &Path) -> io::Result<Arc<T>> {
    POOL.request(path).await
}

type Found = Result<Arc<dyn Any + Send + Sync>, Problem>;
type Key = (TypeId, PathBuf);

pub(crate) struct Pool {
    state: Mutex<State>,
    work: Condvar,
    limit: usize,
    deadline: Duration,
    clock: Clock,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Key>,
    requests: HashMap<Key, Entry>,
    /// How many requests are under way in each directory.
    busy: HashMap<PathBuf, usize>,
    threads: usize,
    idle: usize,
}

/// A request that is queued or under way.
struct Entry {
    request: fn(&Path) -> Found,
    /// When it began; `None` while it is queued.
    began: Option<Moment>,
    /// The callers that wait for it while it is queued, or, while it is under way, for the one after it.
    waiting: Vec<Sender<Found>>,
}

impl Pool {
    pub(crate) fn new(limit: usize, deadline: Duration) -> Arc<Self> {
        let state = Mutex::new(State::default());
        Arc::new(Self { state, work: Condvar::new(), limit, deadline, clock: Clock::system() })
    }

    pub(crate) async fn request<T: Request>(self: &Arc<Self>, path: &Path) -> io::Result<Arc<T>> {
        let key = (TypeId::of::<T>(), path.to_owned());
        let found = self.enter(&key, find::<T>).map_err(io::Error::from)?;
        let found = match tokio::time::timeout(self.deadline, found).await {
            Ok(Ok(found)) => found.map_err(io::Error::from)?,
            Ok(Err(_)) => return Err(Problem::stopped().into()),
            Err(_) => return Err(self.why_late(&key).into()),
        };
        found.downcast().map_err(|_| Problem::stopped().into())
    }

    /// Queues a request, or joins the one that is queued.
    fn enter(self: &Arc<Self>, key: &Key, request: fn(&Path) -> Found) -> Result<Receiver<Found>, Problem> {
        let (sender, receiver) = channel();
        let mut state = self.state.lock();
        let now = self.clock.now().plus(SLACK);
        let late = |entry: &Entry| entry.began.is_some_and(|began| now.since(began) >= self.deadline);
        if let Some(entry) = state.requests.get_mut(key) {
            if late(entry) {
                return Err(Problem::silent());
            }
            entry.waiting.push(sender);
            return Ok(receiver);
        }
        let stuck = state.requests.iter().filter(|(_, entry)| late(entry));
        let (in_all, beside) = stuck.fold((0, 0), |(in_all, beside), ((_, path), _)| {
            (in_all + 1, beside + usize::from(path.parent() == key.1.parent()))
        });
        if beside >= PER_DIRECTORY {
            return Err(Problem::silent());
        }
        if in_all >= self.limit {
            return Err(Problem::all_stuck(self.limit));
        }
        state.requests.insert(key.clone(), Entry { request, began: None, waiting: vec![sender] });
        state.queue.push_back(key.clone());
        self.wake(&mut state)?;
        Ok(receiver)
    }

    /// Has a thread take what is queued.
    fn wake(self: &Arc<Self>, state: &mut State) -> Result<(), Problem> {
        if state.idle >= state.queue.len() || state.threads >= self.limit {
            self.work.notify_one();
            return Ok(());
        }
        let pool = self.clone();
        match std::thread::Builder::new().name("secret-files".into()).spawn(move || pool.run()) {
            Ok(_) => state.threads += 1,
            // The threads that there are take it.
            Err(_) if state.threads > 0 => drop(self.work.notify_one()),
            Err(error) => {
                state.queue.clear();
                state.requests.clear();
                return Err(Problem::new(&error));
            }
        }
        Ok(())
    }

    /// Why nothing was found in time.
    fn why_late(&self, key: &Key) -> Problem {
        let state = self.state.lock();
        let queued = state.requests.get(key).is_some_and(|entry| entry.began.is_none());
        if queued && state.may_begin(key) { Problem::all_stuck(self.limit) } else { Problem::silent() }
    }

    fn run(&self) {
        let mut state = self.state.lock();
        loop {
            let Some(key) = state.next() else {
                state.idle += 1;
                let is_over = self.work.wait_for(&mut state, IDLE).timed_out();
                state.idle -= 1;
                if is_over && state.queue.is_empty() {
                    state.threads -= 1;
                    return;
                }
                continue;
            };
            state = self.serve(state, &key);
        }
    }

    fn serve<'a>(&'a self, mut state: MutexGuard<'a, State>, key: &Key) -> MutexGuard<'a, State> {
        let Some(entry) = state.requests.get_mut(key) else { return state };
        entry.waiting.retain(|sender| !sender.is_closed());
        if entry.waiting.is_empty() {
            state.requests.remove(key);
            return state;
        }
        entry.began = Some(self.clock.now());
        let (request, waiting) = (entry.request, std::mem::take(&mut entry.waiting));
        *state.busy.entry(directory(key)).or_default() += 1;
        let found = MutexGuard::unlocked(&mut state, || {
            catch_unwind(AssertUnwindSafe(|| request(&key.1))).unwrap_or_else(|_| Err(Problem::stopped()))
        });
        state.ended(key);
        if let Some(entry) = state.requests.get_mut(key) {
            entry.began = None;
            if entry.waiting.is_empty() {
                state.requests.remove(key);
            } else {
                state.queue.push_back(key.clone());
            }
        }
        for sender in waiting {
            // A caller that has stopped waiting has dropped its receiver.
            drop(sender.send(found.clone()));
        }
        state
    }
}

impl State {
    /// Takes the first request that may begin.
    fn next(&mut self) -> Option<Key> {
        let first = self.queue.iter().position(|key| self.may_begin(key))?;
        self.queue.remove(first)
    }

    fn may_begin(&self, key: &Key) -> bool {
        self.busy.get(&directory(key)).is_none_or(|busy| *busy < PER_DIRECTORY)
    }

    fn ended(&mut self, key: &Key) {
        let directory = directory(key);
        match self.busy.get_mut(&directory) {
            Some(busy) if *busy > 1 => *busy -= 1,
            _ => drop(self.busy.remove(&directory)),
        }
    }
}

fn directory((_, path): &Key) -> PathBuf {
    path.parent().unwrap_or(path).to_owned()
}

fn find<T: Request>(path: &Path) -> Found {
    match T::request(path) {
        Ok(found) => Ok(Arc::new(found)),
        Err(error) => Err(Problem::new(&error)),
    }
}

#[cfg(test)]
mod tests;
