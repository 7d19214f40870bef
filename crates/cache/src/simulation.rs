//! For the simulation: a Redis and files in the same process, and defects that the simulation must find.
//!
//! All of it belongs to one thread, as a simulated world does.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use redis::{Cmd, PushInfo, RedisResult, Value};
use tokio::sync::mpsc::UnboundedSender;

/// An answer on its way.
pub type Answering<T> = Pin<Box<dyn Future<Output = RedisResult<T>> + Send>>;

/// A server, as one instance reaches it.
pub trait Server: Send + Sync {
    /// A new connection; the server puts what it sends unasked into `pushes`.
    fn connect(&self, pushes: Option<UnboundedSender<PushInfo>>) -> Answering<Arc<dyn Connection>>;
}

/// An open connection.
pub trait Connection: Send + Sync {
    /// Sends commands in one go. Each has its own answer, in their order.
    fn ask(&self, commands: Vec<Cmd>) -> Answering<Vec<RedisResult<Value>>>;

    /// Sends one command.
    fn ask_one(&self, command: Cmd) -> Answering<Value> {
        let answers = self.ask(vec![command]);
        Box::pin(async move { answers.await?.pop().unwrap_or(Ok(Value::Nil)) })
    }
}

/// Defects that were there once, put back to see that the simulation finds them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defect {
    /// Memory takes every answer, however old its question is.
    LateAnswers,
    /// Redis stores every copy, however old its question is.
    BlindShare,
    /// A late "not there" drops what was asked for after it, in memory and in Redis.
    LateAbsence,
    /// A process that AWS denied a secret takes the copies of others.
    SharedAfterDenial,
    /// What was dropped is not remembered.
    DropsForgotten,
}

impl Defect {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::LateAnswers, Self::BlindShare, Self::LateAbsence, Self::SharedAfterDenial, Self::DropsForgotten];
}

/// Where simulated files and servers are.
const PLACE: &str = "simulation:";
/// How long it takes to write a file.
pub const WRITE_TAKES: Duration = Duration::from_millis(5);

thread_local! {
    static SERVERS: RefCell<BTreeMap<String, Arc<dyn Server>>> = RefCell::default();
    static FILES: RefCell<BTreeMap<PathBuf, Vec<u8>>> = RefCell::default();
    static DEFECT: Cell<Option<Defect>> = const { Cell::new(None) };
}

/// Makes `url` lead to `server`.
pub fn serve(url: &str, server: Arc<dyn Server>) {
    SERVERS.with_borrow_mut(|servers| servers.insert(url.to_owned(), server));
}

/// Removes all servers and files.
pub fn reset() {
    SERVERS.take();
    FILES.take();
}

/// Puts a defect back on this thread, or none.
pub fn set_defect(defect: Option<Defect>) {
    DEFECT.set(defect);
}

/// Whether `defect` is there.
pub fn has(defect: Defect) -> bool {
    DEFECT.get() == Some(defect)
}

pub(crate) fn server(url: &str) -> Option<Arc<dyn Server>> {
    SERVERS.with_borrow(|servers| servers.get(url).cloned())
}

pub(crate) fn is_simulated(path: &Path) -> bool {
    path.starts_with(PLACE)
}

pub(crate) fn write(path: &Path, bytes: Vec<u8>) {
    FILES.with_borrow_mut(|files| files.insert(path.to_owned(), bytes));
}

pub(crate) fn read(path: &Path) -> Option<Vec<u8>> {
    FILES.with_borrow(|files| files.get(path).cloned())
}
