//! The keys of a simulated Redis, and what its commands and our scripts do to them.

use std::collections::BTreeMap;

use cache::redis::scripts;
use redis::{Arg, Cmd, ErrorKind, RedisError, RedisResult, Value};

/// A server's keys.
#[derive(Debug, Default)]
pub struct Store {
    keys: BTreeMap<Vec<u8>, Held>,
    /// Whether a copy is stored whatever stands there: a defect.
    pub shares_blindly: bool,
    /// Whether a drop removes whatever stands there: a defect.
    pub drops_blindly: bool,
}

#[derive(Debug)]
struct Held {
    value: Vec<u8>,
    until_ms: Option<u64>,
}

/// What a command published: channel and message.
pub type Published = Vec<(Vec<u8>, Vec<u8>)>;

type Words = Vec<Vec<u8>>;

/// The words of a command.
pub fn words(command: &Cmd) -> Words {
    let word = |arg: Arg<&[u8]>| if let Arg::Simple(word) = arg { word.to_vec() } else { b"0".to_vec() };
    command.args_iter().map(word).collect()
}

/// A number written as text; 0 for other text.
pub fn number(bytes: &[u8]) -> i64 {
    std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn part(bytes: &[u8], from: usize, to: usize) -> &[u8] {
    &bytes[from.min(bytes.len())..to.min(bytes.len())]
}

/// When the copy in a record was asked for.
pub fn asked_of(copy: &[u8]) -> Option<i64> {
    copy.starts_with(b"2c").then(|| number(part(copy, 2, 17)))
}

impl Store {
    /// Forgets everything.
    pub fn flush(&mut self) {
        self.keys.clear();
    }

    /// What stands under a key.
    pub fn get(&mut self, now: u64, key: &[u8]) -> Option<&[u8]> {
        if self.keys.get(key)?.until_ms.is_some_and(|until| until <= now) {
            self.keys.remove(key);
        }
        self.keys.get(key).map(|held| &*held.value)
    }

    fn set(&mut self, key: &[u8], value: Vec<u8>, until_ms: Option<u64>) {
        self.keys.insert(key.to_vec(), Held { value, until_ms });
    }

    fn value(&mut self, now: u64, key: &[u8]) -> Value {
        self.get(now, key).map_or(Value::Nil, |value| Value::BulkString(value.to_vec()))
    }

    /// Runs one command at `now` by the server's clock.
    pub fn run(&mut self, now: u64, words: &[Vec<u8>], published: &mut Published) -> RedisResult<Value> {
        let [command, rest @ ..] = words else { return Err(refused()) };
        Ok(match (&command[..], rest) {
            (b"PING", []) => Value::SimpleString("PONG".into()),
            (b"TIME", []) => {
                let text = |number: u64| Value::BulkString(number.to_string().into_bytes());
                Value::Array(vec![text(now / 1000), text(now % 1000 * 1000)])
            }
            (b"GET", [key]) => self.value(now, key),
            (b"MGET", keys) => Value::Array(keys.iter().map(|key| self.value(now, key)).collect()),
            (b"SET", [key, value, nx, px, ms]) if nx == b"NX" && px == b"PX" => {
                if self.get(now, key).is_some() {
                    Value::Nil
                } else {
                    self.set(key, value.clone(), Some(now + number(ms).cast_unsigned()));
                    Value::Okay
                }
            }
            (b"UNLINK", [key]) => {
                let was = self.get(now, key).is_some();
                self.keys.remove(key);
                Value::Int(was.into())
            }
            (b"SCAN", [_, _, pattern, ..]) => {
                let keys: Vec<Vec<u8>> = self.keys.keys().filter(|key| matches(pattern, key)).cloned().collect();
                let live = keys.into_iter().filter(|key| self.get(now, key).is_some()).map(Value::BulkString);
                Value::Array(vec![Value::BulkString(b"0".to_vec()), Value::Array(live.collect())])
            }
            (b"EVAL", [script, count, rest @ ..]) => {
                let (keys, arguments) = rest.split_at(usize::try_from(number(count)).unwrap_or(0));
                self.script(now, script, keys, arguments, published)?
            }
            _ => return Err(refused()),
        })
    }

    fn script(
        &mut self,
        clock: u64,
        script: &[u8],
        keys: &[Vec<u8>],
        arguments: &[Vec<u8>],
        published: &mut Published,
    ) -> RedisResult<Value> {
        if script == scripts::REMOVE.as_bytes() {
            let is_its = self.get(clock, &keys[0]).is_some_and(|copy| {
                copy.first().is_some_and(|first| *first <= 1)
                    || (copy.starts_with(b"2c") && part(copy, 48, 64) == &arguments[0][..])
            });
            if is_its {
                self.keys.remove(&keys[0]);
            }
            return Ok(Value::Int(is_its.into()));
        }
        let given = number(&arguments[0]);
        let now = if given == 0 { clock.cast_signed() } else { given };
        Ok(if script == scripts::SHARE.as_bytes() {
            Value::Int(self.share(clock, now, keys, arguments, published))
        } else if script == scripts::DROP.as_bytes() {
            Value::Int(self.drop(clock, now, keys, arguments, published).into())
        } else if script == scripts::CLEAR.as_bytes() {
            let [_, keep, channel, beginning, old] = arguments else { return Err(refused()) };
            let at = format!("{now:015}").into_bytes();
            self.set(&keys[0], at.clone(), Some(clock + number(keep).cast_unsigned()));
            published.push((channel.clone(), [&beginning[..], &at].concat()));
            published.push((channel.clone(), old.clone()));
            Value::BulkString(at)
        } else {
            return Err(refused());
        })
    }

    fn share(&mut self, clock: u64, now: i64, keys: &[Vec<u8>], with: &[Vec<u8>], published: &mut Published) -> i64 {
        let [_, age, by, tail, envelope, keep, channel, beginning, end, old] = with else { return 0 };
        let dropped = keys.get(1).and_then(|key| self.get(clock, key)).map_or(0, number);
        let current = self.get(clock, &keys[0]).unwrap_or_default().to_vec();
        let stored = asked_of(&current).unwrap_or(0);
        let asked = if number(by) < 0 {
            now.max((stored.max(dropped) + 1).min(now + 1000))
        } else {
            (now - number(age)).min(number(by))
        };
        if !self.shares_blindly && dropped >= asked {
            return 0;
        }
        if !self.shares_blindly && stored >= asked {
            return -1;
        }
        let at = format!("{asked:015}").into_bytes();
        let record = [b"2c", &at[..], tail, envelope].concat();
        self.set(&keys[0], record, Some(clock + number(keep).cast_unsigned()));
        if !current.starts_with(b"2c") || part(&current, 32, 48) != part(tail, 15, 31) {
            published.push((channel.clone(), [&beginning[..], &at, end].concat()));
            published.push((channel.clone(), old.clone()));
        }
        asked
    }

    fn drop(&mut self, clock: u64, now: i64, keys: &[Vec<u8>], with: &[Vec<u8>], published: &mut Published) -> bool {
        let [_, age, keep, channel, beginning, end, old] = with else { return false };
        let dropped = now - number(age);
        let current = self.get(clock, &keys[0]).unwrap_or_default().to_vec();
        if !self.drops_blindly && asked_of(&current).is_some_and(|asked| asked > dropped) {
            return false;
        }
        let at = format!("{dropped:015}").into_bytes();
        self.keys.remove(&keys[0]);
        if let Some(key) = keys.get(1)
            && self.get(clock, key).is_none_or(|last| number(last) < dropped)
        {
            self.set(key, at.clone(), Some(clock + number(keep).cast_unsigned()));
        }
        published.push((channel.clone(), [&beginning[..], &at, end].concat()));
        published.push((channel.clone(), old.clone()));
        true
    }
}

/// Whether `key` is what SCAN's pattern says: literals around one `*`.
fn matches(pattern: &[u8], key: &[u8]) -> bool {
    let mut parts = [Vec::new(), Vec::new()];
    let (mut at, mut bytes) = (0, pattern.iter());
    while let Some(byte) = bytes.next() {
        match byte {
            b'*' => at = 1,
            b'\\' => parts[at].extend(bytes.next()),
            byte => parts[at].push(*byte),
        }
    }
    let [before, after] = parts;
    key.strip_prefix(&before[..]).is_some_and(|rest| rest.ends_with(&after))
}

/// A command that this server does not know.
fn refused() -> RedisError {
    RedisError::from((ErrorKind::Client, "unknown command"))
}
