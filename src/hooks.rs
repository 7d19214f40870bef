//! The service's rotation hooks: functions in JavaScript that the core calls and waits for.

use std::collections::HashMap;
use std::sync::Arc;

use delivery_core::rotation::hooks::{Hook, HookAnswer, HookContext, HookFailure, Hooks, Stop};
use secret::value::SecretValue;

use crate::completions::Completions;
use crate::messages::Message;
use crate::questions::Questions;
use crate::reports::AnyReport;
use crate::reports::rotation::RotationHookContext;

type Answer = Result<Option<SecretValue>, HookFailure>;

/// The hooks that `options.rotation.hooks` and `hooksOf` name. The functions themselves stay in JavaScript (`lib/hooks.js`).
pub struct JsHooks {
    given: Vec<Hook>,
    /// By secret name, in place of those above.
    own: HashMap<String, Vec<Hook>>,
    completions: Arc<Completions>,
    calls: Questions<HookContext, Answer>,
}

impl JsHooks {
    pub fn new(given: Vec<Hook>, own: HashMap<String, Vec<Hook>>, completions: Arc<Completions>) -> Self {
        Self { given, own, completions, calls: Questions::default() }
    }

    /// The pending or the current value of a call under way. `None` after the call has ended.
    pub fn value(&self, id: u32, pending: bool) -> Option<SecretValue> {
        let value =
            |context: &HookContext| if pending { context.pending.clone() } else { Some(context.current.clone()) };
        self.calls.about(id, value).flatten()
    }

    /// Ends a call. A call that the core has given up is ignored.
    pub fn finish(&self, id: u32, answer: Answer) {
        self.calls.answer(id, answer);
    }
}

impl Hooks for JsHooks {
    fn has(&self, hook: Hook, name: &str) -> bool {
        self.own.get(name).unwrap_or(&self.given).contains(&hook)
    }

    fn call(&self, hook: Hook, context: HookContext, stop: Stop) -> HookAnswer {
        let crossing = AnyReport::new(RotationHookContext::of(hook, &context));
        let (id, answered) = self.calls.open(context);
        self.completions.push(Message::CallHook { id, context: crossing });
        let completions = self.completions.clone();
        Box::pin(async move {
            let mut answer = std::pin::pin!(answered.wait());
            let answer = tokio::select! {
                biased;
                answer = &mut answer => answer,
                () = stop.cancelled() => {
                    completions.push(Message::StopHook { id });
                    answer.await
                }
            };
            // No answer comes when JavaScript's environment has ended.
            answer.unwrap_or_else(|| Err(HookFailure::new("Closed", None)))
        })
    }
}
