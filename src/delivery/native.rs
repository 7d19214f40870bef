//! The class behind `lib/delivery.js`: what all its methods share, and how one ends.
//!
//! A method starts an operation and returns; [`Completions`] hands its end to JavaScript. The other files of this folder
//! add methods, one file for each class or object that the package shows.

use std::pin::Pin;
use std::sync::Arc;

use delivery_core::delivery::Delivery;
use napi::bindgen_prelude::spawn;
use napi_derive::napi;
use secret::error::SecretError;
use secret::name::SecretName;
use secret::value::SecretValue;

use crate::batch::Batch;
use crate::completions::Completions;
use crate::credentials::JsCredentials;
use crate::hooks::JsHooks;
use crate::messages::Outcome;
use crate::raw::Strings;
use crate::sink::JsSink;
use crate::variables::JsVariables;

/// One delivery. Dropping it (garbage collection, end of a worker) stops it and wipes its cached values.
#[napi]
pub struct NativeDelivery {
    pub(super) delivery: Arc<Delivery>,
    pub(super) completions: Arc<Completions>,
    pub(super) hooks: Arc<JsHooks>,
    pub(super) variables: Arc<JsVariables>,
    pub(super) credentials: Arc<JsCredentials>,
    pub(super) sink: Arc<JsSink>,
    pub(super) strings: Arc<Strings>,
}

impl Drop for NativeDelivery {
    fn drop(&mut self) {
        self.delivery.abandon();
    }
}

type Answer = std::result::Result<Outcome, SecretError>;

impl NativeDelivery {
    /// Runs `work` as operation `id`.
    pub(super) fn start<F>(&self, id: u32, work: impl FnOnce(Arc<Delivery>) -> F)
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        // Boxed, so that a task of the runtime is compiled once and not for each operation.
        self.run(id, Box::pin(work(self.delivery.clone())));
    }

    fn run(&self, id: u32, work: Pin<Box<dyn Future<Output = Answer> + Send>>) {
        let ticket = self.completions.ticket(id);
        spawn(async move { ticket.finish(work.await) });
    }

    /// Runs `work` on a valid `name`. An invalid name rejects before any source is asked.
    pub(super) fn start_named<F>(&self, id: u32, name: &str, work: impl FnOnce(Arc<Delivery>, SecretName) -> F)
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        match SecretName::new(name) {
            Ok(name) => self.start(id, |delivery| work(delivery, name)),
            Err(error) => self.completions.ticket(id).finish(Err(error)),
        }
    }
}

/// The answer of a read of one secret.
pub(super) fn secret(value: Option<SecretValue>) -> Outcome {
    value.map_or(Outcome::Null, Outcome::Secret)
}

#[napi]
impl NativeDelivery {
    /// The messages since the last batch. `null` when there are none: `settle` is called with those that come later.
    #[napi(
        ts_return_type = "{ reads: Array<unknown>, ids: Array<number>, values: Array<unknown>, others: Array<unknown>, more: boolean } | null",
        catch_unwind
    )]
    pub fn more(&self) -> Option<Batch> {
        self.completions.more()
    }

    /// The full name of the environment.
    #[napi(catch_unwind)]
    pub fn environment(&self) -> String {
        self.delivery.environment().as_str().to_owned()
    }

    /// `close`.
    #[napi(catch_unwind)]
    pub fn close(&self, id: u32) {
        self.start(id, |delivery| async move {
            delivery.close().await;
            Ok(Outcome::Null)
        });
    }
}
