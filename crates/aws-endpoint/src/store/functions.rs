//! Rotation functions, as AWS would call them.

use std::time::{Duration, Instant};

use super::{ApiResult, CURRENT, PENDING, Secret, Store, Value, error, move_label};
use crate::clock::now;

/// The rotation function of a secret.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RotationFunction {
    pub(crate) takes: Duration,
    /// The rotation fails at its end: the new version never becomes the live one.
    pub(crate) gives_up: bool,
    /// When the rotation under way ends.
    ends: Option<Instant>,
}

impl RotationFunction {
    pub(crate) fn new(takes: Duration, gives_up: bool) -> Self {
        Self { takes, gives_up, ends: None }
    }
}

impl Secret {
    /// Ends the rotation whose function has run for as long as it takes; says whether one still runs.
    fn is_still_rotating(&mut self) -> bool {
        let Some(function) = &mut self.function else { return false };
        let Some(ends) = function.ends else { return false };
        if now() < ends {
            return true;
        }
        function.ends = None;
        let gives_up = function.gives_up;
        let pending = self.versions.iter().find(|(_, v)| v.stages.contains(PENDING)).map(|(id, _)| id.clone());
        if gives_up {
            move_label(self, PENDING, None);
        } else if let Some(pending) = pending {
            move_label(self, CURRENT, Some(&pending));
        }
        false
    }
}

impl Store {
    pub(crate) fn set_function(&mut self, id: &str, function: RotationFunction) -> ApiResult<()> {
        self.live(id)?.function = Some(function);
        Ok(())
    }

    /// Begins a rotation by the secret's function, as `RotateSecret` does. Returns the id of the new version.
    pub(crate) fn rotate(&mut self, id: &str, token: &str) -> ApiResult<String> {
        let secret = self.live(id)?;
        let holder =
            |label: &str| secret.versions.iter().find(|(_, v)| v.stages.contains(label)).map(|(id, _)| id.clone());
        if holder(PENDING).is_some_and(|pending| Some(&pending) != holder(CURRENT).as_ref()) {
            return error(
                "InvalidRequestException",
                "A previous rotation isn't complete. That rotation will be reattempted.",
            );
        }
        let Some(function) = &mut secret.function else {
            return error("InvalidRequestException", "No Lambda rotation function ARN is associated with this secret.");
        };
        function.ends = Some(now() + function.takes);
        let name = self.find(id)?.0.clone();
        self.rotating.insert(name);
        self.put(id, Value::Text(format!("by-function-{token}")), Some(token), &[PENDING.to_owned()])
    }

    /// Ends the rotations whose functions have run for as long as they take. Every call looks for them, so it looks at those only that run.
    pub(crate) fn run_functions(&mut self) {
        let secrets = &mut self.secrets;
        self.rotating.retain(|name| secrets.get_mut(name).is_some_and(Secret::is_still_rotating));
    }
}
