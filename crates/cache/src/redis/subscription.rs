//! Receives what other instances publish, on a connection of its own that is monitored and renewed.

use std::pin::pin;
use std::time::Duration;

use redis::{FromRedisValue as _, PushInfo, PushKind};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{sleep, timeout};

use super::link::Link;
use super::reason::{Blame, blame, reason};
use super::target::subscriber;
use super::{CONNECT_DEADLINE, OPERATION_DEADLINE};
use crate::settings::RedisSettings;
use secret::backoff::{Backoff, Jitter};

/// How long a connection may be silent before it is checked with a ping.
const PING_EVERY: Duration = Duration::from_secs(2);
/// The timeout of a ping. Longer than that of a read's command, since after a lost subscription every entry must be checked
/// again.
const PING_DEADLINE: Duration = Duration::from_secs(1);
/// The wait before a lost subscription is renewed. Doubles up to the longest.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// An event of a subscription.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    /// The subscription is active from now on.
    Subscribed,
    /// Redis answers but does not let this process subscribe, for this reason. Reported once, until a subscription is active.
    Refused(String),
    /// A message from any instance, this one included.
    Message(Vec<u8>),
}

/// Subscribes to `channel`, again after each loss, until the future is dropped.
pub(super) async fn follow(config: &RedisSettings, channel: &str, mut heard: impl FnMut(Heard)) {
    let (mut backoff, mut is_reported) = (Backoff::new(FIRST_WAIT, LONGEST_WAIT, Jitter::Half), false);
    loop {
        match subscribed(config, channel, &mut heard).await {
            SubscriptionEnd::Lost => {
                backoff.reset();
                is_reported = false;
            }
            SubscriptionEnd::Refused(why) if !is_reported => {
                is_reported = true;
                heard(Heard::Refused(why));
            }
            SubscriptionEnd::Refused(_) | SubscriptionEnd::NotBegun => {}
        }
        sleep(backoff.next_wait()).await;
    }
}

/// How a subscription ended.
enum SubscriptionEnd {
    /// The subscription was active before.
    Lost,
    /// Redis refused it.
    Refused(String),
    /// Redis could not be reached.
    NotBegun,
}

/// One subscription, from its beginning to its loss.
async fn subscribed(config: &RedisSettings, channel: &str, heard: &mut impl FnMut(Heard)) -> SubscriptionEnd {
    let (pushes, mut received) = unbounded_channel();
    let Ok(mut opener) = subscriber(config, pushes.clone()).await else { return SubscriptionEnd::NotBegun };
    let begun = async {
        let link = Link::open_for_pushes(&mut opener, pushes).await?;
        link.subscribe(channel).await?;
        Ok::<_, redis::RedisError>(link)
    };
    let link = match timeout(CONNECT_DEADLINE + OPERATION_DEADLINE, begun).await {
        Ok(Ok(link)) => link,
        Ok(Err(error)) => {
            tracing::debug!(code = error.code().unwrap_or_default(), "the shared cache's events are not heard");
            // A server that is too old for subscriptions carries commands out all the same.
            let is_too_old = error.kind() == redis::ErrorKind::RESP3NotSupported;
            return match blame(&error) {
                Blame::Command => SubscriptionEnd::Refused(reason(&error)),
                Blame::Server if is_too_old => SubscriptionEnd::Refused(reason(&error)),
                Blame::Connection | Blame::Server => SubscriptionEnd::NotBegun,
            };
        }
        Err(_) => return SubscriptionEnd::NotBegun,
    };
    heard(Heard::Subscribed);
    listen(&link, channel, &mut received, heard).await;
    SubscriptionEnd::Lost
}

/// Passes messages on until the connection is lost.
async fn listen(link: &Link, channel: &str, received: &mut UnboundedReceiver<PushInfo>, heard: &mut impl FnMut(Heard)) {
    loop {
        if let Ok(push) = timeout(PING_EVERY, received.recv()).await {
            if !pass_on(channel, push, heard) {
                return;
            }
            continue;
        }
        // No message for a while: check the connection. What comes meanwhile is heard at once.
        let mut ping = pin!(timeout(PING_DEADLINE, link.query::<String>(redis::cmd("PING"))));
        loop {
            tokio::select! {
                biased;
                push = received.recv() => if !pass_on(channel, push, heard) { return },
                answered = &mut ping => match answered {
                    Ok(Ok(_)) => break,
                    Ok(Err(_)) | Err(_) => return,
                },
            }
        }
    }
}

/// Passes a message on; `false` when the connection is lost.
fn pass_on(channel: &str, push: Option<PushInfo>, heard: &mut impl FnMut(Heard)) -> bool {
    match push {
        None | Some(PushInfo { kind: PushKind::Disconnection, .. }) => false,
        Some(PushInfo { kind: PushKind::Message, data }) => {
            if let Some(message) = message_of(channel, data) {
                heard(Heard::Message(message));
            }
            true
        }
        Some(_) => true,
    }
}

fn message_of(channel: &str, data: Vec<redis::Value>) -> Option<Vec<u8>> {
    let [from, message] = <[redis::Value; 2]>::try_from(data).ok()?;
    let from = String::from_redis_value(from).ok()?;
    if from != channel {
        return None;
    }
    Vec::<u8>::from_redis_value(message).ok()
}
