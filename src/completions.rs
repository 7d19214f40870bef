//! Finished operations, handed to JavaScript in bulk: one hop to its thread for all that ended meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use napi::bindgen_prelude::{Either, Either5, Env, Null, Object, Result};
use tcs_secret_delivery_core::error::{ErrorCode, SecretError};
use tcs_secret_delivery_core::notice::{Notice, Notices};
use tcs_secret_delivery_core::value::SecretValue;

use crate::raw::{Hop, SecretMap, SecretText};

/// What an operation gave.
pub enum Outcome {
    /// Nothing, or no such secret.
    Null,
    /// Yes or no.
    Bool(bool),
    /// A secret.
    Secret(SecretValue),
    /// Secrets by type.
    Secrets(Vec<(String, SecretValue)>),
    /// A report as JSON text. Never holds a value.
    Report(String),
}

/// The kinds of message, as `lib/operations.js` reads them.
mod kind {
    pub const DONE: u32 = 0;
    pub const FAILED: u32 = 1;
    pub const REPORT: u32 = 2;
    pub const WARNING: u32 = 3;
    pub const ROTATED: u32 = 4;
}

enum Message {
    Done { id: u32, result: std::result::Result<Outcome, SecretError> },
    Noticed(Notice),
}

/// One element of the flat list.
pub type Item = Either5<u32, String, SecretText, SecretMap, Either<bool, Null>>;

/// Messages for JavaScript: kind, id, two payloads; again and again.
fn items(messages: Vec<Message>) -> Vec<Item> {
    messages.into_iter().flat_map(flatten).collect()
}

fn flatten(message: Message) -> [Item; 4] {
    let (number, text, null) = (Item::A, Item::B, || Item::E(Either::B(Null)));
    match message {
        Message::Done { id, result: Err(error) } => {
            [number(kind::FAILED), number(id), text(error.code().as_str().to_owned()), text(error.to_string())]
        }
        Message::Done { id, result: Ok(Outcome::Report(json)) } => {
            [number(kind::REPORT), number(id), text(json), null()]
        }
        Message::Done { id, result: Ok(outcome) } => {
            let value = match outcome {
                Outcome::Secret(value) => Item::C(SecretText(value)),
                Outcome::Secrets(secrets) => Item::D(SecretMap(secrets)),
                Outcome::Bool(value) => Item::E(Either::A(value)),
                Outcome::Null | Outcome::Report(_) => null(),
            };
            [number(kind::DONE), number(id), value, null()]
        }
        Message::Noticed(Notice::Warning { code, message }) => {
            [number(kind::WARNING), number(0), text(code.to_owned()), text(message)]
        }
        Message::Noticed(Notice::Rotated { tool, secret_type }) => {
            [number(kind::ROTATED), number(0), text(tool), text(secret_type)]
        }
    }
}

/// The queue between the core's threads and JavaScript's.
#[derive(Default)]
pub struct Completions {
    queue: Mutex<Vec<Message>>,
    hop_is_due: AtomicBool,
    hop: OnceLock<Hop>,
}

impl Completions {
    /// `target.settle` takes batches of messages on the JavaScript thread.
    pub fn new(env: Env, target: Object<'_>) -> Result<Arc<Self>> {
        let completions = Arc::new(Self::default());
        let source = Arc::downgrade(&completions);
        let hop = Hop::new(env, target, move || {
            items(source.upgrade().map_or_else(Vec::new, |completions| completions.drain()))
        })?;
        // Set once, here; a second value cannot exist.
        drop(completions.hop.set(hop));
        Ok(completions)
    }

    /// While operations are pending the process stays; otherwise nothing here holds it.
    pub fn hold(&self, env: Env, hold: bool) -> Result<()> {
        self.hop.get().map_or(Ok(()), |hop| hop.hold(env, hold))
    }

    /// A promise to finish operation `id`, kept even when its task dies.
    pub fn ticket(self: &Arc<Self>, id: u32) -> Ticket {
        Ticket { id, completions: Some(self.clone()) }
    }

    fn push(&self, message: Message) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).push(message);
        if !self.hop_is_due.swap(true, Ordering::AcqRel)
            && let Some(hop) = self.hop.get()
        {
            hop.call();
        }
    }

    fn drain(&self) -> Vec<Message> {
        // Cleared first: a message pushed from here on arranges its own hop.
        self.hop_is_due.store(false, Ordering::Release);
        std::mem::take(&mut *self.queue.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Notices for Completions {
    fn notice(&self, notice: Notice) {
        self.push(Message::Noticed(notice));
    }
}

/// One pending operation. Finishes with an error when it is dropped unfinished (a panicking task must not leave a
/// promise pending forever).
pub struct Ticket {
    id: u32,
    completions: Option<Arc<Completions>>,
}

impl Ticket {
    /// Ends the operation.
    pub fn finish(mut self, result: std::result::Result<Outcome, SecretError>) {
        if let Some(completions) = self.completions.take() {
            completions.push(Message::Done { id: self.id, result });
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(completions) = self.completions.take() {
            let error = SecretError::new(ErrorCode::SourceUnavailable, "the operation ended unexpectedly");
            completions.push(Message::Done { id: self.id, result: Err(error) });
        }
    }
}
