//! Process variables that a read needs only once AWS and the env file had nothing: JavaScript reads them then.

use std::sync::Arc;

use delivery_core::source::runtime::{AskVariables, AskedVariables, VariableValues};
use secret::error::{ErrorCode, SecretError};
use secret::name::SecretName;

use crate::completions::Completions;
use crate::questions::Questions;

/// The variables of the process, or those that `options.runtime.variables` gave.
pub struct JsVariables {
    completions: Arc<Completions>,
    reads: Questions<(), Option<VariableValues>>,
}

impl JsVariables {
    /// They stay in JavaScript (`lib/variables.js`).
    pub fn new(completions: Arc<Completions>) -> Self {
        Self { completions, reads: Questions::default() }
    }

    /// JavaScript read them, or could not.
    pub fn answer(&self, id: u32, read: Option<VariableValues>) {
        self.reads.answer(id, read);
    }
}

impl AskVariables for JsVariables {
    fn ask<'a>(&'a self, name: &'a SecretName) -> AskedVariables<'a> {
        let (id, read) = self.reads.open(());
        self.completions.ask_variables(id, name.as_str().to_owned());
        Box::pin(async move {
            // Without an answer JavaScript's environment has gone.
            read.wait().await.ok_or_else(SecretError::closed)?.ok_or_else(|| {
                let message = format!("{}: options.runtime.variables threw when it was read", name.as_str());
                SecretError::new(ErrorCode::SourceUnavailable, message)
            })
        })
    }
}
