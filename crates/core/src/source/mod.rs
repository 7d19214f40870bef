//! Where secrets come from beside AWS. Each source answers for itself: a value, `None` (absent), or an error. None of
//! them knows of the others, of the caches or of precedence.

pub mod env_file;
mod mounts;
pub mod runtime;
