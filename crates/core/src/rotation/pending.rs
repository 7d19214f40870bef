//! The label AWSPENDING of others: it is not taken from a rotation that is under way, nor from what somebody is about to make live.

use super::staged::Job;
use super::steps::failed;
use super::version_ids::{follows, is_of};
use aws::{Description, PENDING, PREVIOUS, Version, Which};
use secret::clock::Clock;
use secret::error::Result;
use secret::notice::Notice;

/// After this long nobody is busy any more with a version that is labelled AWSPENDING.
const BUSY_FOR: u64 = 3_600_000;

impl Job<'_> {
    /// Looks at the version that holds AWSPENDING before a new one takes the label.
    ///
    /// # Errors
    /// `ROTATION_FAILED`, naming the version and the way on.
    pub(super) async fn check_pending(&self, live: &Version, said: &Description) -> Result<()> {
        // A version that was live keeps the label of its rotation.
        let was_live = |holder: &str| holder == live.id || said.holder(PREVIOUS) == Some(holder);
        let Some(holder) = said.holder(PENDING).filter(|holder| !was_live(holder)) else { return Ok(()) };
        let (key, id) = (&*self.key, self.id);
        if is_of(key, &live.id, true, holder) && !self.hooks.change_target() {
            return Err(failed(
                id,
                format_args!(
                    "version {holder} has the label {PENDING}: a rotation with hooks did not end, and the system that the \
                     secret opens may have that value already. Rotate it with the hooks (in the service), which goes on \
                     where it ended"
                ),
            ));
        }
        let previous = said.holder(PREVIOUS);
        if follows(key, &live.id, holder) || previous.is_some_and(|previous| follows(key, previous, holder)) {
            return Ok(());
        }
        let made = self.aws.version(id, Which::Id(holder)).await?.and_then(|version| version.created_unix_ms);
        let age = made.map(|made| Clock::system().unix_ms().saturating_sub(made));
        if age.is_some_and(|age| age < BUSY_FOR) {
            return Err(failed(
                id,
                format_args!(
                    "version {holder}, which is none of this rotation, has had the label {PENDING} for less than an hour: \
                     somebody is about to make it live, or another field of the secret is being rotated. Wait for that, or take \
                     the label away: aws secretsmanager update-secret-version-stage --secret-id {id} --version-stage {PENDING} \
                     --remove-from-version-id {holder}"
                ),
            ));
        }
        let why = format!("{id}: the rotation takes the label {PENDING} from version {holder}, which nobody made live");
        self.notices.notice(Notice::warning("ROTATION_TAKES_LABEL", why));
        Ok(())
    }
}
