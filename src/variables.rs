//! Process variables that a read needs only after AWS and the env file had no value: JavaScript reads them then.

use std::sync::Arc;

use delivery_core::source::runtime::{AskVariables, AskedVariables, VariableValues};
use secret::error::{ErrorCode, SecretError};
use secret::name::SecretName;

use crate::completions::Completions;
use crate::messages::Message;
use crate::questions::Questions;

/// The variables of the process, or those that `options.runtime.variables` gave. They stay in JavaScript
/// (`lib/variables.js`).
pub struct JsVariables {
    completions: Arc<Completions>,
    reads: Questions<(), Option<VariableValues>>,
}

impl JsVariables {
    pub fn new(completions: Arc<Completions>) -> Self {
        Self { completions, reads: Questions::default() }
    }

    /// Takes the variables that JavaScript read. `None`: reading them threw.
    pub fn answer(&self, id: u32, read: Option<VariableValues>) {
        self.reads.answer(id, read);
    }
}

impl AskVariables for JsVariables {
    fn ask<'a>(&'a self, name: &'a SecretName) -> AskedVariables<'a> {
        let (id, read) = self.reads.open(());
        self.completions.push(Message::ReadVariables { id, name: name.as_str().to_owned() });
        Box::pin(async move {
            // No answer comes when JavaScript's environment has ended.
            read.wait().await.ok_or_else(SecretError::closed)?.ok_or_else(|| {
                let message = format!("{}: options.runtime.variables threw when it was read", name.as_str());
                SecretError::new(ErrorCode::SourceUnavailable, message)
            })
        })
    }
}
