//! An I/O error that several readers receive.

use std::io;
use std::sync::Arc;

/// As an [`io::Error`], which cannot be cloned.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    kind: io::ErrorKind,
    /// What stands in for the text of `kind`.
    text: Option<Arc<str>>,
}

impl Problem {
    pub(crate) fn new(error: &io::Error) -> Self {
        Self { kind: error.kind(), text: error.get_ref().map(|inner| inner.to_string().into()) }
    }

    /// The file system does not answer.
    pub(crate) fn silent() -> Self {
        Self { kind: io::ErrorKind::TimedOut, text: Some("the file system did not answer".into()) }
    }

    /// No thread is free to ask it.
    pub(crate) fn all_stuck(threads: usize) -> Self {
        let text = format!("all {threads} threads for files wait for file systems that do not answer");
        Self { kind: io::ErrorKind::TimedOut, text: Some(text.into()) }
    }

    /// The request ended without a result.
    pub(crate) fn stopped() -> Self {
        Self { kind: io::ErrorKind::Other, text: Some("the file reader was stopped".into()) }
    }
}

impl From<Problem> for io::Error {
    fn from(problem: Problem) -> Self {
        match problem.text {
            Some(text) => Self::new(problem.kind, text.to_string()),
            None => problem.kind.into(),
        }
    }
}
