//! Follows an SQS queue that EventBridge writes to.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::sleep;

use super::Events;
use aws::Message;
use secret::backoff::{Backoff, Jitter};
use secret::error::ErrorCode;
use secret::notice::Notice;

const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_mins(1);

impl Events {
    /// Receives messages until the delivery is closed. Deletes those that were handled. The queue delivers the others
    /// again, until its redrive policy moves them to its dead-letter queue.
    pub(super) async fn follow_queue(&self) {
        let Some(queue) = &self.parts.queue else { return };
        let (mut backoff, mut is_failing) = (Backoff::new(FIRST_WAIT, LONGEST_WAIT, Jitter::Around), false);
        loop {
            match queue.receive().await {
                Ok(messages) => {
                    backoff.reset();
                    is_failing = false;
                    let handled = join_all(messages.iter().map(|message| self.is_handled(message))).await;
                    let done = messages.iter().zip(handled).filter_map(|(message, done)| done.then_some(message));
                    if let Err(error) = queue.delete(done.collect()).await {
                        // The queue delivers them again; handling them a second time changes nothing.
                        tracing::debug!(code = %error.code(), "handled messages were not deleted");
                    }
                }
                Err(error) => {
                    if !is_failing {
                        is_failing = true;
                        self.parts.notices.notice(Notice::warning("EVENT_QUEUE_UNAVAILABLE", error.to_string()));
                    }
                    sleep(backoff.next_wait()).await;
                }
            }
        }
    }

    async fn is_handled(&self, message: &Message) -> bool {
        match self.handle(&message.body).await {
            Ok(_) => true,
            Err(error) => {
                if error.code() == ErrorCode::SourceResponseInvalid {
                    let text = format!("a message in the queue is left to its redrive policy: {error}");
                    self.parts.notices.notice(Notice::warning("EVENT_INVALID", text));
                }
                false
            }
        }
    }
}
