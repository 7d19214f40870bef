//! The tokio runtime of the core.

use std::io::Result;
use std::num::NonZero;
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::sync::OnceLock;
use std::thread::available_parallelism;

use napi::bindgen_prelude::create_custom_tokio_runtime;
use napi::tokio::runtime::Builder;
use napi_derive::{module_init, napi};

/// Most worker threads. More would be idle: the work is waiting for sources, and a few microseconds of decryption.
const MOST_WORKERS: usize = 4;

/// Pairs of descriptors that tokio takes, and as many for the first read.
#[cfg(unix)]
const PAIRS: usize = 8;

/// Why there is no runtime that anything runs on.
static REFUSED: OnceLock<String> = OnceLock::new();

/// Leaves one CPU core to the JavaScript thread: a worker on that core slows down every reader to speed up one.
#[module_init]
fn start() {
    let cores = available_parallelism().map_or(1, NonZero::get);
    let workers = cores.saturating_sub(1).clamp(1, MOST_WORKERS);
    let runtime =
        has_descriptors().and_then(|()| Builder::new_multi_thread().worker_threads(workers).enable_all().build());
    let runtime = runtime.or_else(|error| {
        drop(REFUSED.set(error.to_string()));
        // Without one napi would make its own, which ends the process where that fails as well. This one needs neither a thread nor a
        // descriptor, and JavaScript throws before it uses it.
        Builder::new_current_thread().build()
    });
    if let Ok(runtime) = runtime {
        create_custom_tokio_runtime(runtime);
    }
}

/// Tokio panics where it finds too few descriptors for what wakes it.
#[cfg(unix)]
fn has_descriptors() -> Result<()> {
    (0..PAIRS).map(|_| UnixStream::pair()).collect::<Result<Vec<_>>>().map(drop)
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "elsewhere it may fail")]
fn has_descriptors() -> Result<()> {
    Ok(())
}

/// Why the addon cannot be used in this process: the system gave it no threads or no file descriptors.
#[napi(catch_unwind)]
pub fn refused_by_system() -> Option<String> {
    REFUSED.get().cloned()
}
