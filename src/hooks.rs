//! The service's rotation hooks: functions of JavaScript that the core calls and waits for.

use std::sync::Arc;

use delivery_core::rotation::hooks::{Hook, HookAnswer, HookContext, HookFailure, Hooks};
use secret::value::SecretValue;

use crate::completions::Completions;
use crate::questions::Questions;
use crate::report;

type Answer = Result<Option<SecretValue>, HookFailure>;

/// The hooks that `options.rotation.hooks` named.
pub struct JsHooks {
    given: Vec<Hook>,
    completions: Arc<Completions>,
    calls: Questions<HookContext, Answer>,
}

impl JsHooks {
    /// The functions themselves stay in JavaScript (`lib/operations.js`).
    pub fn new(given: Vec<Hook>, completions: Arc<Completions>) -> Self {
        Self { given, completions, calls: Questions::default() }
    }

    /// A value of a call under way; nothing once it ended.
    pub fn value(&self, id: u32, pending: bool) -> Option<SecretValue> {
        let value =
            |context: &HookContext| if pending { context.pending.clone() } else { Some(context.current.clone()) };
        self.calls.about(id, value).flatten()
    }

    /// A call ended. One that was given up is not waited for any more.
    pub fn finish(&self, id: u32, answer: Answer) {
        self.calls.answer(id, answer);
    }
}

impl Hooks for JsHooks {
    fn has(&self, hook: Hook) -> bool {
        self.given.contains(&hook)
    }

    fn call(&self, hook: Hook, context: HookContext) -> HookAnswer {
        let told = report::hook_context(hook, &context).to_string();
        let (id, answered) = self.calls.open(context);
        self.completions.call_hook(id, told);
        // Without an answer JavaScript's environment has gone.
        Box::pin(async move { answered.wait().await.unwrap_or_else(|| Err(HookFailure::new("Closed", None))) })
    }
}
