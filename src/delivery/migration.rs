//! `delivery.migration`.

use napi_derive::napi;

use super::native::NativeDelivery;
use crate::completions::Outcome;
use crate::migration::{self, NativeScope};

#[napi]
impl NativeDelivery {
    /// `migration.plan`.
    #[napi(catch_unwind)]
    pub fn migration_plan(&self, id: u32, scope: NativeScope) {
        self.start(id, |delivery| async move { migration::plan(&delivery, scope).await.map(Outcome::Report) });
    }

    /// `migration.apply`.
    #[napi(catch_unwind)]
    pub fn migration_apply(&self, id: u32, scope: NativeScope, overwrite: bool) {
        let completions = self.completions.clone();
        self.start(id, |delivery| async move {
            migration::apply(&delivery, &completions, id, scope, overwrite).await.map(Outcome::Report)
        });
    }

    /// `migration.retire`.
    #[napi(catch_unwind)]
    pub fn migration_retire(&self, id: u32, scope: NativeScope, mode: String) {
        self.start(id, |delivery| async move { migration::retire(&delivery, scope, &mode).await.map(Outcome::Report) });
    }

    /// `migration.rollback`.
    #[napi(catch_unwind)]
    pub fn migration_rollback(&self, id: u32, backup: Option<String>) {
        self.start(id, |delivery| async move { migration::rollback(&delivery, backup).await.map(Outcome::Report) });
    }
}
