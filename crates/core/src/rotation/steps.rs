//! Takes down the steps of a rotation as they are taken.

use secret::clock::Clock;
use secret::error::{ErrorCode, SecretError};
use secret::report::{Step, StepReport};

/// The steps so far.
pub(super) struct StepLog {
    clock: Clock,
    pub(super) steps: Vec<StepReport>,
}

impl StepLog {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, steps: Vec::new() }
    }

    pub(super) async fn step<T, E: Clone + Into<SecretError>>(
        &mut self,
        step: Step,
        work: impl Future<Output = std::result::Result<T, E>>,
    ) -> std::result::Result<T, E> {
        let started_unix_ms = self.clock.unix_ms();
        let result = work.await;
        self.steps.push(StepReport {
            step,
            started_unix_ms,
            duration_ms: self.clock.unix_ms().saturating_sub(started_unix_ms),
            error: result.as_ref().err().cloned().map(Into::into),
        });
        result
    }
}

/// `ROTATION_FAILED`.
pub(super) fn failed(id: &str, why: impl std::fmt::Display) -> SecretError {
    SecretError::new(ErrorCode::RotationFailed, format!("{id}: {why}"))
}
