//! Rotations of a field of a JSON secret, whose other fields others write meanwhile and have written since.
//!
//! When another field was written while a new value was tried, the value is put into what is live now: neither is lost, and the target
//! system, which has the new value already, is not left with one that never became live. Going back to an older version takes only the
//! field from it.

use super::generator;
use super::labels::{self, NotMoved};
use super::staged::{Candidate, CandidateState, Created, Job};
use super::steps::failed;
use super::version_ids::{MAX_CANDIDATES, token};
use aws::{CURRENT, Description, PENDING, Version, Which};
use secret::error::Result;

/// How often others may write meanwhile.
const MOST: usize = 20;

impl Job<'_> {
    /// Makes `candidate` live in place of `replaced`. Both change where the value had to be put into another version.
    pub(super) async fn finish(
        &self,
        replaced: &mut Version,
        candidate: &mut Candidate,
    ) -> std::result::Result<(), NotMoved> {
        for _ in 0..MOST {
            let moved = labels::make_current(self.aws, self.id, &replaced.id, &candidate.version).await;
            let Err(not_moved) = moved else { return Ok(()) };
            if not_moved.may_be_live || !self.rebase(replaced, candidate).await.unwrap_or(false) {
                return Err(not_moved);
            }
        }
        labels::make_current(self.aws, self.id, &replaced.id, &candidate.version).await
    }

    /// Puts the new value into the version that is live now. `false` where that is not called for: nothing else became live, or the
    /// field itself was changed.
    async fn rebase(&self, replaced: &mut Version, candidate: &mut Candidate) -> Result<bool> {
        let Some(field) = &self.place.field else { return Ok(false) };
        let Some(live) = self.aws.version(self.id, Which::Label(CURRENT)).await? else { return Ok(false) };
        if live.id == replaced.id || self.place.part(&live.value)? != self.place.part(&replaced.value)? {
            return Ok(false);
        }
        let value = generator::with_field(&live.value, &self.place.part(&candidate.value)?, field)?;
        let token = token(&self.key, &live.id, (0, self.hooks.change_target()));
        self.aws.put_pending(self.id, &value, &token).await?;
        let put = labels::written(self.aws, self.id, &token, PENDING).await?;
        let Some(put) = put.filter(|put| put.value == value) else { return Ok(false) };
        *replaced = live;
        *candidate = Candidate {
            version: put.id,
            value,
            resumed: candidate.resumed,
            is_pending: true,
            created_unix_ms: put.created_unix_ms,
        };
        Ok(true)
    }

    /// Puts the field of an older version into the live one, under an id that no rotation used yet.
    pub(super) async fn put_part(
        &self,
        live: &Version,
        said: &Description,
        old: &Version,
        field: &str,
    ) -> Result<Created> {
        self.check_pending(live, said).await?;
        let part = self.place.part(&old.value)?;
        // Not the generator's: the field may have been deleted since.
        let value = live.value.with_field(field, &part).map_err(|why| failed(self.id, why))?;
        for number in 0..MAX_CANDIDATES {
            let token = token(&self.key, &live.id, (number, self.hooks.change_target()));
            if let CandidateState::Missing = self.candidate(&token).await? {
                return self.put(&value, &token).await;
            }
        }
        Err(failed(self.id, format_args!("{MAX_CANDIDATES} values were given up one after the other")))
    }
}
