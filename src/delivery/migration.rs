//! `delivery.migration`.

use std::path::PathBuf;

use delivery_core::migration::{Applied, Mode};
use napi_derive::napi;
use secret::error::SecretError;

use super::native::NativeDelivery;
use crate::messages::{Message, Outcome};
use crate::reports::AnyReport;
use crate::reports::migration::{ApplyReport, MigrationPlan, MigrationProgress, RetireReport, RollbackReport};
use crate::scope::NativeScope;

#[napi]
impl NativeDelivery {
    /// `migration.plan`.
    #[napi(catch_unwind)]
    pub fn migration_plan(&self, id: u32, scope: NativeScope) {
        self.start(id, |delivery| async move {
            let plan = delivery.plan_migration(&scope.read()?).await?;
            Ok(Outcome::report(MigrationPlan::of(&delivery, plan)))
        });
    }

    /// `migration.apply`. Sends a `MigrationProgress` for each secret that is done.
    #[napi(catch_unwind)]
    pub fn migration_apply(&self, id: u32, scope: NativeScope, overwrite: bool) {
        let completions = self.completions.clone();
        self.start(id, |delivery| async move {
            let on_progress = |one: &Applied, done: usize, total: usize| {
                let progress = AnyReport::new(MigrationProgress::of(one, done, total));
                completions.push(Message::Progress { id, progress });
            };
            let secrets = delivery.apply_migration(&scope.read()?, overwrite, &on_progress).await?;
            Ok(Outcome::report(ApplyReport::of(&delivery, &secrets)))
        });
    }

    /// `migration.retire`.
    #[napi(catch_unwind)]
    pub fn migration_retire(&self, id: u32, scope: NativeScope, mode: String) {
        self.start(id, |delivery| async move {
            let mode = match mode.as_str() {
                "comment" => Mode::Comment,
                "remove" => Mode::Remove,
                _ => return Err(SecretError::config("mode", "must be 'comment' or 'remove'")),
            };
            let retired = delivery.retire_migrated(&scope.read()?, mode).await?;
            Ok(Outcome::report(RetireReport::of(&delivery, retired)))
        });
    }

    /// `migration.rollback`.
    #[napi(catch_unwind)]
    pub fn migration_rollback(&self, id: u32, backup: Option<String>) {
        self.start(id, |delivery| async move {
            let put_back = delivery.roll_back_migration(backup.map(PathBuf::from)).await?;
            Ok(Outcome::report(RollbackReport::of(&delivery, put_back)))
        });
    }
}
