//! The audit sink, a function of the service: it takes lines in batches, each after it has taken the one before.

use std::sync::Arc;
use std::time::Duration;

use crate::completions::Completions;
use crate::messages::Message;
use crate::questions::Questions;

/// How long the sink may take for a batch. After that the batch is offered again.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The sink's answer: the batch was taken, or why not.
type Taken = Result<(), String>;

/// The batches that the sink has not answered yet.
pub struct JsSink {
    completions: Arc<Completions>,
    batches: Questions<(), Taken>,
}

impl JsSink {
    pub fn new(completions: Arc<Completions>) -> Self {
        Self { completions, batches: Questions::default() }
    }

    /// Hands lines over and waits until they were taken. Called on the audit log's own thread.
    pub fn take(&self, lines: String) -> Taken {
        let (id, taken) = self.batches.open_blocking(());
        self.completions.push(Message::AuditLines { id, lines });
        taken.wait_blocking(TIMEOUT).unwrap_or_else(|| Err("audit.sink did not settle within 30 seconds".into()))
    }

    /// The sink took a batch or refused it.
    pub fn answer(&self, id: u32, taken: Taken) {
        self.batches.answer(id, taken);
    }
}
