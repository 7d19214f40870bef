//! The service's rotation hooks: functions of JavaScript that the core calls and waits for.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tcs_secret_delivery_core::rotation::hooks::{Hook, HookAnswer, HookContext, HookFailure, Hooks};
use tcs_secret_delivery_core::value::SecretValue;
use tokio::sync::oneshot;

use crate::completions::Completions;
use crate::report;

type Answer = Result<Option<SecretValue>, HookFailure>;

struct Call {
    context: HookContext,
    answer: oneshot::Sender<Answer>,
}

/// Calls under way, by id.
type Calls = Mutex<HashMap<u32, Call>>;

/// The hooks that `options.rotation.hooks` named.
pub struct JsHooks {
    given: Vec<Hook>,
    completions: Arc<Completions>,
    calls: Arc<Calls>,
    last_id: AtomicU32,
}

fn lock(calls: &Calls) -> MutexGuard<'_, HashMap<u32, Call>> {
    calls.lock().unwrap_or_else(PoisonError::into_inner)
}

impl JsHooks {
    /// The functions themselves stay in JavaScript (`lib/operations.js`).
    pub fn new(given: Vec<Hook>, completions: Arc<Completions>) -> Self {
        Self { given, completions, calls: Arc::default(), last_id: AtomicU32::new(0) }
    }

    /// A value of a call under way; nothing once it ended.
    pub fn value(&self, id: u32, pending: bool) -> Option<SecretValue> {
        let calls = lock(&self.calls);
        let context = &calls.get(&id)?.context;
        if pending { context.pending.clone() } else { Some(context.current.clone()) }
    }

    /// A call ended. One that was given up is not waited for any more.
    pub fn finish(&self, id: u32, answer: Answer) {
        if let Some(call) = lock(&self.calls).remove(&id) {
            drop(call.answer.send(answer));
        }
    }
}

/// Forgets a call that nobody waits for.
struct GivenUp(Arc<Calls>, u32);

impl Drop for GivenUp {
    fn drop(&mut self) {
        lock(&self.0).remove(&self.1);
    }
}

impl Hooks for JsHooks {
    fn has(&self, hook: Hook) -> bool {
        self.given.contains(&hook)
    }

    fn call(&self, hook: Hook, context: HookContext) -> HookAnswer {
        let id = self.last_id.fetch_add(1, Ordering::Relaxed);
        let told = report::hook_context(hook, &context).to_string();
        let (answer, answered) = oneshot::channel();
        lock(&self.calls).insert(id, Call { context, answer });
        let given_up = GivenUp(self.calls.clone(), id);
        self.completions.call_hook(id, told);
        Box::pin(async move {
            let _given_up = given_up;
            // Without an answer JavaScript's environment has gone.
            answered.await.unwrap_or_else(|_| Err(HookFailure::new("Closed", None)))
        })
    }
}
