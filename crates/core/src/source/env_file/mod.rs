//! The env file: `.env.dev`, `.env.test`, `.env.staging` or a file named by option.

pub(crate) mod grammar;

use std::collections::HashMap;
use std::fs::Metadata;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use files::{is_absent, loose_mode, off_thread, read_regular, reason};
use parking_lot::Mutex;
use secret::error::{ErrorCode, Result, SecretError};
use secret::name::SecretName;
use secret::notice::{Notice, Notices};
use secret::value::SecretValue;

/// Which parser reads the env file (decision D8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnvFileSyntax {
    /// npm `dotenv`'s grammar.
    Dotenv,
    /// The Rust crate dotenvy's grammar.
    Dotenvy,
}

/// The env file.
#[derive(Clone, Debug)]
pub struct EnvFileSettings {
    /// Absolute path.
    pub path: PathBuf,
    /// Grammar.
    pub syntax: EnvFileSyntax,
    /// Whether to warn that the file exists (staging).
    pub deprecated: bool,
    /// Whether to warn when other users can read the file (staging, production). Developers' files are readable by
    /// default, and hold no real secrets.
    pub private: bool,
}

/// The parsed values of a file, by name.
pub type Values = Arc<HashMap<String, SecretValue>>;

/// Reads the env file, and again when it has changed.
pub struct EnvFile {
    config: EnvFileSettings,
    notices: Arc<dyn Notices>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    loaded: Option<(Stamp, Values)>,
    warned_lines: Vec<usize>,
    warned_deprecated: bool,
    warned_mode: bool,
}

/// Tells one version of a file from another. Size and change time catch a rewrite inside one tick of `modified`.
#[derive(Clone, PartialEq, Eq)]
struct Stamp {
    length: u64,
    modified: Option<SystemTime>,
    #[cfg(unix)]
    inode: (u64, u64, i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        use std::os::unix::fs::MetadataExt as _;
        Self {
            length: metadata.len(),
            modified: metadata.modified().ok(),
            #[cfg(unix)]
            inode: (metadata.dev(), metadata.ino(), metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// What a look at the file found.
enum Look {
    Absent,
    Unchanged,
    Read { stamp: Stamp, values: HashMap<String, SecretValue>, skipped: Vec<usize>, loose: Option<String> },
}

impl EnvFile {
    /// Nothing is read until the first question.
    pub fn new(config: EnvFileSettings, notices: Arc<dyn Notices>) -> Self {
        Self { config, notices, state: Arc::default() }
    }

    /// The file's path, for reports.
    pub fn path(&self) -> String {
        self.config.path.display().to_string()
    }

    /// How it is read.
    pub(crate) fn config(&self) -> &EnvFileSettings {
        &self.config
    }

    /// The value of `name`, under the name itself or its `-` to `_` form. A file that does not exist is empty.
    ///
    /// # Errors
    /// `ENV_FILE_INVALID` when the file exists and cannot be used.
    pub async fn get(&self, name: &SecretName) -> Result<Option<SecretValue>> {
        let values = self.values().await?;
        Ok(name.variable_names().find_map(|name| values.get(&name).cloned()).filter(|value| !value.is_empty()))
    }

    /// Wipes what is held; the next question reads the file again.
    pub fn forget(&self) {
        self.state.lock().loaded = None;
    }

    /// All values as the file is now.
    ///
    /// # Errors
    /// `ENV_FILE_INVALID`.
    pub async fn values(&self) -> Result<Values> {
        let known = self.state.lock().loaded.as_ref().map(|(stamp, _)| stamp.clone());
        let config = self.config.clone();
        let look = off_thread(move || look(&config, known.as_ref())).await;
        match look {
            Ok(Look::Absent) => {
                self.state.lock().loaded = None;
                Ok(Values::default())
            }
            Ok(Look::Unchanged) => {
                Ok(self.state.lock().loaded.as_ref().map(|(_, values)| values.clone()).unwrap_or_default())
            }
            Ok(Look::Read { stamp, values, skipped, loose }) => {
                let values = Arc::new(values);
                self.state.lock().loaded = Some((stamp, values.clone()));
                self.warn(&skipped, loose);
                Ok(values)
            }
            Err(error) => Err(SecretError::new(
                ErrorCode::EnvFileInvalid,
                format!("env file {} cannot be used: {}", self.path(), reason(&error)),
            )),
        }
    }

    fn warn(&self, skipped: &[usize], loose: Option<String>) {
        let mut state = self.state.lock();
        let deprecated = self.config.deprecated && !std::mem::replace(&mut state.warned_deprecated, true);
        let loose = loose.filter(|_| !std::mem::replace(&mut state.warned_mode, true));
        let changed = state.warned_lines != skipped;
        skipped.clone_into(&mut state.warned_lines);
        drop(state);
        if deprecated {
            self.notices.notice(Notice::warning(
                "ENV_FILE_DEPRECATED",
                format!("{} is used: env files are deprecated in staging, move its secrets to AWS", self.path()),
            ));
        }
        if let Some(loose) = loose {
            self.notices.notice(Notice::warning("ENV_FILE_MODE", loose));
        }
        if changed && !skipped.is_empty() {
            const MOST: usize = 10;
            let mut lines = skipped.iter().take(MOST).map(ToString::to_string).collect::<Vec<_>>().join(", ");
            if skipped.len() > MOST {
                lines.push_str(", …");
            }
            self.notices.notice(Notice::warning(
                "ENV_FILE_LINE_SKIPPED",
                format!(
                    "{}: {} line(s) are neither an assignment nor a comment and were skipped: {lines}",
                    self.path(),
                    skipped.len()
                ),
            ));
        }
    }
}

fn look(config: &EnvFileSettings, known: Option<&Stamp>) -> io::Result<Look> {
    let metadata = match std::fs::metadata(&config.path) {
        Ok(metadata) => metadata,
        Err(error) if is_absent(&error) => return Ok(Look::Absent),
        Err(error) => return Err(error),
    };
    if metadata.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a directory"));
    }
    let stamp = Stamp::of(&metadata);
    if known == Some(&stamp) {
        return Ok(Look::Unchanged);
    }
    let Some(bytes) = read_regular(&config.path)? else { return Ok(Look::Absent) };
    let text = std::str::from_utf8(&bytes)
        .map_err(|error| io::Error::other(format!("it is not UTF-8 (byte {})", error.valid_up_to())))?;
    let (values, skipped) = match config.syntax {
        EnvFileSyntax::Dotenv => {
            let parsed = grammar::parse(text);
            (parsed.assignments.into_iter().collect(), parsed.skipped_lines)
        }
        EnvFileSyntax::Dotenvy => (dotenvy_values(&bytes)?, Vec::new()),
    };
    let loose = if config.private { loose_mode(&config.path) } else { None };
    Ok(Look::Read { stamp, values, skipped, loose })
}

/// dotenvy's own grammar, for files shared with Rust services. Its error text holds the line, so it is dropped.
pub(crate) fn dotenvy_values(bytes: &[u8]) -> io::Result<HashMap<String, SecretValue>> {
    dotenvy::from_read_iter(bytes)
        .map(|item| item.map(|(name, value)| (name, SecretValue::new(value))))
        .collect::<std::result::Result<_, _>>()
        .map_err(|_| io::Error::other("dotenvy refuses a line (try syntax 'dotenv')"))
}
