//! What reports look like in JavaScript: plain objects whose TypeScript is generated into `native.d.ts`.
//!
//! `__test__/types/reports.ts` compares each of them with the interface of the same name in `index.d.ts`. No report has a
//! place for a secret's value, except [`versions::SecretVersions`], which exists to return values.

pub mod audit;
pub mod compliance;
pub mod explanation;
pub mod finding;
pub mod health;
pub mod identity;
pub mod metrics;
pub mod migration;
pub mod preset;
pub mod redaction;
pub mod rotation;
pub mod store;
pub mod validation;
pub mod versions;

use napi::Env;
use napi::bindgen_prelude::{JsValue, Result, ToNapiValue, Unknown};
use napi::sys;
use napi_derive::napi;
use secret::error::SecretError;

/// An error inside a report.
#[napi(object, object_from_js = false)]
pub struct ReportedError {
    pub code: String,
    pub message: String,
    /// The IAM action that AWS refused. Missing where AWS did not name it.
    pub action: Option<String>,
}

impl ReportedError {
    pub fn of(error: Option<&SecretError>) -> Option<Self> {
        error.map(|error| Self {
            code: error.code().as_str().to_owned(),
            message: error.to_string(),
            action: error.action().map(str::to_owned),
        })
    }
}

/// A count as a JavaScript number: napi turns a `u64` into a `BigInt`.
pub(crate) fn count(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

/// A report of any type. It is made on the core's threads and becomes an object on JavaScript's.
pub struct AnyReport(Box<dyn IntoJs>);

impl AnyReport {
    pub fn new(report: impl ToNapiValue + Send + 'static) -> Self {
        Self(Box::new(report))
    }
}

trait IntoJs: Send {
    fn into_js(self: Box<Self>, env: &Env) -> Result<Unknown<'_>>;
}

impl<T: ToNapiValue + Send> IntoJs for T {
    fn into_js(self: Box<Self>, env: &Env) -> Result<Unknown<'_>> {
        (*self).into_unknown(env)
    }
}

impl ToNapiValue for AnyReport {
    /// # Safety
    /// `env` must be the current environment.
    unsafe fn to_napi_value(env: sys::napi_env, report: Self) -> Result<sys::napi_value> {
        Ok(report.0.into_js(&Env::from_raw(env))?.raw())
    }
}
