//! `RedactorWatching`.

use leaks::ledger;
use napi_derive::napi;

use super::count;

/// What a redactor looks for.
#[napi(object, object_from_js = false, js_name = "RedactorWatching")]
pub struct Watching {
    pub values: i64,
    pub left_out: Vec<UnwatchedSecret>,
}

/// A secret whose value is not looked for.
#[napi(object, object_from_js = false)]
pub struct UnwatchedSecret {
    pub secret: String,
    pub reason: &'static str,
}

impl From<ledger::Watching> for Watching {
    fn from(watching: ledger::Watching) -> Self {
        let left_out = watching.left_out.into_iter();
        Self {
            values: count(watching.values),
            left_out: left_out
                .map(|(secret, why)| UnwatchedSecret { secret: secret.to_string(), reason: why.as_str() })
                .collect(),
        }
    }
}
