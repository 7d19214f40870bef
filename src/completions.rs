//! Finished operations, handed to JavaScript in bulk: one hop to its thread for all that ended meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use napi::bindgen_prelude::{Either, Either3, Either5, Env, Null, Object, Result, ToNapiValue};
use napi::sys;
use secret::error::{ErrorCode, SecretError};
use secret::notice::{Notice, Notices};
use secret::value::SecretValue;

use crate::failure::NativeFailure;
use crate::raw::{Hop, SecretMap, SecretText};
use crate::report;

/// What an operation gave.
pub enum Outcome {
    /// Nothing, or no such secret.
    Null,
    /// Yes or no.
    Bool(bool),
    /// A secret.
    Secret(SecretValue),
    /// The answers of reads that were begun together, in their order.
    Answers(Vec<std::result::Result<Option<SecretValue>, SecretError>>),
    /// Secrets by type.
    Secrets(Vec<(String, SecretValue)>),
    /// A report as JSON text. Never holds a value.
    Report(String),
}

/// The kinds of message beside plain values, as `lib/operations.js` reads them.
mod kind {
    pub const FAILED: u32 = 1;
    pub const REPORT: u32 = 2;
    pub const WARNING: u32 = 3;
    pub const ROTATED: u32 = 4;
    pub const HOOK: u32 = 5;
    pub const ROTATION: u32 = 6;
    pub const ALERT: u32 = 7;
    pub const SHIP: u32 = 8;
    pub const LOG: u32 = 9;
    pub const PROGRESS: u32 = 10;
    pub const VARIABLES: u32 = 11;
}

enum Message {
    Done { id: u32, result: std::result::Result<Outcome, SecretError> },
    Noticed(Notice),
    Hook { id: u32, told: String },
    Ship { id: u32, lines: String },
    Progress { id: u32, told: String },
    Variables { id: u32, name: String },
}

impl Message {
    /// How many reads it settles.
    fn reads(&self) -> usize {
        match self {
            Self::Done { result: Ok(Outcome::Answers(answers)), .. } => answers.len(),
            _ => 1,
        }
    }
}

/// A value that ends an operation.
type Value = Either5<SecretText, SecretMap, bool, Null, Vec<Answer>>;

/// One of several answers.
type Answer = Either3<SecretText, Null, NativeFailure>;

/// One element of the list of other messages.
type Item = Either<u32, String>;

/// What crosses in one hop. Values, which are almost all there is, come as a list of ids and one of values; everything
/// else as one flat list: kind, id, two texts; again and again.
#[derive(Default)]
pub struct Batch {
    ids: Vec<u32>,
    values: Vec<Value>,
    others: Vec<Item>,
}

impl Batch {
    fn of(messages: Vec<Message>) -> Self {
        let mut batch = Self { ids: Vec::with_capacity(messages.len()), ..Self::default() };
        batch.values.reserve(messages.len());
        for message in messages {
            batch.add(message);
        }
        batch
    }

    fn add(&mut self, message: Message) {
        match message {
            Message::Done { id, result: Ok(outcome) } => {
                let value = match outcome {
                    Outcome::Secret(value) => Value::A(SecretText(value)),
                    Outcome::Secrets(secrets) => Value::B(SecretMap(secrets)),
                    Outcome::Bool(value) => Value::C(value),
                    Outcome::Null => Value::D(Null),
                    Outcome::Answers(answers) => Value::E(answers.into_iter().map(answer).collect()),
                    Outcome::Report(json) => return self.other(kind::REPORT, id, json, String::new()),
                };
                self.ids.push(id);
                self.values.push(value);
            }
            Message::Done { id, result: Err(error) } => {
                self.other(kind::FAILED, id, error.code().as_str().to_owned(), error.to_string());
            }
            Message::Noticed(Notice::Warning { code, message }) => {
                self.other(kind::WARNING, 0, code.to_owned(), message);
            }
            Message::Noticed(Notice::Rotated { tool, secret_type }) => {
                self.other(kind::ROTATED, 0, tool, secret_type);
            }
            Message::Noticed(notice @ (Notice::RotationAnnounced { .. } | Notice::RotationEnded(_))) => {
                self.other(kind::ROTATION, 0, report::rotation_notice(&notice).to_string(), String::new());
            }
            Message::Noticed(Notice::Alert(alert)) => {
                self.other(kind::ALERT, 0, report::alert(&alert).to_string(), String::new());
            }
            Message::Noticed(Notice::Log { level, message }) => {
                self.other(kind::LOG, 0, level.as_str().to_owned(), message);
            }
            Message::Ship { id, lines } => self.other(kind::SHIP, id, lines, String::new()),
            Message::Progress { id, told } => self.other(kind::PROGRESS, id, told, String::new()),
            Message::Hook { id, told } => self.other(kind::HOOK, id, told, String::new()),
            Message::Variables { id, name } => self.other(kind::VARIABLES, id, name, String::new()),
        }
    }

    fn other(&mut self, kind: u32, id: u32, first: String, second: String) {
        self.others.extend([Item::A(kind), Item::A(id), Item::B(first), Item::B(second)]);
    }
}

fn answer(answer: std::result::Result<Option<SecretValue>, SecretError>) -> Answer {
    match answer {
        Ok(Some(value)) => Answer::A(SecretText(value)),
        Ok(None) => Answer::B(Null),
        Err(error) => Answer::C(error.into()),
    }
}

impl ToNapiValue for Batch {
    /// # Safety
    /// `env` must be the current environment.
    unsafe fn to_napi_value(env: sys::napi_env, batch: Self) -> Result<sys::napi_value> {
        let current = Env::from_raw(env);
        let mut object = Object::new(&current)?;
        object.set("ids", batch.ids)?;
        object.set("values", batch.values)?;
        object.set("others", batch.others)?;
        // SAFETY: `env` is current.
        unsafe { ToNapiValue::to_napi_value(env, object) }
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
            Batch::of(source.upgrade().map_or_else(Vec::new, |completions| completions.drain()))
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

    /// Has JavaScript call a hook; `told` is its context as JSON text.
    pub fn call_hook(&self, id: u32, told: String) {
        self.push(Message::Hook { id, told });
    }

    /// Has JavaScript take audit lines.
    pub fn ship(&self, id: u32, lines: String) {
        self.push(Message::Ship { id, lines });
    }

    /// Has JavaScript read the variables that may hold the secret `name`.
    pub fn ask_variables(&self, id: u32, name: String) {
        self.push(Message::Variables { id, name });
    }

    /// Tells how far operation `id` is, as JSON text.
    pub fn progress(&self, id: u32, told: String) {
        self.push(Message::Progress { id, told });
    }

    fn push(&self, message: Message) {
        let is_due = {
            let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
            queue.push(message);
            self.hop_is_due.swap(true, Ordering::AcqRel)
        };
        if !is_due && let Some(hop) = self.hop.get() {
            hop.call();
        }
    }

    /// What ended so far. JavaScript comes back for more ([`Completions::more`]): until then nothing hops.
    fn drain(&self) -> Vec<Message> {
        first_of(&mut self.queue.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What ended since the last time; `None`, and whatever ends from then on hops again, when that is nothing.
    ///
    /// JavaScript asks in a later turn of its loop. Under load operations end as fast as they are settled, and a hop for
    /// each batch would let Node call back a thousand times before it looked at its timers and sockets.
    pub fn more(&self) -> Option<Batch> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.is_empty() {
            // Under the lock: whoever pushes next sees it.
            self.hop_is_due.store(false, Ordering::Release);
            return None;
        }
        Some(Batch::of(first_of(&mut queue)))
    }
}

/// As many reads as one turn of JavaScript's loop settles: what goes on with them takes time, and timers and sockets wait
/// for it.
const MOST: usize = 128;

/// Takes the first messages: those of [`MOST`] reads, and at least one.
fn first_of(queue: &mut Vec<Message>) -> Vec<Message> {
    let mut reads = 0;
    let first = queue.iter().take_while(|message| {
        reads += message.reads();
        reads <= MOST
    });
    let first = first.count().max(1).min(queue.len());
    let rest = queue.split_off(first);
    std::mem::replace(queue, rest)
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
