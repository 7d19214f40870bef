//! The four environments and their documented presets, and environments of a service's own that are like one of them
//! (decision D23).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use parking_lot::Mutex;

/// Where the service runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Environment {
    /// `development`, alias `dev`.
    Development,
    /// `test`.
    Test,
    /// `staging`, alias `stage`.
    Staging,
    /// `production`, alias `prod`.
    Production,
    /// One that the service declares.
    Own(Own),
}

/// An environment that the service declares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Own {
    name: &'static str,
    env_file: &'static str,
    like: Base,
}

/// One of the four, in an environment that is like it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Base {
    Development,
    Test,
    Staging,
    Production,
}

impl Base {
    const fn environment(self) -> Environment {
        match self {
            Self::Development => Environment::Development,
            Self::Test => Environment::Test,
            Self::Staging => Environment::Staging,
            Self::Production => Environment::Production,
        }
    }
}

/// The names of declared environments: they live as long as the process, each once however often it is declared.
static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());

fn lasting(text: &str) -> &'static str {
    let mut names = NAMES.lock();
    if let Some(known) = names.get(text) {
        return known;
    }
    let name: &'static str = Box::leak(text.into());
    names.insert(name);
    name
}

/// The environments that a delivery knows: the four, and those that its service declares.
#[derive(Clone, Debug, Default)]
pub struct Environments {
    own: BTreeMap<String, Environment>,
}

impl Environments {
    /// Adds an environment that is like one of the four.
    ///
    /// # Errors
    /// What is wrong with its name, for a message after the option's path.
    pub fn declare(&mut self, name: &str, like: Environment) -> Result<(), String> {
        let plain = plain(name);
        let fits = plain.len() <= 64
            && plain.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric())
            && plain.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if !fits {
            return Err("is no name of an environment: letters, digits, '-' and '_', 64 at most".into());
        }
        if Environment::parse(&plain).is_some() {
            return Err("is one of the four environments, whose presets stay as they are".into());
        }
        let like = match like {
            Environment::Development => Base::Development,
            Environment::Test => Base::Test,
            Environment::Staging => Base::Staging,
            Environment::Production => Base::Production,
            Environment::Own(own) => own.like,
        };
        let own = Own { name: lasting(&plain), env_file: lasting(&format!(".env.{plain}")), like };
        self.own.insert(plain, Environment::Own(own));
        Ok(())
    }

    /// Reads a name or alias; `None` when it is neither one of the four nor declared.
    pub fn parse(&self, text: &str) -> Option<Environment> {
        Environment::parse(text).or_else(|| self.own.get(&plain(text)).copied())
    }

    /// All names, for messages.
    pub fn names(&self) -> String {
        let four = Environment::ALL.map(Environment::as_str).into_iter();
        four.chain(self.own.keys().map(String::as_str)).map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ")
    }
}

/// Case and white space around a name are forgiven.
fn plain(text: &str) -> String {
    text.trim().to_ascii_lowercase()
}

impl Environment {
    /// Every environment, from the loosest to the strictest.
    pub const ALL: [Self; 4] = [Self::Development, Self::Test, Self::Staging, Self::Production];

    /// Reads a name or alias of one of the four (decision D3); `None` when it is neither.
    pub fn parse(text: &str) -> Option<Self> {
        match &*plain(text) {
            "development" | "dev" => Some(Self::Development),
            "test" => Some(Self::Test),
            "staging" | "stage" => Some(Self::Staging),
            "production" | "prod" => Some(Self::Production),
            _ => None,
        }
    }

    /// The full name, as used in AWS ids and reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Development => "development",
            Self::Test => "test",
            Self::Staging => "staging",
            Self::Production => "production",
            Self::Own(own) => own.name,
        }
    }

    /// The one of the four whose preset applies.
    #[must_use]
    pub const fn base(self) -> Self {
        match self {
            Self::Own(own) => own.like.environment(),
            own => own,
        }
    }

    /// The documented preset ("Environment-Specific Delivery Mechanisms" and the cache table).
    pub const fn preset(self) -> Preset {
        match self {
            Self::Development => Preset {
                env_file: Some(".env.dev"),
                env_file_deprecated: false,
                cache_ttl: None,
                max_stale: Duration::ZERO,
                audit: false,
                encryption_required: false,
                rotation_interval_days: None,
                compliance: None,
                monitoring: false,
                alerting: false,
                aws_failure_rejects: false,
                instance_metadata: false,
                close_clears_cache: false,
            },
            Self::Test => Preset {
                env_file: Some(".env.test"),
                cache_ttl: Some(Duration::from_mins(1)),
                audit: true,
                rotation_interval_days: Some(7),
                instance_metadata: true,
                close_clears_cache: true,
                ..Self::Development.preset()
            },
            Self::Staging => Preset {
                env_file: Some(".env.staging"),
                env_file_deprecated: true,
                cache_ttl: Some(Duration::from_mins(5)),
                max_stale: Duration::from_hours(1),
                encryption_required: true,
                rotation_interval_days: Some(14),
                compliance: Some("soc2"),
                close_clears_cache: false,
                ..Self::Test.preset()
            },
            Self::Production => Preset {
                env_file: None,
                env_file_deprecated: false,
                rotation_interval_days: Some(7),
                monitoring: true,
                alerting: true,
                aws_failure_rejects: true,
                ..Self::Staging.preset()
            },
            Self::Own(own) => {
                let preset = own.like.environment().preset();
                // Where the preset has no file, this environment has none either.
                let env_file = if preset.env_file.is_some() { Some(own.env_file) } else { None };
                Preset { env_file, ..preset }
            }
        }
    }
}

/// What an environment means when no option says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "a table of documented switches, each read on its own")]
pub struct Preset {
    /// The fallback file's name; `None` in production.
    pub env_file: Option<&'static str>,
    /// The file is for the migration period only; using it is worth a warning.
    pub env_file_deprecated: bool,
    /// How long a cached value is fresh; `None` when nothing is cached.
    pub cache_ttl: Option<Duration>,
    /// How long past its TTL a copy may answer for a failing AWS.
    pub max_stale: Duration,
    /// Whether accesses are audited.
    pub audit: bool,
    /// Whether values in the shared cache must be encrypted.
    pub encryption_required: bool,
    /// Rotation interval for secrets without a policy; `None` is manual.
    pub rotation_interval_days: Option<u32>,
    /// The compliance regime the preset is made for.
    pub compliance: Option<&'static str>,
    /// Whether the document asks for monitoring here.
    pub monitoring: bool,
    /// Whether the document asks for alerting here.
    pub alerting: bool,
    /// Whether an AWS failure without a usable stale copy rejects instead of asking the next source.
    pub aws_failure_rejects: bool,
    /// Whether the credential chain may ask the instance metadata service without being told to.
    pub instance_metadata: bool,
    /// Whether `close()` drops cached values ("Test completion").
    pub close_clears_cache: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_aliases_are_understood_and_nothing_else() {
        for environment in Environment::ALL {
            assert_eq!(Environment::parse(environment.as_str()), Some(environment));
        }
        assert_eq!(Environment::parse("dev"), Some(Environment::Development));
        assert_eq!(Environment::parse("stage"), Some(Environment::Staging));
        assert_eq!(Environment::parse("prod"), Some(Environment::Production));
        assert_eq!(Environment::parse(" Production\t"), Some(Environment::Production));
        for wrong in ["", "qa", "dev\0", "pro duction"] {
            assert_eq!(Environment::parse(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn an_environment_of_ones_own_has_the_preset_of_another_and_its_own_name() {
        let mut environments = Environments::default();
        environments.declare("QA", Environment::Staging).expect("a name");
        environments.declare("live-eu", Environment::Production).expect("a name");
        let qa = environments.parse(" qa ").expect("declared");
        assert_eq!((qa.as_str(), qa.base(), qa.preset().env_file), ("qa", Environment::Staging, Some(".env.qa")));
        assert_eq!(qa.preset().cache_ttl, Environment::Staging.preset().cache_ttl);
        let live = environments.parse("LIVE-EU").expect("declared");
        assert_eq!((live.preset().env_file, live.preset().aws_failure_rejects), (None, true));
        assert_eq!(environments.parse("other"), None);
        assert!(environments.names().ends_with("'live-eu', 'qa'"), "{}", environments.names());
        for wrong in ["", "production", "dev", "a b", "-a", "a/b", &"x".repeat(65)] {
            assert!(environments.declare(wrong, Environment::Test).is_err(), "{wrong:?}");
        }
    }

    /// One row of the preset table: env file, TTL, stale, audit, encryption, rotation days, compliance, strict.
    type Row = (Option<&'static str>, Option<u64>, u64, bool, bool, Option<u32>, Option<&'static str>, bool);

    #[test]
    fn presets_are_the_documented_table() {
        let rows: Vec<Row> = Environment::ALL
            .iter()
            .map(|e| {
                let p = e.preset();
                (
                    p.env_file,
                    p.cache_ttl.map(|d| d.as_secs()),
                    p.max_stale.as_secs(),
                    p.audit,
                    p.encryption_required,
                    p.rotation_interval_days,
                    p.compliance,
                    p.aws_failure_rejects,
                )
            })
            .collect();
        assert_eq!(
            rows,
            [
                (Some(".env.dev"), None, 0, false, false, None, None, false),
                (Some(".env.test"), Some(60), 0, true, false, Some(7), None, false),
                (Some(".env.staging"), Some(300), 3600, true, true, Some(14), Some("soc2"), false),
                (None, Some(300), 3600, true, true, Some(7), Some("soc2"), true),
            ]
        );
    }

    #[test]
    fn only_the_staging_file_is_deprecated_and_only_test_clears_on_close() {
        for environment in Environment::ALL {
            let preset = environment.preset();
            assert_eq!(preset.env_file_deprecated, environment == Environment::Staging);
            assert_eq!(preset.close_clears_cache, environment == Environment::Test);
            assert_eq!(preset.instance_metadata, environment != Environment::Development);
            let watched = environment == Environment::Production;
            assert_eq!((preset.monitoring, preset.alerting), (watched, watched));
        }
    }
}
