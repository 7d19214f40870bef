//! Single flight: concurrent readers of one key share one fetch.

use std::collections::HashMap;
use std::pin::{Pin, pin};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::tasks::Tasks;
use secret::clock::Moment;
use secret::error::{ErrorCode, Result, SecretError};

/// Where a fetch puts its outcome. Its readers go on in the order in which they began to wait, so that a simulated run can be
/// repeated.
struct Landed<T> {
    state: Mutex<State<T>>,
    changed: Notify,
}

enum State<T> {
    UnderWay,
    Ended(Result<T>),
    /// The task ended without an answer.
    Lost,
}

/// Runs fetches as tasks of its own, so that a reader who gives up does not take the others' answer along.
pub struct Flights<T> {
    running: Arc<Mutex<HashMap<String, Running<T>>>>,
    tasks: Tasks,
    stop: CancellationToken,
}

struct Running<T> {
    id: FlightId,
    began: Moment,
    landed: Arc<Landed<T>>,
}

/// Which fetch: one that asks again must not wait for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlightId(u64);

/// A fetch under way, as one of its readers sees it.
pub struct Flight<T>(Arc<Landed<T>>);

/// Which fetches a reader may join.
#[derive(Clone, Copy, Debug)]
pub struct Since {
    /// When its own fetch begins, if none can be joined.
    pub now: Moment,
    /// None that began earlier: copies were dropped, or the process was stopped, meanwhile, and the answer may be as old.
    pub oldest: Moment,
    /// The fetch that asks, where one does.
    pub own: Option<FlightId>,
}

/// Whether a reader began a fetch or joined one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It began the fetch.
    Leader,
    /// It joined a fetch under way.
    Follower,
}

impl<T: Clone + Send + Sync + 'static> Flights<T> {
    /// Its tasks end with `stop`.
    pub fn new(tasks: Tasks, stop: CancellationToken) -> Self {
        Self { running: Arc::default(), tasks, stop }
    }

    /// Joins the fetch of `key` or begins one.
    ///
    /// # Errors
    /// What the fetch gives, or `CLOSED`.
    pub async fn join<F>(&self, key: &str, fetch: impl FnOnce() -> F) -> (Role, Result<T>)
    where
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let (role, flight) = self.enter(key, fetch);
        (role, self.outcome(key, flight).await)
    }

    /// [`Flights::join`] without waiting for the outcome.
    pub fn enter<F>(&self, key: &str, fetch: impl FnOnce() -> F) -> (Role, Flight<T>)
    where
        F: Future<Output = Result<T>> + Send + 'static,
    {
        self.enter_since(key, Since { now: Moment::NEVER, oldest: Moment::FIRST, own: None }, |_| fetch())
    }

    /// [`Flights::enter`], but for fetches that `since` does not allow to join.
    pub fn enter_since<F>(&self, key: &str, since: Since, fetch: impl FnOnce(FlightId) -> F) -> (Role, Flight<T>)
    where
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let mut running = self.lock();
        let may_join = |flight: &&Running<T>| {
            flight.began >= since.oldest && Some(flight.id) != since.own && !flight.landed.is_lost()
        };
        if let Some(flight) = running.get(key).filter(may_join) {
            return (Role::Follower, Flight(flight.landed.clone()));
        }
        let id = next_id();
        (Role::Leader, Flight(self.begin(&mut running, key, (id, since.now), Box::pin(fetch(id)))))
    }

    /// How a flight of `key` ends.
    ///
    /// # Errors
    /// As [`Flights::join`].
    pub async fn outcome(&self, key: &str, flight: Flight<T>) -> Result<T> {
        match flight.0.outcome().await {
            Some(outcome) => outcome,
            // The task ended without an answer: stopped by `close`, or a defect that must not hang its readers.
            None if self.stop.is_cancelled() => Err(SecretError::closed()),
            None => Err(SecretError::new(ErrorCode::SourceUnavailable, format!("{key}: the fetch ended unexpectedly"))),
        }
    }

    /// Lets later readers begin anew although a fetch is under way (after an invalidation, or for a refresh).
    pub fn forget(&self, key: &str) {
        self.lock().remove(key);
    }

    /// Lets all later readers begin anew.
    pub fn forget_all(&self) {
        self.lock().clear();
    }

    /// Whether no fetch is under way.
    pub fn is_idle(&self) -> bool {
        self.lock().is_empty()
    }

    /// Boxed, so that it is compiled once for each kind of outcome and not for each fetch.
    fn begin(
        &self,
        running: &mut HashMap<String, Running<T>>,
        key: &str,
        (id, began): (FlightId, Moment),
        fetch: Pin<Box<dyn Future<Output = Result<T>> + Send>>,
    ) -> Arc<Landed<T>> {
        let landed = Arc::new(Landed { state: Mutex::new(State::UnderWay), changed: Notify::new() });
        let landing = Landing { key: key.to_owned(), id, running: self.running.clone() };
        running.insert(landing.key.clone(), Running { id, began, landed: landed.clone() });
        let runway = Runway(landed.clone());
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            let (landing, runway) = (landing, runway);
            let result = tokio::select! {
                biased;
                () = stop.cancelled() => Err(SecretError::closed()),
                result = fetch => result,
            };
            // Off the list first: later callers get a fetch of their own.
            drop(landing);
            runway.0.end(State::Ended(result));
        });
        landed
    }

    fn lock(&self) -> parking_lot::MutexGuard<'_, HashMap<String, Running<T>>> {
        self.running.lock()
    }
}

impl<T: Clone> Landed<T> {
    /// The outcome, once there is one; `None` when the task ended without.
    async fn outcome(&self) -> Option<Result<T>> {
        loop {
            let mut changed = pin!(self.changed.notified());
            // From here on a change is not missed.
            changed.as_mut().enable();
            match &*self.state.lock() {
                State::UnderWay => {}
                State::Ended(outcome) => return Some(outcome.clone()),
                State::Lost => return None,
            }
            changed.await;
        }
    }
}

impl<T> Landed<T> {
    fn end(&self, state: State<T>) {
        *self.state.lock() = state;
        self.changed.notify_waiters();
    }

    fn is_lost(&self) -> bool {
        matches!(&*self.state.lock(), State::Lost)
    }
}

/// Tells the readers when the task ends without an answer.
struct Runway<T>(Arc<Landed<T>>);

impl<T> Drop for Runway<T> {
    fn drop(&mut self) {
        let is_under_way = matches!(&*self.0.state.lock(), State::UnderWay);
        if is_under_way {
            self.0.end(State::Lost);
        }
    }
}

/// Takes the flight off the list when its task ends, however it ends.
struct Landing<T> {
    key: String,
    id: FlightId,
    running: Arc<Mutex<HashMap<String, Running<T>>>>,
}

impl<T> Drop for Landing<T> {
    fn drop(&mut self) {
        let mut running = self.running.lock();
        if running.get(&self.key).is_some_and(|flight| flight.id == self.id) {
            running.remove(&self.key);
        }
    }
}

fn next_id() -> FlightId {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    FlightId(NEXT.fetch_add(1, Ordering::Relaxed))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::sync::Notify;

    use super::*;

    fn flights() -> Arc<Flights<u32>> {
        Arc::new(Flights::new(Tasks::default(), CancellationToken::new()))
    }

    #[tokio::test]
    async fn concurrent_readers_share_one_fetch() {
        let (flights, fetches, gate) = (flights(), Arc::new(AtomicU32::new(0)), Arc::new(Notify::new()));
        let readers: Vec<_> = (0..100)
            .map(|_| {
                let (flights, fetches, gate) = (flights.clone(), fetches.clone(), gate.clone());
                tokio::spawn(async move {
                    flights
                        .join("A", move || async move {
                            fetches.fetch_add(1, Ordering::SeqCst);
                            gate.notified().await;
                            Ok(7)
                        })
                        .await
                })
            })
            .collect();
        tokio::task::yield_now().await;
        gate.notify_one();
        let mut leaders = 0;
        for reader in readers {
            let (role, result) = reader.await.expect("joined");
            leaders += u32::from(role == Role::Leader);
            assert_eq!(result.expect("value"), 7);
        }
        assert_eq!((leaders, fetches.load(Ordering::SeqCst)), (1, 1));
    }

    #[tokio::test]
    async fn a_reader_who_gives_up_does_not_stop_the_others() {
        let (flights, gate) = (flights(), Arc::new(Notify::new()));
        let (first, wait) = (flights.clone(), gate.clone());
        let leader = tokio::spawn(async move {
            first
                .join("A", move || async move {
                    wait.notified().await;
                    Ok(1)
                })
                .await
        });
        while flights.lock().is_empty() {
            tokio::task::yield_now().await;
        }
        let second = flights.clone();
        let follower = tokio::spawn(async move { second.join("A", || async { Ok(2) }).await });
        leader.abort();
        drop(leader.await);
        gate.notify_one();
        let (role, result) = follower.await.expect("joined");
        // Depending on who came first the follower joined the first fetch or began its own; it got an answer.
        assert!(matches!((role, result.expect("value")), (Role::Follower, 1) | (Role::Leader, 2)));
    }

    #[tokio::test]
    async fn a_fetch_that_panics_fails_its_readers_and_the_next_read_works() {
        let flights = flights();
        let (_, result) = flights.join("A", || async { panic!("defect") }).await;
        assert_eq!(result.expect_err("failed").code(), ErrorCode::SourceUnavailable);
        assert_eq!(flights.join("A", || async { Ok(3) }).await.1.expect("value"), 3);
    }

    #[tokio::test]
    async fn a_fetch_from_before_a_freeze_is_not_joined() {
        let (flights, clock) = (flights(), secret::clock::Clock::test());
        let began = clock.now();
        let since = |now, oldest| Since { now, oldest, own: None };
        let first = flights.enter_since("A", since(began, Moment::FIRST), |_| async { Ok(1) });
        let joined = flights.enter_since("A", since(began, began), |_| async { Ok(2) });
        clock.advance(std::time::Duration::from_secs(10));
        let later = flights.enter_since("A", since(clock.now(), clock.now()), |_| async { Ok(3) });
        assert_eq!([first.0, joined.0, later.0], [Role::Leader, Role::Follower, Role::Leader]);
        assert_eq!(flights.outcome("A", joined.1).await.expect("value"), 1);
        assert_eq!(flights.outcome("A", later.1).await.expect("value"), 3);
        assert_eq!(flights.outcome("A", first.1).await.expect("value"), 1);
    }

    #[tokio::test]
    async fn a_fetch_that_asks_again_does_not_wait_for_itself_and_later_readers_join_it() {
        let (flights, clock) = (flights(), secret::clock::Clock::test());
        let since = Since { now: clock.now(), oldest: Moment::FIRST, own: None };
        let (inner, gate) = (flights.clone(), Arc::new(Notify::new()));
        let wait = gate.clone();
        let (_, first) = flights.enter_since("A", since, move |own| async move {
            let since = Since { own: Some(own), ..since };
            let (role, again) = inner.enter_since("A", since, move |_| async move {
                wait.notified().await;
                Ok(2)
            });
            assert_eq!(role, Role::Leader);
            inner.outcome("A", again).await
        });
        tokio::task::yield_now().await;
        let (role, later) = flights.enter("A", || async { Ok(3) });
        gate.notify_one();
        assert_eq!((role, flights.outcome("A", later).await.expect("value")), (Role::Follower, 2));
        assert_eq!(flights.outcome("A", first).await.expect("value"), 2);
    }

    #[tokio::test]
    async fn closing_ends_readers_under_way() {
        let stop = CancellationToken::new();
        let flights: Arc<Flights<u32>> = Arc::new(Flights::new(Tasks::default(), stop.clone()));
        let reader = flights.clone();
        let reader = tokio::spawn(async move { reader.join("A", std::future::pending).await });
        while flights.lock().is_empty() {
            tokio::task::yield_now().await;
        }
        stop.cancel();
        assert_eq!(reader.await.expect("joined").1.expect_err("closed").code(), ErrorCode::Closed);
    }
}
