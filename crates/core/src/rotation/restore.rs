//! Going back to a version that AWS still has (`rotation.restore`).

use std::sync::Arc;

use super::keeper::Keeper;
use super::staged::Source;
use super::steps::{StepLog, failed};
use super::{Place, RotationManager, StepsEnded, Trigger, Wanted, describe};
use aws::Which;
use secret::environment::Environment;
use secret::error::Result;
use secret::name::SecretName;
use secret::report::Report;

impl RotationManager {
    /// Makes `version` of `name` live again and reports the result: its value goes through the hooks as a new one does. A
    /// failure is a report, not an error.
    ///
    /// # Errors
    /// `CLOSED`.
    pub async fn restore(
        self: &Arc<Self>,
        name: &SecretName,
        environment: Environment,
        version: String,
    ) -> Result<Arc<Report>> {
        let place = self.place(name, environment)?;
        // Not joined with a rotation under way, which makes something else.
        let (manager, key) = (self.clone(), format!("{}\0{version}", place.id));
        let rotation = move || async move { Ok(Arc::new(manager.run(&place, Wanted::Kept(version)).await)) };
        self.flights.join(&key, rotation).await.1
    }

    pub(super) async fn go_back(
        self: &Arc<Self>,
        place: &Place,
        version: &str,
        log: &mut StepLog,
        previous: &mut Option<String>,
    ) -> Result<StepsEnded> {
        let id = &place.id;
        let aws = self.aws(id)?;
        let before = self.live(aws, place).await?;
        *previous = Some(before.id.clone());
        if before.id == version {
            return Ok(StepsEnded { version: Some(before.id), ..StepsEnded::finished() });
        }
        let said = describe(aws, id).await?;
        match Keeper::of(id, &said) {
            Some(Keeper::Aws) => return Err(failed(id, "AWS rotates it; go back in AWS")),
            Some(Keeper::Others(why)) => return Err(failed(id, format_args!("{why}; only that may change it"))),
            None => {}
        }
        let kept = aws.version(id, Which::Id(version)).await?;
        let kept = kept.ok_or_else(|| {
            let why = "AWS has no such version (any more); list-secret-version-ids shows those that it has";
            failed(id, format_args!("version {version}: {why}"))
        })?;
        self.make_live(place, before, &said, (Source::Kept(kept), Trigger::SERVICE), log).await
    }
}
