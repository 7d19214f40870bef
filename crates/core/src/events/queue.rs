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
    /// Takes messages for as long as the delivery lives. What was handled is deleted; what was not comes again, and in the
    /// end the queue's redrive policy puts it aside.
    pub(super) async fn follow_queue(&self) {
        let Some(queue) = &self.parts.queue else { return };
        let (mut backoff, mut is_failing) = (Backoff::new(FIRST_WAIT, LONGEST_WAIT, Jitter::Around), false);
        loop {
            match queue.receive().await {
                Ok(messages) => {
                    backoff.reset();
                    is_failing = false;
                    let handled = join_all(messages.iter().map(|message| self.is_done_with(message))).await;
                    let done = messages.iter().zip(handled).filter_map(|(message, done)| done.then_some(message));
                    if let Err(error) = queue.delete(done.collect()).await {
                        // They come again, and find nothing to do.
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

    async fn is_done_with(&self, message: &Message) -> bool {
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
