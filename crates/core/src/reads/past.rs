//! Questions to AWS past the caches (`getSecretFromAWS`, versions, validations, `explain`). No copy answers them, but what AWS
//! says counts for the copies as well: a read after them is no older, what is denied or gone is not served any more, and a new
//! version reaches the other instances (decision 111).

use std::sync::Arc;
use std::time::Duration;

use cache::tiered::Want;
use secret::error::{Result, SecretError};
use secret::found::Fetched;
use secret::name::SecretName;
use tokio::time::sleep;

use super::Reads;
use super::calls::Said;
use super::fields::Wanted;
use super::table::{Course, behind};

/// Between two answers of which the first gave an older version than the one held.
const SECOND_LOOK: Duration = Duration::from_millis(200);

impl Reads {
    /// What AWS has now under an id, leaving the caches alone: of another environment, or a secret that nobody here reads.
    ///
    /// # Errors
    /// AWS's.
    pub async fn fetch_id(&self, id: &str) -> Said {
        self.calls.of_id(id).await
    }

    /// What AWS has now of `secret`. Its value is handed out, so that no later read may be older.
    ///
    /// # Errors
    /// AWS's.
    pub async fn fetch_now(self: &Arc<Self>, secret: &SecretName) -> Said {
        let (want, said, course) = self.ask_surely(secret).await;
        self.overhear(want, course, &said).await;
        said
    }

    /// AWS's answers for `names`, which nobody gets: the copies that there are follow.
    pub async fn fetch_all(self: &Arc<Self>, names: &[SecretName]) -> Vec<Said> {
        let asking = self.copies.ask();
        if self.ids().is_plain() {
            let said = self.calls.all(names).await;
            for (name, said) in names.iter().zip(&said) {
                self.inspected(asking.of(name), said).await;
            }
            return said;
        }
        let wanted = Wanted::of(self.ids(), names);
        let secrets = wanted.secrets();
        let said = self.calls.all(&secrets).await;
        for (secret, said) in secrets.iter().zip(&said) {
            self.inspected(asking.of(secret), said).await;
        }
        wanted.parts(&secrets, said)
    }

    /// [`Reads::fetch_all`] of one secret.
    ///
    /// # Errors
    /// AWS's.
    pub async fn fetch_inspecting(self: &Arc<Self>, secret: &SecretName) -> Said {
        let (want, said) = self.ask(secret).await;
        self.inspected(want, &said).await;
        said
    }

    /// Whether AWS has answered this process at all: copies of others say nothing of its rights.
    pub fn has_own_answer(&self) -> bool {
        self.access_checks.has_answer()
    }

    /// Whether the copies of `secret` follow what AWS says of it past the caches: it has a name, or is declared, held or asked for.
    pub fn follows(&self, secret: &SecretName) -> bool {
        self.cache().is_some() && (!secret.is_of_aws() || self.concerns(secret))
    }

    /// The copies follow what AWS said beside other versions.
    pub(super) async fn overhear_live(self: &Arc<Self>, want: Want, said: Said) {
        if self.cache().is_some() && self.is_doubtful(&want.name, &said) {
            drop(self.fetch_now(&want.name).await);
        } else {
            self.overhear(want, Course::refresh(), &said).await;
        }
    }

    async fn inspected(self: &Arc<Self>, want: Want, said: &Said) {
        let is_from_replica = said.as_ref().is_ok_and(|found| found.as_ref().is_some_and(Fetched::is_from_replica));
        // Where nothing is held only a denial says something: others share copies that this process may not use. A replica may lag behind.
        let is_denied = said.as_ref().is_err_and(SecretError::is_denied);
        if is_denied || self.copies.is_held(&self.ids().one_of(want.name.clone())) && !is_from_replica {
            self.overhear(want, Course::refresh(), said).await;
        }
    }

    /// What AWS answers about `secret` to a question of another kind. A denial counts for reads as well (decision D20).
    ///
    /// # Errors
    /// AWS's.
    pub async fn heeding_denial<T>(
        self: &Arc<Self>,
        secret: &SecretName,
        question: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let want = self.copies.want(secret);
        let answer = question.await;
        if let Err(error) = &answer
            && error.is_denied()
        {
            self.overhear(want, Course::refresh(), &Err(error.clone())).await;
        }
        answer
    }

    /// The copies follow what AWS said to `want`, except those that were put by hand.
    pub(super) async fn overhear(self: &Arc<Self>, want: Want, course: Course, said: &Said) {
        let want = self.copies.one(want);
        let held = self.copies.held(&want.name);
        let is_failure = said.as_ref().is_err_and(|error| !error.is_refused());
        if self.cache().is_none() || is_failure || held.is_some_and(|held| held.version_id.is_none()) {
            return;
        }
        let fetched = said.as_ref().ok().and_then(Option::as_ref).filter(|fetched| !fetched.value.is_empty());
        let knows = || {
            let version = fetched.and_then(|fetched| fetched.version_id.as_deref());
            version.is_some_and(|version| self.knows(&want.name, version))
        };
        let knew = knows();
        self.follow(&want, course, said.clone()).await;
        if !knew && knows() {
            self.versions.forget(&want.name);
            let found = fetched.cloned().map(|fetched| (want, fetched));
            self.copies.share_soon(found.into_iter().collect(), None);
        }
    }

    /// Asks AWS, and once more after an answer with an older version than the one held: that may be a late one, or a version
    /// gone back to, and the second answer tells. One deadline covers both.
    pub(super) async fn ask_surely(&self, secret: &SecretName) -> (Want, Said, Course) {
        let deadline = self.deadline();
        let (want, said) = self.ask(secret).await;
        if !self.is_doubtful(secret, &said) {
            return (want, said, Course::refresh());
        }
        let second = async {
            sleep(SECOND_LOOK).await;
            self.ask(secret).await
        };
        let second = deadline.limit(second).await;
        let (want, said) = second.unwrap_or_else(|_| (want, self.calls.timed_out(secret)));
        let (course, held) = (Course::refresh().confirmed(), self.copies.held(secret));
        let is_behind = course.ahead_of(&said, held.as_ref(), self.copies.clock.now()).is_some();
        let said = if is_behind { Err(behind(&said)) } else { said };
        (want, said, course)
    }
}
