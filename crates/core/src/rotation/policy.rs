//! When a secret is due, and how its new value looks. Pure date arithmetic in UTC, where every day has 86,400 seconds.

use std::collections::BTreeMap;

use secret::environment::Preset;
use secret::manifest::SecretSpec;

const DAY: u64 = 86_400;
const MINUTE: u64 = 60;
/// Characters of a password when the policy does not say.
pub const DEFAULT_LENGTH: u32 = 32;
/// Its characters then: no target system has trouble with them.
pub const LETTERS_AND_DIGITS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
/// When secrets without a policy are rotated.
const ENVIRONMENT_TIME: TimeOfDay = TimeOfDay { minute: 2 * 60 };

/// A time of day, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeOfDay {
    minute: u16,
}

impl TimeOfDay {
    /// Reads `HH:MM`.
    pub fn parse(text: &str) -> Option<Self> {
        let (hour, minute) = text.split_once(':')?;
        let number = |digits: &str, below: u16| {
            let plain = digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit());
            digits.parse().ok().filter(|number: &u16| plain && *number < below)
        };
        Some(Self { minute: number(hour, 24)? * 60 + number(minute, 60)? })
    }

    /// As `HH:MM`.
    pub fn text(self) -> String {
        format!("{:02}:{:02}", self.minute / 60, self.minute % 60)
    }

    fn seconds(self) -> u64 {
        u64::from(self.minute) * MINUTE
    }
}

/// How often secrets of one type are rotated (document, "Automatic Rotation Policies").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Days from one rotation to the next.
    pub interval_days: u32,
    /// When on that day.
    pub time: TimeOfDay,
    /// How many days ahead it is announced.
    pub notification_days: u32,
    /// Whether a value that does not hold up after it became live is taken back.
    pub rollback: bool,
    /// How a generated value looks.
    pub password: PasswordRules,
}

/// How a generated value looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasswordRules {
    /// Number of characters.
    pub length: u32,
    /// The characters it is made of.
    pub alphabet: String,
    /// The field of a JSON secret that is replaced.
    pub field: String,
}

impl Default for PasswordRules {
    fn default() -> Self {
        Self { length: DEFAULT_LENGTH, alphabet: LETTERS_AND_DIGITS.into(), field: "password".into() }
    }
}

/// What applies to a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The policy's type; `None` for the environment's interval (decision D7).
    pub policy_type: Option<String>,
    /// The policy; `None` when the environment leaves rotation to people.
    pub policy: Option<Policy>,
}

/// The policies of a delivery, by type.
#[derive(Clone, Debug)]
pub struct Policies {
    by_type: BTreeMap<String, Policy>,
    environment: Option<Policy>,
}

impl Policies {
    /// The documented ones, and the environment's interval.
    pub fn documented(preset: &Preset) -> Self {
        let policy = |interval_days, hour: u16, notification_days, rollback| Policy {
            interval_days,
            time: TimeOfDay { minute: hour * 60 },
            notification_days,
            rollback,
            password: PasswordRules::default(),
        };
        let by_type = [
            ("database-credentials", policy(90, 2, 7, true)),
            ("api-tokens", policy(90, 3, 3, true)),
            ("oauth-credentials", policy(180, 1, 14, false)),
        ];
        let environment =
            preset.rotation_interval_days.map(|interval_days| Policy { interval_days, ..Policy::by_hand() });
        Self { by_type: by_type.map(|(name, policy)| (name.to_owned(), policy)).into(), environment }
    }

    /// Adds or replaces the policy of a type.
    pub fn set(&mut self, secret_type: String, policy: Policy) {
        self.by_type.insert(secret_type, policy);
    }

    /// Every policy with its type.
    pub fn all(&self) -> impl Iterator<Item = (&str, &Policy)> {
        self.by_type.iter().map(|(name, policy)| (name.as_str(), policy))
    }

    /// Whether people rotate here and nobody else does.
    pub fn is_manual(&self) -> bool {
        self.environment.is_none()
    }

    /// What applies to a declared secret, or to one that is not declared.
    pub fn of(&self, spec: Option<&SecretSpec>) -> Applied {
        let rotation_type = spec.and_then(|spec| spec.rotation_type.as_ref());
        match rotation_type.and_then(|name| Some((name, self.by_type.get(name)?))) {
            Some((name, policy)) => Applied { policy_type: Some(name.clone()), policy: Some(policy.clone()) },
            None => Applied { policy_type: None, policy: self.environment.clone() },
        }
    }
}

/// Where a secret stands between two rotations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Its time has come.
    Due,
    /// It comes within the days of notice.
    Announced,
    /// It comes later.
    Later,
}

impl Standing {
    /// The name in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::Announced => "announced",
            Self::Later => "later",
        }
    }
}

/// The dates of one secret, in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dates {
    /// When it is to be announced.
    pub notice: u64,
    /// When it is to be rotated.
    pub due: u64,
}

impl Dates {
    /// Where the secret stands at `now`.
    pub fn standing(self, now: u64) -> Standing {
        if now >= self.due {
            Standing::Due
        } else if now >= self.notice {
            Standing::Announced
        } else {
            Standing::Later
        }
    }

    /// When the standing changes next; `None` when it is due already.
    pub fn next_change(self, now: u64) -> Option<u64> {
        [self.notice, self.due].into_iter().find(|at| *at > now)
    }
}

impl Policy {
    /// What applies to a rotation asked for by hand where the environment has no interval.
    pub fn by_hand() -> Self {
        Self {
            interval_days: 1,
            time: ENVIRONMENT_TIME,
            notification_days: 0,
            rollback: true,
            password: PasswordRules::default(),
        }
    }

    /// The dates that follow a rotation at `last` (seconds since 1970): the calendar day of it, UTC, and that many days
    /// more, at the time of day. When days were missed the date lies in the past, and the secret is due.
    pub fn dates(&self, last: u64) -> Dates {
        let day = last / DAY + u64::from(self.interval_days);
        let due = day * DAY + self.time.seconds();
        Dates { notice: due.saturating_sub(self.notice_seconds()), due }
    }

    /// How long ahead a rotation is announced.
    pub fn notice_seconds(&self) -> u64 {
        u64::from(self.notification_days) * DAY
    }

    /// The last time before or at `now` that was this policy's time of day: a day's attempts begin then.
    pub fn day_began(&self, now: u64) -> u64 {
        let today = now / DAY * DAY + self.time.seconds();
        if today <= now { today } else { today.saturating_sub(DAY) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secret::environment::Environment;

    fn at(text: &str) -> u64 {
        let time: std::time::SystemTime = humantime::parse_rfc3339(text).expect("a time");
        time.duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs()
    }

    fn policy(interval_days: u32, time: &str, notification_days: u32) -> Policy {
        Policy {
            interval_days,
            time: TimeOfDay::parse(time).expect("a time"),
            notification_days,
            rollback: true,
            password: PasswordRules::default(),
        }
    }

    #[test]
    fn dates_follow_the_calendar() {
        // last rotation, days, time, due
        let rows = [
            ("2026-11-24T12:00:00Z", 1, "02:00", "2026-11-25T02:00:00Z"),
            ("2026-11-24T01:59:59Z", 1, "02:00", "2026-11-25T02:00:00Z"),
            ("2024-02-28T12:00:00Z", 1, "00:00", "2024-02-29T00:00:00Z"),
            ("2024-02-29T00:00:00Z", 1, "23:59", "2024-03-01T23:59:00Z"),
            ("2023-02-28T23:59:59Z", 1, "00:00", "2023-03-01T00:00:00Z"),
            ("2024-02-29T12:00:00Z", 365, "02:00", "2025-02-28T02:00:00Z"),
            ("2024-02-29T12:00:00Z", 366, "02:00", "2025-03-01T02:00:00Z"),
            ("2026-01-31T03:00:00Z", 90, "03:00", "2026-05-01T03:00:00Z"),
            ("2026-10-03T03:00:00Z", 90, "02:00", "2027-01-01T02:00:00Z"),
            ("2026-12-31T23:59:59Z", 7, "01:00", "2027-01-07T01:00:00Z"),
            ("2000-02-29T00:00:00Z", 180, "01:00", "2000-08-27T01:00:00Z"),
            ("2100-02-28T00:00:00Z", 1, "00:00", "2100-03-01T00:00:00Z"),
        ];
        for (last, days, time, due) in rows {
            assert_eq!(policy(days, time, 0).dates(at(last)).due, at(due), "{last} + {days} days");
        }
    }

    #[test]
    fn a_secret_is_announced_and_then_due_until_it_is_rotated() {
        let dates = policy(90, "02:00", 7).dates(at("2026-01-01T12:00:00Z"));
        assert_eq!(dates, Dates { notice: at("2026-03-25T02:00:00Z"), due: at("2026-04-01T02:00:00Z") });
        let rows = [
            ("2026-03-25T01:59:59Z", Standing::Later, Some(dates.notice)),
            ("2026-03-25T02:00:00Z", Standing::Announced, Some(dates.due)),
            ("2026-04-01T01:59:59Z", Standing::Announced, Some(dates.due)),
            ("2026-04-01T02:00:00Z", Standing::Due, None),
            // Missed days, and years.
            ("2026-06-01T00:00:00Z", Standing::Due, None),
            ("2031-01-01T00:00:00Z", Standing::Due, None),
            // A clock that was set back.
            ("1970-01-01T00:00:00Z", Standing::Later, Some(dates.notice)),
        ];
        for (now, standing, next) in rows {
            assert_eq!((dates.standing(at(now)), dates.next_change(at(now))), (standing, next), "{now}");
        }
    }

    #[test]
    fn a_day_of_attempts_begins_at_the_time_of_day() {
        let policy = policy(1, "02:00", 0);
        assert_eq!(policy.day_began(at("2026-03-01T02:00:00Z")), at("2026-03-01T02:00:00Z"));
        assert_eq!(policy.day_began(at("2026-03-01T01:59:59Z")), at("2026-02-28T02:00:00Z"));
        assert_eq!(policy.day_began(0), 0);
    }

    #[test]
    fn times_of_day_are_two_digits_each() {
        assert_eq!(TimeOfDay::parse("23:59").map(TimeOfDay::text).as_deref(), Some("23:59"));
        for wrong in ["24:00", "2:00", "02:60", "0200", "02:00:00", "", ":", "+2:00", "02:0a", "２:００"] {
            assert_eq!(TimeOfDay::parse(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_type_without_a_policy_follows_its_environment() {
        let policies = Policies::documented(&Environment::Production.preset());
        let typed = |name: &str| SecretSpec { rotation_type: Some(name.into()), ..SecretSpec::default() };
        let documented = policies.of(Some(&typed("oauth-credentials"))).policy.expect("a policy");
        assert_eq!((documented.interval_days, documented.notification_days, documented.rollback), (180, 14, false));
        for spec in [None, Some(&SecretSpec::default()), Some(&typed("something-else"))] {
            let applied = policies.of(spec);
            assert_eq!((applied.policy_type, applied.policy.map(|policy| policy.interval_days)), (None, Some(7)));
        }
        let manual = Policies::documented(&Environment::Development.preset());
        assert!(manual.is_manual() && manual.of(None).policy.is_none());
    }
}
