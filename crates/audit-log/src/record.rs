//! The fields of a record: the event, what the caches knew, and the outcome.

/// What happened. The log itself writes the events from `Begin` on, except `Inspect` and `Write`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Event {
    /// A secret was read.
    Access = 1,
    /// A secret was rotated.
    Rotate,
    /// Cached copies of a secret were dropped.
    Invalidate,
    /// All cached copies were dropped.
    Clear,
    /// The service put a value into the cache (`cache.set`).
    Set,
    /// Secrets were migrated.
    Migrate,
    /// Secrets were validated.
    Validate,
    /// The configuration was made or changed.
    Config,
    /// The first record of a file.
    Begin,
    /// The last record of a file before its rotation, with counts.
    End,
    /// An instance started.
    Open,
    /// An instance was closed, with counts.
    Close,
    /// Counts with a checksum, written at intervals.
    Checkpoint,
    /// The records of a dead process were written, or an interrupted write was repaired.
    Recover,
    /// Another program shortened, replaced or extended the log.
    Tamper,
    /// AWS was asked about a secret, and no value was delivered.
    Inspect,
    /// Who the instance is, repeated in each file that it writes to.
    Session,
    /// Values were delivered whose records had no place.
    Missed,
    /// Old files of the log were deleted.
    Expire,
    /// A secret was written, deleted or brought back in AWS.
    Write,
}

impl Event {
    const ALL: [Self; 20] = [
        Self::Access,
        Self::Rotate,
        Self::Invalidate,
        Self::Clear,
        Self::Set,
        Self::Migrate,
        Self::Validate,
        Self::Config,
        Self::Begin,
        Self::End,
        Self::Open,
        Self::Close,
        Self::Checkpoint,
        Self::Recover,
        Self::Tamper,
        Self::Inspect,
        Self::Session,
        Self::Missed,
        Self::Expire,
        Self::Write,
    ];

    /// The text of the field `event`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Rotate => "rotate",
            Self::Invalidate => "invalidate",
            Self::Clear => "clear",
            Self::Set => "set",
            Self::Migrate => "migrate",
            Self::Validate => "validate",
            Self::Config => "config",
            Self::Begin => "begin",
            Self::End => "end",
            Self::Open => "open",
            Self::Close => "close",
            Self::Checkpoint => "checkpoint",
            Self::Recover => "recover",
            Self::Tamper => "tamper",
            Self::Inspect => "inspect",
            Self::Session => "session",
            Self::Missed => "missed",
            Self::Expire => "expire",
            Self::Write => "write",
        }
    }

    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.get(usize::from(byte).checked_sub(1)?).copied()
    }
}

/// What the caches knew of the secret.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Cache {
    /// No cache was asked; the field is left out.
    #[default]
    None,
    /// A fresh copy answered.
    Hit,
    /// There was no copy.
    Miss,
    /// An expired copy answered.
    Stale,
    /// The cache remembers that there is no such secret.
    Negative,
    /// The read bypassed the caches.
    Bypass,
}

impl Cache {
    const ALL: [Self; 6] = [Self::None, Self::Hit, Self::Miss, Self::Stale, Self::Negative, Self::Bypass];

    /// The text of the field `cache`; empty when it is left out.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Stale => "stale",
            Self::Negative => "negative",
            Self::Bypass => "bypass",
        }
    }

    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.get(usize::from(byte)).copied()
    }
}

/// The outcome of an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Outcome {
    /// The event has no outcome; the field is left out.
    #[default]
    None,
    /// A value was delivered, or the change was made.
    Ok,
    /// There is no such secret.
    Absent,
    /// Access was refused.
    Denied,
    /// The operation failed; `code` says why.
    Failed,
}

impl Outcome {
    const ALL: [Self; 5] = [Self::None, Self::Ok, Self::Absent, Self::Denied, Self::Failed];

    /// The text of the field `outcome`; empty when it is left out.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Ok => "ok",
            Self::Absent => "absent",
            Self::Denied => "denied",
            Self::Failed => "failed",
        }
    }

    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.get(usize::from(byte)).copied()
    }
}

/// A record as the caller gives it. It has no field for a value. An empty text is left out of the line.
///
/// The log adds `seq`, `time`, `instance`, `pid` and `prev`.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// What happened.
    pub event: Event,
    /// What the caches knew of the secret.
    pub cache: Cache,
    /// The outcome.
    pub outcome: Outcome,
    /// The duration, in microseconds.
    pub latency_us: u32,
    /// How many deliveries or refusals the record stands for. A record of one has no field `count`.
    pub count: u32,
    /// The environment, if it differs from that of the log.
    pub environment: &'a str,
    /// The tool that the secret belongs to.
    pub tool: &'a str,
    /// The name of the secret, up to [`MAX_SECRET`] bytes. The other texts have up to [`MAX_TEXT`] bytes.
    pub secret: &'a str,
    /// The layer that answered, such as `memory` or `aws`.
    pub source: &'a str,
    /// The error code of a failure.
    pub code: &'a str,
    /// The version id of the secret.
    pub version: &'a str,
    /// The label of the caller, which the service chooses (`audit.label`).
    pub caller: &'a str,
    /// The id of the request with which AWS was asked.
    pub request: &'a str,
}

impl Record<'_> {
    /// A record of `event` with nothing else in it.
    pub const fn new(event: Event) -> Self {
        Self {
            event,
            cache: Cache::None,
            outcome: Outcome::None,
            latency_us: 0,
            count: 1,
            environment: "",
            tool: "",
            secret: "",
            source: "",
            code: "",
            version: "",
            caller: "",
            request: "",
        }
    }
}

/// The longest secret name, in bytes: AWS allows 512 characters.
pub const MAX_SECRET: usize = 1024;
/// The longest text of every other field, in bytes.
pub const MAX_TEXT: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_those_of_the_words() {
        for byte in 0..=u8::MAX {
            assert!(Event::from_byte(byte).is_none_or(|event| event as u8 == byte));
            assert!(Cache::from_byte(byte).is_none_or(|cache| cache as u8 == byte));
            assert!(Outcome::from_byte(byte).is_none_or(|outcome| outcome as u8 == byte));
        }
        assert_eq!(Event::from_byte(Event::Tamper as u8), Some(Event::Tamper));
        assert_eq!(Event::from_byte(Event::Expire as u8), Some(Event::Expire));
        assert_eq!(Cache::from_byte(Cache::Bypass as u8), Some(Cache::Bypass));
        assert_eq!(Outcome::from_byte(Outcome::Failed as u8), Some(Outcome::Failed));
    }
}
