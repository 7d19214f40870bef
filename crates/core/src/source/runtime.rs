//! The runtime environment: process variables, `NAME_FILE`, Docker secrets, Kubernetes mounts.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use files::{Directory, reason};
use secret::error::{ErrorCode, Result, SecretError};
use secret::name::SecretName;
use secret::shown::at_most;
use secret::value::SecretValue;

use super::mounts::Generation;

/// How often a read begins anew because a mount was replaced meanwhile. The kubelet does that once a minute.
pub(crate) const REPLACED_AT_MOST: u32 = 10;

/// When the runtime environment is asked (decision D1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precedence {
    /// After AWS and the env file: the documented code's order.
    Last,
    /// Before both: the documented prose's "override".
    Override,
}

/// The runtime environment.
#[derive(Clone, Debug)]
pub struct RuntimeSettings {
    /// When it is asked.
    pub precedence: Precedence,
    /// Mounted secret directories, asked in order.
    pub directories: Vec<PathBuf>,
}

/// How much reports show of the path of a directory.
const SHOWN: usize = 240;

/// Docker's convention: `NAME_FILE` holds the path of a file that holds the value.
pub const FILE_SUFFIX: &str = "_FILE";

/// Process variables by name.
pub type VariableValues = HashMap<String, SecretValue>;

/// The variables that may hold a secret, or why they cannot be read.
pub type AskedVariables<'a> = Pin<Box<dyn Future<Output = Result<VariableValues>> + Send + 'a>>;

/// Reads process variables when they are needed.
pub trait AskVariables: Send + Sync {
    /// Those that may hold `name`: see [`SecretName::variable_names`], each with and without [`FILE_SUFFIX`].
    fn ask<'a>(&'a self, name: &'a SecretName) -> AskedVariables<'a>;
}

/// The process variables that matter for one call. Only the JavaScript thread reads them: when the call is made, or,
/// where other sources come first, once these have nothing.
#[derive(Clone, Default)]
pub struct Variables {
    known: Known,
    /// What the reads of this call see of mounted directories; `None`: each read for itself.
    generation: Option<Arc<Generation>>,
}

#[derive(Clone)]
enum Known {
    Read(Arc<VariableValues>),
    Asked(Arc<dyn AskVariables>),
}

impl Default for Known {
    fn default() -> Self {
        Self::Read(Arc::default())
    }
}

impl From<Known> for Variables {
    fn from(known: Known) -> Self {
        Self { known, generation: None }
    }
}

impl Variables {
    /// From names and values.
    pub fn new(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let values = variables.into_iter().map(|(name, value)| (name, SecretValue::new(value)));
        Known::Read(Arc::new(values.collect())).into()
    }

    /// Asked for when they are needed, each secret's by itself.
    pub fn asked(from: Arc<dyn AskVariables>) -> Self {
        Known::Asked(from).into()
    }

    /// The same for reads that belong together: all of them see the same generation of each Kubernetes mount. When its files
    /// were removed before they were read, [`Variables::is_outdated`] is true afterwards, and the reads are to be begun anew.
    #[must_use]
    pub fn in_one_generation(&self) -> Self {
        Self { known: self.known.clone(), generation: Some(Arc::default()) }
    }

    /// Whether a mount was replaced and its files removed before they were read.
    pub fn is_outdated(&self) -> bool {
        self.generation.as_ref().is_some_and(|generation| generation.is_removed())
    }

    /// Those that may hold `name`.
    ///
    /// # Errors
    /// Of whom they are asked from.
    async fn of(&self, name: &SecretName) -> Result<Cow<'_, VariableValues>> {
        match &self.known {
            Known::Read(values) => Ok(Cow::Borrowed(values)),
            Known::Asked(from) => from.ask(name).await.map(Cow::Owned),
        }
    }

    /// The names that are set; none where they are asked for.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let read = match &self.known {
            Known::Read(values) => Some(values),
            Known::Asked(_) => None,
        };
        read.into_iter().flat_map(|values| values.keys()).map(String::as_str)
    }
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub struct Located {
    /// The secret.
    pub value: SecretValue,
    /// For people: a process variable or a file.
    pub place: String,
}

/// Reads the runtime environment. It keeps nothing: each call sees the variables it was made with and the files as
/// they are then, so an atomic `..data` swap of a Kubernetes mount is seen by the next read, and never half of it.
#[derive(Clone, Debug)]
pub struct Runtime {
    directories: Vec<PathBuf>,
}

impl Runtime {
    /// Nothing is read until the first question.
    pub fn new(config: &RuntimeSettings) -> Self {
        Self { directories: config.directories.clone() }
    }

    /// The value of `name`: the variable, else the file its `_FILE` variable names, else a mounted file.
    ///
    /// # Errors
    /// `SOURCE_UNAVAILABLE` when a file exists and cannot be read, or `NAME_FILE` names one that does not exist, or the
    /// variables cannot be read; `SOURCE_RESPONSE_INVALID` when a file is not UTF-8.
    pub async fn get(&self, name: &SecretName, variables: &Variables) -> Result<Option<Located>> {
        let variables_of_call = variables;
        let variables = variables.of(name).await?;
        let set = |variable: &str| variables.get(variable).filter(|value| !value.is_empty());
        let mut pointer = None;
        for variable in name.variable_names() {
            if let Some(value) = set(&variable) {
                return Ok(Some(Located { value: value.clone(), place: format!("process variable {variable}") }));
            }
            let file_form = format!("{variable}{FILE_SUFFIX}");
            if pointer.is_none()
                && let Some(path) = set(&file_form)
            {
                #[expect(clippy::disallowed_methods, reason = "EXPOSE: a path, named by its variable in messages")]
                let path = PathBuf::from(path.expose());
                pointer = Some((file_form, path));
            }
        }
        if let Some(generation) = &variables_of_call.generation {
            return self.find(pointer, name, generation).await;
        }
        for _ in 1..REPLACED_AT_MOST {
            let generation = Generation::default();
            let found = self.find(pointer.clone(), name, &generation).await;
            if !generation.is_removed() {
                return found;
            }
        }
        self.find(pointer, name, &Generation::default()).await
    }

    /// The value in the file that `pointer` names, else in a mounted one, as `generation` has them.
    async fn find(
        &self,
        pointer: Option<(String, PathBuf)>,
        name: &SecretName,
        generation: &Generation,
    ) -> Result<Option<Located>> {
        if let Some((variable, path)) = pointer {
            // A path from the environment may be anything, so messages name the variable instead.
            let place = format!("the file named by {variable}");
            let unreadable = |error: &io::Error| unreadable(name.as_str(), &place, error);
            let bytes = generation.pointed(&path).await.map_err(|error| unreadable(&error))?;
            let bytes = bytes.ok_or_else(|| unreadable(&io::Error::other("it does not exist")))?;
            return Ok(text(name, &place, &bytes)?.map(|value| Located { value, place }));
        }
        for directory in &self.directories {
            for file in name.file_names() {
                let place = directory.join(&file).display().to_string();
                let bytes = match generation.read(directory, &file).await {
                    Ok(Some(bytes)) => bytes,
                    Ok(None) => continue,
                    // A directory of that name (Kubernetes' own /run/secrets/kubernetes.io, say) is not a secret.
                    Err(error) if error.kind() == io::ErrorKind::IsADirectory => continue,
                    Err(error) => return Err(unreadable(name.as_str(), &place, &error)),
                };
                if let Some(value) = text(name, &place, &bytes)? {
                    return Ok(Some(Located { value, place }));
                }
            }
        }
        Ok(None)
    }

    /// The secret names that start with `prefix` (upper case), from variables and mounted directories.
    ///
    /// # Errors
    /// `SOURCE_UNAVAILABLE` when a directory exists and cannot be listed.
    pub async fn names(&self, prefix: &str, variables: &Variables) -> Result<BTreeSet<String>> {
        let mut names: BTreeSet<String> = variables
            .names()
            .map(|name| name.strip_suffix(FILE_SUFFIX).unwrap_or(name))
            .filter(|name| name.starts_with(prefix))
            .map(str::to_owned)
            .collect();
        let own = Generation::default();
        let generation = variables.generation.as_deref().unwrap_or(&own);
        for directory in &self.directories {
            let files = generation.list(directory).await.map_err(|error| {
                let why = format!("a secret directory cannot be listed: {}", reason(&error));
                SecretError::new(ErrorCode::SourceUnavailable, why)
            })?;
            for file in files {
                let upper = file.to_ascii_uppercase();
                names.extend([upper.replace('-', "_"), upper].into_iter().filter(|name| name.starts_with(prefix)));
            }
        }
        Ok(names)
    }

    /// Each directory with whether it can be read now, for `health`.
    pub async fn directories(&self) -> BTreeMap<String, Option<String>> {
        let mut problems = BTreeMap::new();
        for directory in &self.directories {
            let problem = files::request::<Directory>(directory).await.err().map(|error| reason(&error));
            problems.insert(at_most(SHOWN, &directory.to_string_lossy()), problem);
        }
        problems
    }
}

/// The file's text without a byte order mark and one line end at its end: editors and `echo` add them, no secret is meant to
/// hold them. A file of line ends alone is an empty one.
fn text(name: &SecretName, place: &str, bytes: &[u8]) -> Result<Option<SecretValue>> {
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    if bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n')) {
        return Ok(None);
    }
    let bytes = bytes.strip_suffix(b"\n").map_or(bytes, |line| line.strip_suffix(b"\r").unwrap_or(line));
    let value = SecretValue::from_utf8(bytes).ok_or_else(|| {
        SecretError::new(
            ErrorCode::SourceResponseInvalid,
            format!("{}: {place} is not UTF-8 text; store binary secrets as base64", name.as_str()),
        )
    })?;
    Ok(Some(value).filter(|value| !value.is_empty()))
}

fn unreadable(name: &str, place: &str, error: &io::Error) -> SecretError {
    SecretError::new(ErrorCode::SourceUnavailable, format!("{name}: {place} cannot be read: {}", reason(error)))
}
