//! `verifyAuditLog`, which needs no delivery.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Duration;

use delivery_core::audit::log::{Hash, Key, VerifyOptions, parse_hex, pause, verify};
use napi::bindgen_prelude::{AsyncTask, Either, Env, Result, Task, Uint8Array};
use napi_derive::napi;
use secret::error::{ErrorCode, SecretError};

use crate::failure::NativeFailure;
use crate::reports::audit::AuditVerification;

/// Reads a log on a thread of Node's pool.
pub struct Verify {
    path: PathBuf,
    key: Option<Vec<u8>>,
    expected: AuditExpected,
}

/// Records that must be there.
#[napi(object)]
#[derive(Default)]
pub struct AuditExpected {
    pub first_sequence: Option<i64>,
    pub last_sequence: Option<i64>,
    /// The link of the record `last_sequence`, as 64 hexadecimal digits.
    pub last_link: Option<String>,
    /// The number of a record that must have the key, as all after it.
    pub keyed_sequence: Option<i64>,
}

impl AuditExpected {
    /// Adds them to `options`; `None` if the link is none.
    fn add_to(&self, options: VerifyOptions) -> Option<VerifyOptions> {
        let number = |given: Option<i64>| given.and_then(|number| u64::try_from(number).ok());
        let (first, last) = (number(self.first_sequence), number(self.last_sequence));
        let keyed = number(self.keyed_sequence);
        let link: Option<Hash> = match &self.last_link {
            Some(text) => Some(parse_hex(text.as_bytes())?),
            None => None,
        };
        Some(VerifyOptions { first, last, keyed, anchor: last.zip(link), ..options })
    }
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
        let Some(options) = self.expected.add_to(VerifyOptions { key, ..VerifyOptions::default() }) else {
            return Ok(unreadable("the expected link must have 64 hexadecimal digits".into()));
        };
        let verified = verify(&self.path, &options, &mut |_| ControlFlow::Continue(()));
        Ok(verified.map_or_else(|failure| unreadable(failure.message), |verification| Either::A(verification.into())))
    }

    fn resolve(&mut self, _: Env, verified: Verified) -> Result<Verified> {
        Ok(verified)
    }
}

/// Waits until no thread of this process holds the lock of an audit log, for a second at most, and keeps them all from it until
/// [`resume_audit`]: the process is about to be stopped. `false` when one still holds it.
#[napi(catch_unwind)]
pub fn pause_audit() -> bool {
    pause::pause(Duration::from_secs(1))
}

/// Ends [`pause_audit`].
#[napi(catch_unwind)]
pub fn resume_audit() {
    pause::resume();
}

/// Verifies the log at `path`. Resolves to why not when it cannot be read.
#[napi(ts_return_type = "Promise<AuditVerification | NativeFailure>")]
pub fn verify_audit_log(path: String, key: Option<Uint8Array>, expected: Option<AuditExpected>) -> AsyncTask<Verify> {
    let expected = expected.unwrap_or_default();
    AsyncTask::new(Verify { path: PathBuf::from(path), key: key.map(|key| key.to_vec()), expected })
}
