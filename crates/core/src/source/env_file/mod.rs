//! The env file: `.env.dev`, `.env.test`, `.env.staging` or a file named by option.

pub(crate) mod grammar;
mod text;

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use files::{File, LooseMode, Stamp, reason};
use parking_lot::Mutex;
use secret::clock::{Clock, Moment};
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

/// The env files.
#[derive(Clone, Debug)]
pub struct EnvFileSettings {
    /// Absolute paths: the first that has a name gives its value.
    pub paths: Vec<PathBuf>,
    /// A file that is not read, and that people expect to be read where none of `paths` is there.
    pub expected: Option<PathBuf>,
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

/// Reads the env files, each again when it has changed.
pub struct EnvFile {
    config: EnvFileSettings,
    files: Vec<OneFile>,
    notices: Arc<dyn Notices>,
    told: AtomicBool,
}

/// One of the files.
struct OneFile {
    path: PathBuf,
    config: EnvFileSettings,
    notices: Arc<dyn Notices>,
    state: Arc<Mutex<State>>,
    clock: Clock,
}

#[derive(Default)]
struct State {
    loaded: Option<Loaded>,
    warned_lines: Vec<usize>,
    warned_deprecated: bool,
    warned_mode: bool,
    warned_utf16: bool,
}

/// The values of one version of the file.
struct Loaded {
    stamp: Stamp,
    /// When this stamp was seen first.
    seen: Moment,
    /// When the file was read last.
    read: Moment,
    contents: Contents,
}

/// What a file has.
#[derive(Clone, Default)]
struct Contents {
    values: Values,
    /// Names whose values are not UTF-8.
    foreign: Arc<[String]>,
}

impl Loaded {
    /// Whether the values stay those of the file for as long as it has this stamp. A file that is written twice within one
    /// tick of its file system's clock, to the same length, keeps its stamp. So the file is read until the stamp is older
    /// than any tick: from then on a change gives it another one. That time is measured here, because the clock of a file
    /// server may be wrong.
    fn is_settled(&self) -> bool {
        self.read.since(self.seen) >= COARSEST_TICK
    }
}

/// FAT's time stamps are two seconds apart; those of other file systems up to one.
const COARSEST_TICK: Duration = Duration::from_secs(2);

/// A file of more bytes than this is parsed off the async threads.
const LONG: usize = 64 * 1024;

/// A file's values, the names of those that are not UTF-8, and the lines that hold none.
type Parsed = (HashMap<String, SecretValue>, Vec<String>, Vec<usize>);

impl EnvFile {
    /// Nothing is read until the first question.
    pub fn new(config: EnvFileSettings, notices: Arc<dyn Notices>) -> Self {
        let file = |path: &PathBuf| OneFile {
            path: path.clone(),
            config: config.clone(),
            notices: notices.clone(),
            state: Arc::default(),
            // Real time, whatever clock the delivery has: the ticks of file systems are.
            clock: Clock::system(),
        };
        let files = config.paths.iter().map(file).collect();
        Self { files, config, notices, told: false.into() }
    }

    /// The paths, for reports.
    pub fn path(&self) -> String {
        self.config.paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
    }

    /// How it is read.
    pub(crate) fn config(&self) -> &EnvFileSettings {
        &self.config
    }

    /// The file that a migration edits: the first one that is there.
    pub(crate) async fn main(&self) -> PathBuf {
        for path in &self.config.paths {
            if files::request::<Option<Stamp>>(path).await.is_ok_and(|stamp| stamp.is_some()) {
                return path.clone();
            }
        }
        self.config.paths.first().cloned().unwrap_or_default()
    }

    /// The value of `name`, under the name itself or its `-` to `_` form. A file that does not exist is empty.
    ///
    /// # Errors
    /// `ENV_FILE_INVALID` when the file exists and cannot be used.
    pub async fn get(&self, name: &SecretName) -> Result<Option<SecretValue>> {
        Ok(self.find(name).await?.map(|(value, _)| value))
    }

    /// The path of the file whose value [`EnvFile::get`] returns.
    pub(crate) async fn place_of(&self, name: &SecretName) -> Option<String> {
        self.find(name).await.ok().flatten().map(|(_, file)| file.path())
    }

    async fn find(&self, name: &SecretName) -> Result<Option<(SecretValue, &OneFile)>> {
        for file in &self.files {
            let contents = file.contents().await?;
            if let Some(name) = name.variable_names().find(|name| contents.foreign.contains(name)) {
                let why = format!("env file {}: the value of {name} is not UTF-8", file.path());
                return Err(SecretError::new(ErrorCode::EnvFileInvalid, why));
            }
            let found = name.variable_names().find_map(|name| contents.values.get(&name).cloned());
            if let Some(value) = found.filter(|value| !value.is_empty()) {
                return Ok(Some((value, file)));
            }
        }
        self.tell_expected().await;
        Ok(None)
    }

    /// Wipes what is held; the next question reads the files again.
    pub fn forget(&self) {
        self.files.iter().for_each(OneFile::forget);
    }

    /// All values as the files are now: of each name that of the first file that has one.
    ///
    /// # Errors
    /// `ENV_FILE_INVALID`.
    pub async fn values(&self) -> Result<Values> {
        if let [file] = &self.files[..] {
            return file.values().await;
        }
        let mut values = HashMap::new();
        for file in self.files.iter().rev() {
            let own = file.values().await?;
            let given = own.iter().filter(|(name, value)| !value.is_empty() || !values.contains_key(*name));
            let given: Vec<_> = given.map(|(name, value)| (name.clone(), value.clone())).collect();
            values.extend(given);
        }
        Ok(Arc::new(values))
    }

    /// Says once that a file is there which is not read, where none that is read is there.
    async fn tell_expected(&self) {
        let Some(expected) = &self.config.expected else { return };
        if self.told.swap(true, Ordering::Relaxed) {
            return;
        }
        let is_there =
            async |path: &PathBuf| files::request::<Option<Stamp>>(path).await.is_ok_and(|stamp| stamp.is_some());
        for path in &self.config.paths {
            if is_there(path).await {
                return;
            }
        }
        if is_there(expected).await {
            let (expected, path) = (expected.display(), self.path());
            let message =
                format!("{path} is not there, and {expected}, which is there, is not read: name it in envFile.path");
            self.notices.notice(Notice::warning("ENV_FILE_NOT_READ", message));
        }
    }
}

impl OneFile {
    fn forget(&self) {
        self.state.lock().loaded = None;
    }

    fn path(&self) -> String {
        self.path.display().to_string()
    }

    async fn values(&self) -> Result<Values> {
        Ok(self.contents().await?.values)
    }

    async fn contents(&self) -> Result<Contents> {
        self.load().await.map_err(|error| {
            let why = format!("env file {} cannot be used: {}", self.path(), reason(&error));
            SecretError::new(ErrorCode::EnvFileInvalid, why)
        })
    }

    async fn load(&self) -> io::Result<Contents> {
        let path = &self.path;
        let now = self.clock.now();
        let Some(stamp) = (*files::request::<Option<Stamp>>(path).await?).clone() else { return Ok(self.absent()) };
        let mut seen = now;
        if let Some(loaded) = self.state.lock().loaded.as_ref().filter(|loaded| loaded.stamp == stamp) {
            if loaded.is_settled() {
                return Ok(loaded.contents.clone());
            }
            seen = loaded.seen;
        }
        // Read after the stamp was: what is written between the two gives the file another stamp.
        let file = files::request::<File>(path).await?;
        let Some(bytes) = file.0.as_ref() else { return Ok(self.absent()) };
        let (syntax, is_utf16) = (self.config.syntax, text::is_utf16(bytes));
        let (values, foreign, skipped) = if bytes.len() > LONG {
            let parsed =
                tokio::task::spawn_blocking(move || parse(file.0.as_deref().map_or(&[], Vec::as_slice), syntax));
            parsed.await.map_err(|_| io::Error::other("the file reader was stopped"))??
        } else {
            parse(bytes, syntax)?
        };
        let loose = if self.config.private { files::request::<LooseMode>(path).await?.0.clone() } else { None };
        let contents = Contents { values: Arc::new(values), foreign: foreign.into() };
        self.store(Loaded { stamp, seen, read: now, contents: contents.clone() });
        self.warn(&skipped, loose);
        if is_utf16 && !std::mem::replace(&mut self.state.lock().warned_utf16, true) {
            let message =
                format!("{} is UTF-16, which it is read as; other programs need UTF-8: save it as that", self.path());
            self.notices.notice(Notice::warning("ENV_FILE_UTF16", message));
        }
        Ok(contents)
    }

    fn absent(&self) -> Contents {
        self.forget();
        Contents::default()
    }

    /// Keeps what was read, unless a read that began later was faster.
    fn store(&self, loaded: Loaded) {
        let mut state = self.state.lock();
        if state.loaded.as_ref().is_none_or(|other| other.read <= loaded.read) {
            state.loaded = Some(loaded);
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
                    "{}: {} line(s) are neither an assignment nor a comment, or have a value that is not UTF-8, and were \
                     skipped: {lines}",
                    self.path(),
                    skipped.len()
                ),
            ));
        }
    }
}

fn parse(bytes: &[u8], syntax: EnvFileSyntax) -> io::Result<Parsed> {
    let text = text::decoded(bytes)?;
    Ok(match syntax {
        EnvFileSyntax::Dotenv => {
            let parsed = grammar::parse(&text.text);
            let (mut values, mut foreign, mut skipped) = (HashMap::new(), Vec::new(), parsed.skipped_lines);
            for (name, value) in parsed.assignments {
                if text.is_foreign(&value) {
                    skipped.extend(text.line_of(&name));
                    foreign.push(name);
                } else {
                    values.insert(name, value);
                }
            }
            skipped.sort_unstable();
            (values, foreign, skipped)
        }
        EnvFileSyntax::Dotenvy => (dotenvy_values(text.text.as_bytes())?, Vec::new(), Vec::new()),
    })
}

/// dotenvy's own grammar, for files shared with Rust services. Its error text holds the line, so it is dropped.
pub(crate) fn dotenvy_values(bytes: &[u8]) -> io::Result<HashMap<String, SecretValue>> {
    dotenvy::from_read_iter(bytes)
        .map(|item| item.map(|(name, value)| (name, SecretValue::new(value))))
        .collect::<std::result::Result<_, _>>()
        .map_err(|_| io::Error::other("dotenvy refuses a line (try syntax 'dotenv')"))
}

#[cfg(test)]
mod tests;
