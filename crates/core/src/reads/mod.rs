//! AWS behind its caches, and the one read of it: `read(names) -> answers`. A read of one name is a read of a list of
//! one.
//!
//! - `table`: what a read returns and what becomes of the copies; pure
//! - `copies`: the caches follow the table; `ending`: once AWS was asked; `publisher` shares what is new with the other instances
//! - `calls`: AWS by secret name; `fleet`: of many instances one asks; `batcher`: misses become calls of 20
//! - `flights`: concurrent reads of one name share one fetch
//! - `refresher`, `listings`, `versions`, `past`, `follower`: the other ways in which AWS is asked, or copies change
//! - `state`: what reports say of the sources

mod access_checks;
pub mod batcher;
pub mod calls;
pub mod copies;
mod ending;
pub mod fields;
mod fleet;
pub mod flights;
mod follower;
mod listings;
mod past;
mod publisher;
mod refresher;
mod state;
pub mod table;
mod versions;

use std::collections::HashSet;
use std::pin::Pin;
use std::sync::{Arc, Once};
use std::time::Duration;

use aws::Aws;
use cache::entry::Entry;
use cache::memory::Lookup;
use cache::tiered::{Shared, TieredCache, Want};
use futures_util::future::join_all;
use parking_lot::Mutex;
use secret::aws_ids::AwsIds;
use secret::clock::{Clock, Moment};
use secret::error::SecretError;
use secret::found::Found;
use secret::name::SecretName;
use secret::notice::Notices;
use tokio_util::sync::CancellationToken;

use self::access_checks::AccessChecks;
use self::batcher::{Batcher, Miss, Pending};
use self::calls::{Calls, Said};
use self::copies::{Copies, Names};
use self::fleet::{Fleet, Heard};
use self::flights::{Flight, FlightId, Flights, Role, Since};
pub use self::listings::Listed;
use self::listings::Listings;
use self::refresher::Refresher;
use self::table::{Answer, Course, Step};
use self::versions::VersionCache;
pub use self::versions::{Pace, Versions};
use crate::audit::Audit;
use crate::metrics::{Metrics, add};
use crate::tasks::Tasks;
use crate::timer::Deadline;

/// Names that are remembered as asked for.
const MOST_ASKED: usize = 10_000;
/// How often a read asks again because copies were dropped meanwhile.
const MOST_DROPS: u32 = 3;
/// A flight that ends with the deadline of a read hands its answer over within this time.
const HAND_OVER: Duration = Duration::from_millis(50);
/// A flight that began longer ago than its deadline and this much is not joined: this process was stopped meanwhile, and the
/// answer may be as old.
const FLIGHT_SPARE: Duration = Duration::from_secs(1);

/// AWS, its caches, and the rules between them.
pub struct Reads {
    calls: Arc<Calls>,
    copies: Arc<Copies>,
    flights: Flights<Option<Found>>,
    batcher: Arc<Batcher>,
    refresher: Refresher,
    listings: Listings,
    versions: VersionCache,
    access_checks: AccessChecks,
    following: Once,
    /// Names that were asked for, where nothing is cached that would tell.
    asked: Mutex<HashSet<SecretName>>,
    metrics: Arc<Metrics>,
    audit: Option<Arc<Audit>>,
}

/// What [`Reads`] are made of.
pub struct Parts {
    /// `None` when AWS is switched off.
    pub aws: Option<Aws>,
    /// `None` when nothing is cached.
    pub cache: Option<TieredCache>,
    /// How often this process asks AWS for what it takes from the copies of others.
    pub access_check: Option<Duration>,
    /// Whose secret a name is, and how names become AWS secrets.
    pub names: Names,
    /// Reads time.
    pub clock: Clock,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Hears of rotations.
    pub notices: Arc<dyn Notices>,
    /// Owns background tasks.
    pub tasks: Tasks,
    /// Ends them.
    pub stop: CancellationToken,
    /// What is read in the background is recorded there; `None` when nothing is audited.
    pub audit: Option<Arc<Audit>>,
}

impl Reads {
    /// Asks nothing yet.
    pub fn new(parts: Parts) -> Arc<Self> {
        let Parts { aws, cache, access_check, names, clock, metrics, notices, tasks, stop, audit } = parts;
        let calls = Arc::new(Calls::new(aws, names.ids.clone(), clock.clone(), metrics.clone(), notices.clone()));
        let copies = Copies::new(cache, clock, metrics.clone(), notices, names, tasks.clone(), stop.clone());
        let fleet = Fleet { calls: calls.clone(), copies: copies.clone() };
        let reads = Arc::new(Self {
            calls,
            copies,
            flights: Flights::new(tasks.clone(), stop.clone()),
            batcher: Batcher::new(fleet, tasks, stop),
            refresher: Refresher::default(),
            listings: Listings::default(),
            versions: VersionCache::default(),
            access_checks: AccessChecks::new(access_check),
            following: Once::new(),
            asked: Mutex::default(),
            metrics,
            audit,
        });
        reads.copies.contests.are_settled_by(&reads);
        reads
    }

    /// AWS; `None` when it is switched off.
    pub fn aws(&self) -> Option<&Aws> {
        self.calls.aws.as_ref()
    }

    /// The caches; `None` when nothing is cached.
    pub fn cache(&self) -> Option<&TieredCache> {
        self.copies.cache.as_ref()
    }

    /// The caches, and who hears of changes in them.
    pub fn copies(&self) -> &Arc<Copies> {
        &self.copies
    }

    /// How names become AWS ids.
    pub fn ids(&self) -> &AwsIds {
        &self.calls.ids
    }

    /// The AWS id of `name` here.
    pub fn id(&self, name: &SecretName) -> String {
        self.calls.ids.id(name)
    }

    /// Reads `names` from the caches or AWS, at the cost of few calls: memory, one command of the shared cache, batches
    /// of 20. A name that is being fetched already is not fetched again.
    ///
    /// # Errors
    /// Each answer is AWS's error when no stale copy may answer for it.
    pub async fn read(self: &Arc<Self>, names: &[SecretName]) -> Vec<Answer> {
        let mut answers: Vec<Option<Answer>> = Vec::with_capacity(names.len());
        let mut missed = Vec::new();
        for (i, name) in names.iter().enumerate() {
            match self.begin(name) {
                Begun::Answered(answer) => answers.push(Some(answer)),
                Begun::Missed(course) => {
                    answers.push(None);
                    missed.push((i, course));
                }
            }
        }
        if !missed.is_empty() {
            for (i, answer) in self.fetch(names, missed).await {
                answers[i] = Some(answer);
            }
        }
        answers.into_iter().flatten().collect()
    }

    /// The answer that memory gives at once, or the course of a fetch.
    fn begin(self: &Arc<Self>, name: &SecretName) -> Begun {
        let lookup = self.copies.lookup(name);
        if let Lookup::Fresh(entry) | Lookup::Held(entry) = &lookup
            && entry.claim_refresh(self.copies.clock.now())
        {
            self.refresh_ahead(name.as_str(), entry, &tokio::runtime::Handle::current());
        }
        let denied = self.cache().is_some_and(|cache| cache.is_denied(name));
        match Course::begin(lookup, denied) {
            Step::End(verdict) => {
                if verdict.answer.as_ref().is_err_and(SecretError::is_denied) {
                    self.copies.count_denied(name, &verdict.answer);
                } else {
                    add(&self.metrics.hits);
                }
                Begun::Answered(verdict.answer)
            }
            Step::AskShared(course) | Step::AskAws(course) | Step::AskSnapshot(course, _) => Begun::Missed(course),
        }
    }

    /// Goes on where memory has no answer: to the shared cache, and with what that does not have to AWS. One deadline
    /// covers all of it.
    async fn fetch(self: &Arc<Self>, names: &[SecretName], missed: Vec<(usize, Course)>) -> Vec<(usize, Answer)> {
        self.follow_changes();
        self.note_asked(missed.iter().map(|(i, _)| &names[*i]));
        let deadline = self.deadline();
        let now = self.copies.clock.now();
        let wants: Vec<Want> = missed.iter().map(|(i, _)| self.want_in_turn(&names[*i], now)).collect();
        let shared = self.copies.lookup_shared(&wants).await;
        let (mut answers, mut misses, mut flights) = (Vec::with_capacity(missed.len()), Vec::new(), Vec::new());
        for (((i, course), want), shared) in missed.into_iter().zip(wants).zip(shared) {
            if matches!(shared, Shared::Fresh(_) | Shared::Stale(_)) {
                self.copies.note_given(&want.name);
            }
            match course.shared(shared) {
                Step::End(verdict) => {
                    add(&self.metrics.hits);
                    self.access_checks.used(&want.name, self.copies.clock.now());
                    answers.push((i, verdict.answer));
                }
                Step::AskShared(course) | Step::AskAws(course) | Step::AskSnapshot(course, _) => {
                    let (role, flight) = self.enter(want.clone(), course.clone(), deadline, &mut misses);
                    match role {
                        Role::Follower => add(&self.metrics.shared_calls),
                        Role::Leader if self.cache().is_some() => add(&self.metrics.misses),
                        Role::Leader => {}
                    }
                    flights.push((i, role, flight, want, course));
                }
            }
        }
        self.batcher.ask(misses);
        let landed = flights.into_iter().map(|(i, role, flight, want, course)| async move {
            let outcome = self.flights.outcome(names[i].as_str(), flight);
            // A flight that another reader began may have a later deadline than this read.
            let answer = match self.calls.patiently(deadline.plus(HAND_OVER), course.has_copy(), outcome).await {
                // A refresh under way takes no copy for an answer. Its failure is its caller's: this read has a copy of its own.
                Some(Err(error)) if role == Role::Follower && error.is_transient() => {
                    self.follow(&want, course, Err(error)).await.answer
                }
                Some(answer) => answer,
                None => self.follow(&want, course, self.calls.timed_out(&want.name)).await.answer,
            };
            (i, answer)
        });
        answers.extend(join_all(landed).await);
        answers
    }

    /// A question that AWS has to answer when the check of this process's right is overdue.
    fn want_in_turn(&self, name: &SecretName, now: Moment) -> Want {
        self.copies.want(name).for_aws(self.access_checks.is_overdue(name, now))
    }

    /// Joins the flight of a name or begins one, whose call is then among `misses`.
    fn enter(
        self: &Arc<Self>,
        want: Want,
        course: Course,
        deadline: Deadline,
        misses: &mut Vec<Miss>,
    ) -> (Role, Flight<Option<Found>>) {
        let (miss, pending) = Miss::new(want.clone(), deadline);
        let name = want.name.text();
        let reads = self.clone();
        let since = self.flights_since(&want.name);
        let entered = self.flights.enter_since(&name, since, |own| reads.land(want, course, pending, (own, deadline)));
        if entered.0 == Role::Leader {
            misses.push(miss);
        }
        entered
    }

    /// Which flights about `name` may be joined now: those that began after the last message that its copies were dropped, which
    /// their answers may be older than.
    fn flights_since(&self, name: &SecretName) -> Since {
        let now = self.copies.clock.now();
        let oldest = now.minus(self.aws().map(Aws::timeout).unwrap_or_default() + FLIGHT_SPARE);
        let heard = self.cache().map_or(Moment::FIRST, |cache| cache.memory().outdated_since(name.as_str()));
        Since { now, oldest: oldest.max(heard), own: None }
    }

    /// Waits for the call that a miss became part of, and concludes.
    async fn land(
        self: Arc<Self>,
        want: Want,
        course: Course,
        pending: Pending,
        fetch: (FlightId, Deadline),
    ) -> Answer {
        let (own, deadline) = fetch;
        let heard = if self.aws().is_some() {
            let heard = deadline.limit(pending.heard()).await;
            heard.unwrap_or_else(|_| Heard::Aws(self.calls.timed_out(&want.name)))
        } else {
            Heard::Aws(Ok(None))
        };
        let asking = Asking { own: Some(own), deadline, left: MOST_DROPS };
        match heard {
            Heard::Peer(copy) if self.copies.may_use(&want.name, &copy, deadline).await => {
                self.access_checks.used(&want.name, self.copies.clock.now());
                Course::adopt(&copy).answer
            }
            // Dropped while this flight was under way.
            Heard::Peer(_) => match self.ask_again(&want, course.clone(), asking).await {
                Some(answer) => answer,
                None => self.follow(&want, course, self.calls.timed_out(&want.name)).await.answer,
            },
            Heard::Aws(said) => self.conclude(want, course, said, asking).await,
        }
    }

    /// The end of every course that has asked AWS. Asks again when copies were dropped after the question: the answer may be
    /// what they were dropped for.
    async fn conclude(self: &Arc<Self>, want: Want, course: Course, said: Said, asking: Asking) -> Answer {
        self.copies.settled_for(&want, &said, asking.deadline).await;
        let followed = self.follow(&want, course.clone(), said).await;
        if !followed.is_outdated || asking.left == 0 {
            return followed.answer;
        }
        if let Some(answer) = self.ask_again(&want, course.clone(), asking).await {
            return answer;
        }
        // What the copies have goes before an answer that may be older than they are.
        let late = self.follow(&want, course, self.calls.timed_out(&want.name)).await.answer;
        if late.is_ok() { late } else { self.copies.give_unkept(&want.name, followed.answer) }
    }

    /// Asks AWS once more, in a flight that later readers join; `None` when that takes too long.
    async fn ask_again(self: &Arc<Self>, want: &Want, course: Course, asking: Asking) -> Option<Answer> {
        let (reads, want, left) = (self.clone(), self.copies.want(&want.name), asking.left - 1);
        let since = Since { own: asking.own, ..self.flights_since(&want.name) };
        // Who asks gives up first, and has an answer of its own.
        let deadline = asking.deadline.plus(HAND_OVER);
        let name = want.name.clone();
        let ((of_flight, of_course), asked) = ((want.clone(), course.clone()), want);
        let (role, flight) = self.flights.enter_since(name.as_str(), since, move |own| {
            reads.once_more(of_flight, of_course, Asking { own: Some(own), deadline, left })
        });
        match asking.deadline.limit(self.flights.outcome(name.as_str(), flight)).await.ok()? {
            Err(error) if role == Role::Follower && error.is_transient() => {
                Some(self.follow(&asked, course, Err(error)).await.answer)
            }
            answer => Some(answer),
        }
    }

    /// The flight of [`Reads::ask_again`].
    fn once_more(
        self: Arc<Self>,
        want: Want,
        course: Course,
        asking: Asking,
    ) -> Pin<Box<dyn Future<Output = Answer> + Send>> {
        Box::pin(async move {
            let said = asking.deadline.limit(self.calls.one(&want.name)).await;
            let said = said.unwrap_or_else(|_| self.calls.timed_out(&want.name));
            self.conclude(want, course, said, asking).await
        })
    }

    /// One deadline for a read: looking into Redis and waiting for another instance count as well.
    fn deadline(&self) -> Deadline {
        Deadline::after(self.aws().map(Aws::timeout).unwrap_or_default())
    }

    /// How a course that has no flight concludes.
    fn asking(&self) -> Asking {
        Asking { own: None, deadline: self.deadline(), left: MOST_DROPS }
    }

    fn note_asked<'n>(&self, names: impl Iterator<Item = &'n SecretName>) {
        let mut asked = self.asked.lock();
        for name in names {
            if asked.len() < MOST_ASKED && !asked.contains(name) {
                asked.insert(name.clone());
            }
        }
    }

    /// Whether events about `name` are this process's business: it declared the secret, holds it, or was asked for it
    /// (decision D31).
    pub fn concerns(&self, name: &SecretName) -> bool {
        self.copies.concerns(name) || self.asked.lock().contains(name)
    }

    /// Whether memory has a copy of `secret` that may answer and is not older than `age`. None is of no age: the clock moves in
    /// steps of a few milliseconds, within which a secret may have changed.
    pub fn holds_one_of(&self, secret: &SecretName, age: Duration) -> bool {
        let is_young = |copy: Arc<Entry>| self.copies.clock.now().since(copy.asked.at()) <= age;
        !age.is_zero() && self.copies.usable(secret).is_some_and(is_young)
    }

    /// [`Reads::read`] of a list of one.
    ///
    /// # Errors
    /// As [`Reads::read`].
    pub async fn read_one(self: &Arc<Self>, secret: &SecretName) -> Answer {
        self.read(std::slice::from_ref(secret)).await.into_iter().next().unwrap_or(Ok(None))
    }

    /// Forgets flights that began before an invalidation of `name`.
    pub fn forget(&self, name: &SecretName) {
        self.flights.forget(name.as_str());
    }

    /// The credentials are those of another account: what is held of the one before answers nobody any more.
    pub fn forget_account(&self) {
        tracing::info!("the AWS credentials are those of another account: copies in memory are dropped");
        if let Some(cache) = self.cache() {
            cache.forget_account();
        }
        self.copies.forget_given();
        self.forget_all();
        self.forget_versions();
    }

    /// Forgets all flights and listings.
    pub fn forget_all(&self) {
        self.flights.forget_all();
        self.listings.clear();
    }
}

/// A fetch that concludes.
#[derive(Clone, Copy)]
struct Asking {
    /// Its flight, where it has one.
    own: Option<FlightId>,
    deadline: Deadline,
    /// How often it may ask again.
    left: u32,
}

enum Begun {
    Answered(Answer),
    Missed(Course),
}
