//! Whose copies of secrets these are.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use secret::error::Result;

/// Says whose copies these are, such as `123456789012:eu-central-1`; `None`: nobody's in particular. Asked each time, since
/// credentials may become another's.
pub type Owner = Arc<dyn Fn() -> BoxFuture<'static, Result<Option<String>>> + Send + Sync>;

/// Says whose the copies of a file are.
#[derive(Clone)]
pub struct Whose {
    /// Those that are put now; `None` while that is not known, and `Some(None)`: nobody's in particular.
    pub known: Arc<dyn Fn() -> Option<Option<String>> + Send + Sync>,
    /// Those that may be taken now.
    pub now: Owner,
}
