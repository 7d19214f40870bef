//! The runtime environment: process variables, `NAME_FILE`, Docker secrets, Kubernetes mounts.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use files::{is_absent, off_thread, read_regular, reason};
use secret::error::{ErrorCode, Result, SecretError};
use secret::name::SecretName;
use secret::value::SecretValue;

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
#[derive(Clone)]
pub struct Variables(Known);

#[derive(Clone)]
enum Known {
    Read(Arc<VariableValues>),
    Asked(Arc<dyn AskVariables>),
}

impl Default for Variables {
    fn default() -> Self {
        Self(Known::Read(Arc::default()))
    }
}

impl Variables {
    /// From names and values.
    pub fn new(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let values = variables.into_iter().map(|(name, value)| (name, SecretValue::new(value)));
        Self(Known::Read(Arc::new(values.collect())))
    }

    /// Asked for when they are needed, each secret's by itself.
    pub fn asked(from: Arc<dyn AskVariables>) -> Self {
        Self(Known::Asked(from))
    }

    /// Those that may hold `name`.
    ///
    /// # Errors
    /// Of whom they are asked from.
    async fn of(&self, name: &SecretName) -> Result<Cow<'_, VariableValues>> {
        match &self.0 {
            Known::Read(values) => Ok(Cow::Borrowed(values)),
            Known::Asked(from) => from.ask(name).await.map(Cow::Owned),
        }
    }

    /// The names that are set; none where they are asked for.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let read = match &self.0 {
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
/// they are then, so an atomic `..data` swap of a Kubernetes mount is seen by the next read.
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
        let (directories, secret) = (self.directories.clone(), name.clone());
        off_thread(move || Ok(find(pointer, &directories, &secret)))
            .await
            .unwrap_or_else(|error| Err(unreadable(name.as_str(), "its file", &error)))
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
        let (directories, prefix) = (self.directories.clone(), prefix.to_owned());
        let mounted = off_thread(move || list(&directories, &prefix)).await.map_err(|error| {
            SecretError::new(
                ErrorCode::SourceUnavailable,
                format!("a secret directory cannot be listed: {}", reason(&error)),
            )
        })?;
        names.extend(mounted);
        Ok(names)
    }

    /// Each directory with whether it can be read now, for `health`.
    pub async fn directories(&self) -> BTreeMap<String, Option<String>> {
        let directories = self.directories.clone();
        off_thread(move || {
            Ok(directories
                .iter()
                .map(|directory| {
                    let problem = match std::fs::read_dir(directory) {
                        Ok(_) => None,
                        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                        Err(error) => Some(reason(&error)),
                    };
                    (directory.display().to_string(), problem)
                })
                .collect())
        })
        .await
        .unwrap_or_else(|error| BTreeMap::from([("secretDirectories".to_owned(), Some(reason(&error)))]))
    }
}

fn find(pointer: Option<(String, PathBuf)>, directories: &[PathBuf], name: &SecretName) -> Result<Option<Located>> {
    if let Some((variable, path)) = pointer {
        // A path from the environment may be anything, so messages name the variable instead.
        let place = format!("the file named by {variable}");
        let unreadable = |error: &io::Error| unreadable(name.as_str(), &place, error);
        let bytes = read(&path).map_err(|error| unreadable(&error))?;
        let bytes = bytes.ok_or_else(|| unreadable(&io::Error::other("it does not exist")))?;
        return Ok(text(name, &place, bytes)?.map(|value| Located { value, place }));
    }
    for directory in directories {
        for file in name.file_names() {
            let path = directory.join(file);
            let place = path.display().to_string();
            let bytes = match read(&path) {
                Ok(Some(bytes)) => bytes,
                Ok(None) => continue,
                // A directory of that name (Kubernetes' own /run/secrets/kubernetes.io, say) is not a secret.
                Err(_) if path.is_dir() => continue,
                Err(error) => return Err(unreadable(name.as_str(), &place, &error)),
            };
            if let Some(value) = text(name, &place, bytes)? {
                return Ok(Some(Located { value, place }));
            }
        }
    }
    Ok(None)
}

type Bytes = zeroize::Zeroizing<Vec<u8>>;

fn read(path: &Path) -> io::Result<Option<Bytes>> {
    read_regular(path)
}

/// The file's text without one line end at its end: editors and `echo` add it, no secret is meant to hold it.
fn text(name: &SecretName, place: &str, mut bytes: Bytes) -> Result<Option<SecretValue>> {
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
    }
    let value = SecretValue::from_utf8(&bytes).ok_or_else(|| {
        SecretError::new(
            ErrorCode::SourceResponseInvalid,
            format!("{}: {place} is not UTF-8 text; store binary secrets as base64", name.as_str()),
        )
    })?;
    Ok(Some(value).filter(|value| !value.is_empty()))
}

fn list(directories: &[PathBuf], prefix: &str) -> io::Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for directory in directories {
        let entries = match std::fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(error) if is_absent(&error) => continue,
            Err(error) => return Err(error),
        };
        for entry in entries {
            let file = entry?.file_name();
            let Some(file) = file.to_str().filter(|file| !file.starts_with("..")) else { continue };
            for name in [file.to_ascii_uppercase(), file.to_ascii_uppercase().replace('-', "_")] {
                if name.starts_with(prefix) {
                    names.insert(name);
                }
            }
        }
    }
    Ok(names)
}

fn unreadable(name: &str, place: &str, error: &io::Error) -> SecretError {
    SecretError::new(ErrorCode::SourceUnavailable, format!("{name}: {place} cannot be read: {}", reason(error)))
}
