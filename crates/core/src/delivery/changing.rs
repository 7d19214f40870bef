//! Everything that changes a secret or a copy of it.

use std::sync::Arc;
use std::time::Duration;

use async_recursion::async_recursion as boxed;
use audit_log::{Cache as AuditCache, Event};
use secret::clock::Stopwatch;
use secret::error::{ErrorCode, Result, SecretError};
use secret::found::Origin;
use secret::name::SecretName;
use secret::notice::Notice;
use secret::report::Report;
use secret::value::SecretValue;

use super::Delivery;
use super::recording::unless_unrecorded;
use crate::audit::Access;
use crate::reads::fields::part_of;
use crate::resolver::local;
use crate::rotation::calendar::Appointment;
use crate::rotation::{Asked, Trigger};

impl Delivery {
    /// The fresh cached value of `name` (`cache.get`).
    ///
    /// # Errors
    /// `CLOSED`.
    #[boxed]
    pub async fn cache_get(&self, name: &SecretName) -> Result<Option<SecretValue>> {
        let watch = Stopwatch::start();
        let found = self
            .audited(async {
                let (Some(cache), ids) = (self.reads().cache(), self.reads().ids()) else { return Ok(None) };
                let place = ids.place(name)?;
                let whole = cache.get(&place.secret).await.map(|value| local(value, Origin::Memory));
                Ok(part_of(ids, name.as_str(), &place, Ok(whole))?.map(|found| found.value))
            })
            .await;
        let access = Access { source: "cache", cache: AuditCache::Hit, ..Self::access(name, &found, watch.took()) };
        let recorded = self.record(&access).await;
        let value = unless_unrecorded(found, recorded)?;
        self.note_others(name.as_str(), value.as_ref());
        Ok(value)
    }

    /// Puts a value by hand (`cache.set`); nothing happens where caching is off.
    ///
    /// # Errors
    /// `SECRET_NAME_INVALID` for a name that is a field of an AWS secret; `CACHE_UNAVAILABLE`, `CLOSED`.
    #[boxed]
    pub async fn cache_set(&self, name: &SecretName, value: SecretValue, ttl: Option<Duration>) -> Result<()> {
        self.acted(Event::Set, name.as_str(), async {
            let Some(cache) = self.reads().cache() else { return Ok(()) };
            let place = self.reads().ids().place(name)?;
            if let Some(field) = &place.field {
                let (name, id) = (name.as_str(), self.reads().id(&place.secret));
                let why = format!(
                    "{name}: it is the field '{field}' of the secret {id}, and only whole secrets are put by hand"
                );
                return Err(SecretError::new(ErrorCode::SecretNameInvalid, why));
            }
            self.reads().forget(&place.secret);
            self.reads().follow_changes();
            let set = cache.set(&place.secret, value, ttl).await;
            self.reads().settle_snapshot().await;
            set
        })
        .await
    }

    /// Drops the copies of `name` (`cache.invalidate`), and of all names that are parts of the same AWS secret.
    ///
    /// # Errors
    /// `CACHE_UNAVAILABLE`, `CLOSED`.
    #[boxed]
    pub async fn cache_invalidate(&self, name: &SecretName) -> Result<()> {
        self.acted(Event::Invalidate, name.as_str(), async {
            let secret = self.reads().ids().place(name)?.secret;
            self.reads().invalidate(&secret).await
        })
        .await
    }

    /// Drops every copy of this environment (`cache.clear`).
    ///
    /// # Errors
    /// `CACHE_UNAVAILABLE`, `CLOSED`.
    #[boxed]
    pub async fn cache_clear(&self) -> Result<()> {
        self.acted(Event::Clear, "", self.clear()).await
    }

    /// Drops the copies that this instance made: those of others, and their keys, are left alone.
    pub(super) async fn clear_own(&self) -> Result<()> {
        self.reads().forget_all();
        match self.reads().cache() {
            Some(cache) => cache.clear_own().await,
            None => Ok(()),
        }
    }

    async fn clear(&self) -> Result<()> {
        self.reads().forget_all();
        let Some(cache) = self.reads().cache() else { return Ok(()) };
        let cleared = cache.clear().await;
        self.reads().settle_snapshot().await;
        cleared
    }

    /// Gives `name` a new value in `environment`, or here, and reports how that went.
    ///
    /// # Errors
    /// `CONFIG_INVALID` for an unknown environment, `CLOSED`. A failed rotation is in the report.
    #[boxed]
    pub async fn rotate(&self, name: &SecretName, environment: Option<&str>, trigger: Trigger) -> Result<Arc<Report>> {
        let environment = self.environment_or_own(environment)?;
        // Before anything is waited for.
        let asked = Asked::now();
        self.audited(self.rotation.rotate(name, environment, asked, trigger)).await
    }

    /// Makes a version of `name` that AWS still has live again, and reports how that went.
    ///
    /// # Errors
    /// As [`Delivery::rotate`].
    #[boxed]
    pub async fn restore(&self, name: &SecretName, environment: Option<&str>, version: String) -> Result<Arc<Report>> {
        let environment = self.environment_or_own(environment)?;
        self.audited(self.rotation.restore(name, environment, version)).await
    }

    /// When each declared secret is due.
    ///
    /// # Errors
    /// `CLOSED`.
    #[boxed]
    pub async fn calendar(&self) -> Result<Vec<Appointment>> {
        self.open(async { Ok(self.rotation.calendar().await) }).await
    }

    /// Begins to rotate what is due. Gives `false`, and begins nothing, where people rotate. Called inside a runtime.
    pub fn start_rotating(&self) -> bool {
        let starts = !self.is_closed() && self.rotation.start();
        if !starts && !self.is_closed() {
            let environment = self.environment.as_str();
            let message = format!("rotation.start() does nothing in {environment}, where secrets are rotated by hand");
            self.warn(Notice::warning("ROTATION_MANUAL", message));
        }
        starts
    }

    /// Somebody wants to hear of changes. Called inside a runtime.
    pub fn watch(&self) {
        if !self.is_closed() {
            self.events.watch();
        }
    }

    /// Follows an event that AWS sent (`handleSecretEvent`); gives whether it concerned this environment.
    ///
    /// # Errors
    /// See [`Events::handle`](crate::events::Events::handle); `CLOSED`.
    #[boxed]
    pub async fn handle_event(&self, text: &str) -> Result<bool> {
        self.open(self.events.handle(text)).await
    }
}
