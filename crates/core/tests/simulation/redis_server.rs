//! A simulated Redis: latency, outages, connections that die silently, and messages that come late.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use cache::simulation::{Answering, Connection, Server};
use redis::{Cmd, ErrorKind, PushInfo, PushKind, RedisError, RedisResult, Value};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;
use tokio::time::sleep;

use super::store::{Published, asked_of, number, words};
use super::world::{State, World};

/// The server, as one instance reaches it.
pub struct Reached {
    pub world: Arc<World>,
    pub instance: usize,
}

/// A connection of an instance.
pub struct Line {
    world: Arc<World>,
    pub instance: usize,
    pushes: Option<UnboundedSender<PushInfo>>,
    subscribed: Arc<AtomicBool>,
    /// Whether it is dead without a word.
    pub is_dead: AtomicBool,
    /// Commands are run in the order in which they were sent, and messages arrive in that in which they were published.
    next_run: AtomicU64,
    next_message: AtomicU64,
}

impl Server for Reached {
    fn connect(&self, pushes: Option<UnboundedSender<PushInfo>>) -> Answering<Arc<dyn Connection>> {
        let (world, instance) = (self.world.clone(), self.instance);
        Box::pin(async move {
            sleep(world.redis_latency()).await;
            if world.redis_is_down() {
                return Err(broken());
            }
            let line = Arc::new(Line {
                world: world.clone(),
                instance,
                pushes,
                subscribed: Arc::default(),
                is_dead: false.into(),
                next_run: 0.into(),
                next_message: 0.into(),
            });
            world.state.lock().lines.push(Arc::downgrade(&line));
            Ok(line as Arc<dyn Connection>)
        })
    }
}

impl Connection for Line {
    fn ask(&self, commands: Vec<Cmd>) -> Answering<Vec<RedisResult<Value>>> {
        let (world, instance) = (self.world.clone(), self.instance);
        let (there, back) = (world.redis_latency(), world.redis_latency());
        let now = world.now();
        let run_at = (now + millis(there)).max(self.next_run.load(Ordering::Relaxed));
        self.next_run.store(run_at, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        let is_dead = self.is_dead.load(Ordering::Relaxed);
        if commands.iter().any(|command| words(command)[0] == b"SUBSCRIBE") && !is_dead && !world.redis_is_down() {
            world.state.lock().oracle.excuse(self.instance, None, now + 5000);
            let subscribed = self.subscribed.clone();
            return Box::pin(async move {
                sleep(there + back).await;
                // What is published before the answer comes after it, and says nothing that the subscription itself does not.
                subscribed.store(true, Ordering::Relaxed);
                Ok(vec![Ok(Value::Nil)])
            });
        }
        // The server runs a command also when the instance waits no longer, or does not run.
        tokio::spawn(async move {
            sleep(Duration::from_millis(run_at.saturating_sub(now))).await;
            let ran = if is_dead {
                None
            } else if world.redis_is_down() {
                Some(Err(broken()))
            } else {
                Some(Ok(run(&world, instance, &commands, now)))
            };
            sleep(back).await;
            if let Some(ran) = ran {
                drop(answer.send(ran));
            } else {
                // A dead connection never answers.
                sleep(Duration::from_hours(1)).await;
                drop(answer);
            }
        });
        Box::pin(async move { answered.await.unwrap_or_else(|_| Err(broken())) })
    }
}

fn run(world: &Arc<World>, instance: usize, commands: &[Cmd], sent: u64) -> Vec<RedisResult<Value>> {
    let (now, mut published) = (world.redis_now(), Published::new());
    let answers = {
        let mut state = world.state.lock();
        let state = &mut *state;
        let true_now = world.now();
        let ran = commands.iter().map(|command| {
            let words = words(command);
            let before = shared(state, now, &words);
            let answer = state.store.run(now, &words, &mut published);
            // A newer copy, or a drop, is never replaced by an older copy.
            if let (Some((copy, dropped)), Some((after, _))) = (before, shared(state, now, &words))
                && after != copy
                // A drop leaves no copy, but its time.
                && if after == 0 { copy > shared(state, now, &words).map_or(0, |(_, at)| at) } else { after <= copy.max(dropped) }
            {
                state.oracle.went_back(true_now, &String::from_utf8_lossy(&words[3]));
            }
            answer
        });
        ran.collect()
    };
    for (channel, message) in published {
        world.publish(&channel, &message, world.now() - sent, Some(instance));
    }
    answers
}

/// When the copy that a command shares over, or drops, was asked for, and when it was dropped last; zeros for neither.
fn shared(state: &mut State, now: u64, words: &[Vec<u8>]) -> Option<(i64, i64)> {
    let [_, script, _, key, drop_key, ..] = words else { return None };
    let scripts = [cache::redis::scripts::SHARE, cache::redis::scripts::DROP];
    if !scripts.iter().any(|one| one.as_bytes() == script) {
        return None;
    }
    let copy = state.store.get(now, key).and_then(asked_of).unwrap_or(0);
    Some((copy, state.store.get(now, drop_key).map_or(0, number)))
}

impl Line {
    /// Sends a message to the instance, if it listens.
    pub fn tell(self: &Arc<Self>, channel: &[u8], message: &[u8], took: u64, from: Option<usize>) {
        let Some(pushes) = self.pushes.clone() else { return };
        if !self.subscribed.load(Ordering::Relaxed) || self.is_dead.load(Ordering::Relaxed) {
            return;
        }
        let (world, line) = (self.world.clone(), self.clone());
        let now = world.now();
        let at = (now + world.message_delay()).max(self.next_message.load(Ordering::Relaxed) + 1);
        self.next_message.store(at, Ordering::Relaxed);
        let text = message.to_vec();
        let data = vec![Value::BulkString(channel.to_vec()), Value::BulkString(text.clone())];
        tokio::spawn(async move {
            sleep(Duration::from_millis(at - now)).await;
            if line.is_dead.load(Ordering::Relaxed) {
                return;
            }
            if pushes.send(PushInfo { kind: PushKind::Message, data }).is_ok() {
                world.heard(line.instance, &text, took, from);
            }
        });
    }

    /// The server closed it.
    pub fn close(&self) {
        self.is_dead.store(true, Ordering::Relaxed);
        if let Some(pushes) = &self.pushes {
            drop(pushes.send(PushInfo { kind: PushKind::Disconnection, data: Vec::new() }));
        }
    }
}

fn broken() -> RedisError {
    RedisError::from((ErrorKind::Io, "the connection is broken"))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
