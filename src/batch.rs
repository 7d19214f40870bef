//! The form in which messages cross to JavaScript: many at once, in flat lists.

use napi::bindgen_prelude::{Either, Either3, Either5, Env, Null, Object, Result, ToNapiValue};
use napi::sys;
use secret::error::SecretError;
use secret::value::SecretValue;

use crate::failure::NativeFailure;
use crate::messages::{Message, MessageKind, Outcome};
use crate::raw::{SecretBytes, SecretMap, SecretText};
use crate::reports::AnyReport;

/// A value that ends an operation.
type Value = Either5<SecretText, SecretMap, bool, Null, SecretBytes>;

/// One of several answers.
type Answer = Either3<SecretText, Null, NativeFailure>;

/// One element of the list of other messages.
type Item = Either3<u32, String, AnyReport>;

/// One element of the list of answers.
type Read = Either<u32, Vec<Answer>>;

/// What crosses in one hop. Answers of reads, which are almost all there is, cross as one flat list in which each portion
/// takes three places: id, number of its first read, answers. Other values cross as a list of ids and a list of values.
/// Everything else is one flat list in which each message takes four places: kind, id and two contents.
#[derive(Default)]
pub struct Batch {
    reads: Vec<Read>,
    /// Whether JavaScript is to ask for more.
    more: bool,
    ids: Vec<u32>,
    values: Vec<Value>,
    others: Vec<Item>,
}

impl Batch {
    pub fn of(messages: Vec<Message>, more: bool) -> Self {
        let mut batch = Self { more, ..Self::default() };
        for message in messages {
            batch.add(message);
        }
        batch
    }

    fn add(&mut self, message: Message) {
        use MessageKind as Kind;
        match message {
            Message::Done { id, result: Ok(outcome) } => {
                let value = match outcome {
                    Outcome::Secret(value) => Value::A(SecretText(value)),
                    Outcome::Secrets(secrets) => Value::B(SecretMap(secrets)),
                    Outcome::Bool(value) => Value::C(value),
                    Outcome::Null => Value::D(Null),
                    Outcome::Bytes(bytes) => Value::E(SecretBytes(bytes)),
                    Outcome::Report(report) => return self.report(Kind::Report, id, report),
                };
                self.ids.push(id);
                self.values.push(value);
            }
            Message::Done { id, result: Err(error) } => {
                self.report(Kind::Failed, id, AnyReport::new(NativeFailure::from(error)));
            }
            Message::Read { id, first, answers, .. } => {
                let answers = answers.into_iter().map(answer).collect();
                self.reads.extend([Read::A(id), Read::A(first), Read::B(answers)]);
            }
            Message::Warning { code, message } => self.texts(Kind::Warning, 0, code.to_owned(), message),
            Message::Log { level, message } => self.texts(Kind::Log, 0, level.to_owned(), message),
            Message::Rotated { tool, secret_type } => self.texts(Kind::Rotated, 0, tool, secret_type),
            Message::RotationNotice(notice) => self.report(Kind::RotationNotice, 0, notice),
            Message::Alert(alert) => self.report(Kind::Alert, 0, alert),
            Message::Progress { id, progress } => self.report(Kind::Progress, id, progress),
            Message::CallHook { id, context } => self.report(Kind::CallHook, id, context),
            Message::StopHook { id } => self.texts(Kind::StopHook, id, String::new(), String::new()),
            Message::AuditLines { id, lines } => self.texts(Kind::AuditLines, id, lines, String::new()),
            Message::ReadVariables { id, name } => self.texts(Kind::ReadVariables, id, name, String::new()),
            Message::LetGo { slot, slots } => {
                slots.give_back(slot);
                self.texts(Kind::LetGo, slot, String::new(), String::new());
            }
            Message::AskCredentials { id } => self.texts(Kind::AskCredentials, id, String::new(), String::new()),
        }
    }

    fn texts(&mut self, kind: MessageKind, id: u32, first: String, second: String) {
        self.others.extend([Item::A(kind as u32), Item::A(id), Item::B(first), Item::B(second)]);
    }

    fn report(&mut self, kind: MessageKind, id: u32, report: AnyReport) {
        self.others.extend([Item::A(kind as u32), Item::A(id), Item::C(report), Item::B(String::new())]);
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
        object.set("reads", batch.reads)?;
        object.set("more", batch.more)?;
        object.set("ids", batch.ids)?;
        object.set("values", batch.values)?;
        object.set("others", batch.others)?;
        // SAFETY: `env` is current.
        unsafe { ToNapiValue::to_napi_value(env, object) }
    }
}
