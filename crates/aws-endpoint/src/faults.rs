//! Faults on demand and IAM denials.

use std::time::Duration;

use serde_json::Value as Json;

#[derive(Clone, Debug)]
pub(crate) enum Action {
    /// The normal answer comes this much later.
    Delay(Duration),
    /// The normal answer is on its way for this long: it is what was right when it was asked for.
    Late(Duration),
    Error {
        status: u16,
        code: String,
        message: String,
    },
    Body {
        status: u16,
        text: String,
    },
    /// The body is shorter than its `content-length`.
    Truncate,
    /// The connection ends without an answer.
    Close,
    /// The operation is carried out, and the connection ends without an answer.
    Lose,
    /// The connection stays open without an answer.
    Hang,
}

/// Makes calls fail: all of them, or those that match.
#[derive(Clone, Debug)]
pub struct Fault {
    action: Action,
    operation: Option<String>,
    secret: Option<String>,
    stage: Option<String>,
    times: Option<u32>,
    probability: f64,
}

impl Fault {
    fn new(action: Action) -> Self {
        Self { action, operation: None, secret: None, stage: None, times: None, probability: 1.0 }
    }

    /// Answers with an AWS error.
    pub fn error(status: u16, code: &str) -> Self {
        Self::new(Action::Error { status, code: code.into(), message: "injected".into() })
    }

    /// Delays the normal answer.
    pub fn delay(by: Duration) -> Self {
        Self::new(Action::Delay(by))
    }

    /// Has the normal answer of now arrive later.
    pub fn late(by: Duration) -> Self {
        Self::new(Action::Late(by))
    }

    /// Answers with this body.
    pub fn body(status: u16, text: &str) -> Self {
        Self::new(Action::Body { status, text: text.into() })
    }

    /// Answers with a body that is shorter than its `content-length`.
    pub fn truncate() -> Self {
        Self::new(Action::Truncate)
    }

    /// Closes the connection without an answer.
    pub fn close() -> Self {
        Self::new(Action::Close)
    }

    /// Carries the operation out, then closes the connection without an answer.
    pub fn lose() -> Self {
        Self::new(Action::Lose)
    }

    /// Keeps the connection open and never answers.
    pub fn hang() -> Self {
        Self::new(Action::Hang)
    }

    /// Limits the fault to one operation.
    #[must_use]
    pub fn operation(mut self, operation: &str) -> Self {
        self.operation = Some(operation.into());
        self
    }

    /// Limits the fault to one secret.
    #[must_use]
    pub fn secret(mut self, name: &str) -> Self {
        self.secret = Some(name.into());
        self
    }

    /// Limits the fault to calls that name one staging label.
    #[must_use]
    pub fn stage(mut self, label: &str) -> Self {
        self.stage = Some(label.into());
        self
    }

    /// Limits how often the fault happens.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// The share of matching calls that fail, from 0 to 1.
    #[must_use]
    pub fn probability(mut self, probability: f64) -> Self {
        self.probability = probability;
        self
    }

    /// Reads a fault from JSON; `None` when it is not one.
    pub fn from_json(json: &Json) -> Option<Self> {
        let action = json.get("action")?;
        let text = |value: &Json, name: &str| value.get(name).and_then(Json::as_str).map(str::to_owned);
        let status = |value: &Json| u16::try_from(value.get("status").and_then(Json::as_u64).unwrap_or(400)).ok();
        let action = if let Some(delay) = action.get("delayMs") {
            Action::Delay(Duration::from_millis(delay.as_u64()?))
        } else if let Some(late) = action.get("lateMs") {
            Action::Late(Duration::from_millis(late.as_u64()?))
        } else if let Some(error) = action.get("error") {
            let message = text(error, "message").unwrap_or_else(|| "injected".into());
            Action::Error { status: status(error)?, code: text(error, "code")?, message }
        } else if let Some(body) = action.get("body") {
            Action::Body { status: status(body)?, text: text(body, "text")? }
        } else if action.get("truncate").is_some() {
            Action::Truncate
        } else if action.get("close").is_some() {
            Action::Close
        } else if action.get("lose").is_some() {
            Action::Lose
        } else if action.get("hang").is_some() {
            Action::Hang
        } else {
            return None;
        };
        let matching = json.get("match").unwrap_or(&Json::Null);
        Some(Self {
            action,
            operation: text(matching, "operation"),
            secret: text(matching, "secret"),
            stage: text(matching, "stage"),
            times: json.get("times").and_then(Json::as_u64).and_then(|times| u32::try_from(times).ok()),
            probability: json.get("probability").and_then(Json::as_f64).unwrap_or(1.0),
        })
    }
}

/// Actions that IAM refuses.
#[derive(Clone, Debug)]
pub(crate) struct Denial {
    pub(crate) actions: Vec<String>,
    /// All secrets when `None`.
    pub(crate) secrets: Option<Vec<String>>,
    /// The access key id of the identity that is refused; every identity when `None`.
    pub(crate) access_key_id: Option<String>,
}

#[derive(Debug, Default)]
pub(crate) struct Faults {
    rules: Vec<Fault>,
    denials: Vec<Denial>,
}

impl Faults {
    /// Adds a fault. Of several that match a call, the one that was added first happens.
    pub(crate) fn add(&mut self, fault: Fault) {
        self.rules.push(fault);
    }

    pub(crate) fn deny(&mut self, denial: Denial) {
        self.denials.push(denial);
    }

    pub(crate) fn clear(&mut self) {
        self.rules.clear();
    }

    pub(crate) fn allow_all(&mut self) {
        self.denials.clear();
    }

    /// Returns the first fault that matches, and counts that it happened.
    pub(crate) fn next(&mut self, operation: &str, secret: Option<&str>, stage: Option<&str>) -> Option<Action> {
        let rule = self.rules.iter_mut().find(|rule| {
            rule.operation.as_deref().is_none_or(|wanted| wanted == operation)
                && rule.secret.as_deref().is_none_or(|wanted| Some(wanted) == secret)
                && rule.stage.as_deref().is_none_or(|wanted| Some(wanted) == stage)
                && rule.times != Some(0)
                && fastrand::f64() < rule.probability
        })?;
        if let Some(times) = &mut rule.times {
            *times -= 1;
        }
        Some(rule.action.clone())
    }

    /// Whether the identity with `access_key_id` may not do this.
    pub(crate) fn is_denied(&self, access_key_id: &str, action: &str, secret: Option<&str>) -> bool {
        self.denials.iter().any(|denial| {
            denial.access_key_id.as_deref().is_none_or(|denied| denied == access_key_id)
                && denial.actions.iter().any(|denied| denied == action)
                && match (&denial.secrets, secret) {
                    (None, _) => true,
                    (Some(secrets), Some(secret)) => secrets.iter().any(|denied| denied == secret),
                    (Some(_), None) => false,
                }
        })
    }
}
