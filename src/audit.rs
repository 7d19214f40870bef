//! Verification of an audit log, which needs no delivery.

use std::ops::ControlFlow;
use std::path::PathBuf;

use delivery_core::audit::log::{Key, Verification, VerifyOptions, verify};
use napi::bindgen_prelude::{AsyncTask, Env, Result, Task};
use napi_derive::napi;

use crate::report;

/// Reads a log on a thread of Node's pool.
pub struct Verify {
    path: PathBuf,
    key: Option<Vec<u8>>,
}

impl Task for Verify {
    type Output = std::result::Result<Verification, String>;
    type JsValue = String;

    fn compute(&mut self) -> Result<Self::Output> {
        let key = match &self.key {
            None => None,
            Some(key) => match Key::new(key) {
                None => return Ok(Err("the key is too short".into())),
                some => some,
            },
        };
        let options = VerifyOptions { key, ..VerifyOptions::default() };
        let verified = verify(&self.path, &options, &mut |_| ControlFlow::Continue(()));
        Ok(verified.map_err(|failure| failure.message))
    }

    fn resolve(&mut self, _: Env, verified: Self::Output) -> Result<String> {
        Ok(match verified {
            Ok(verification) => report::verification(&verification).to_string(),
            Err(message) => report::unreadable(&message).to_string(),
        })
    }
}

/// Verifies the log at `path`; gives the report as JSON text, or one with `unreadable`.
#[napi(ts_return_type = "Promise<string>")]
pub fn verify_audit_log(path: String, key: Option<napi::bindgen_prelude::Uint8Array>) -> AsyncTask<Verify> {
    AsyncTask::new(Verify { path: PathBuf::from(path), key: key.map(|key| key.to_vec()) })
}
