//! `verifyAuditLog`, which needs no delivery.

use std::ops::ControlFlow;
use std::path::PathBuf;

use delivery_core::audit::log::{Key, VerifyOptions, verify};
use napi::bindgen_prelude::{AsyncTask, Either, Env, Result, Task, Uint8Array};
use napi_derive::napi;
use secret::error::{ErrorCode, SecretError};

use crate::failure::NativeFailure;
use crate::reports::audit::AuditVerification;

/// Reads a log on a thread of Node's pool.
pub struct Verify {
    path: PathBuf,
    key: Option<Vec<u8>>,
}

type Verified = Either<AuditVerification, NativeFailure>;

impl Task for Verify {
    type Output = Verified;
    type JsValue = Verified;

    fn compute(&mut self) -> Result<Verified> {
        let unreadable = |message: String| Either::B(SecretError::new(ErrorCode::SourceUnavailable, message).into());
        let key = match &self.key {
            None => None,
            Some(key) => match Key::new(key) {
                None => return Ok(unreadable("the key is too short".into())),
                some => some,
            },
        };
        let options = VerifyOptions { key, ..VerifyOptions::default() };
        let verified = verify(&self.path, &options, &mut |_| ControlFlow::Continue(()));
        Ok(verified.map_or_else(|failure| unreadable(failure.message), |verification| Either::A(verification.into())))
    }

    fn resolve(&mut self, _: Env, verified: Verified) -> Result<Verified> {
        Ok(verified)
    }
}

/// Verifies the log at `path`. Resolves to why not when it cannot be read.
#[napi(ts_return_type = "Promise<AuditVerification | NativeFailure>")]
pub fn verify_audit_log(path: String, key: Option<Uint8Array>) -> AsyncTask<Verify> {
    AsyncTask::new(Verify { path: PathBuf::from(path), key: key.map(|key| key.to_vec()) })
}
