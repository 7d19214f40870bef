//! The tokio runtime of the core.

use std::num::NonZero;
use std::thread::available_parallelism;

use napi::bindgen_prelude::create_custom_tokio_runtime;
use napi::tokio::runtime::Builder;
use napi_derive::module_init;

/// Most worker threads. More would be idle: the work is waiting for sources, and a few microseconds of decryption.
const MOST_WORKERS: usize = 4;

/// Leaves one CPU core to the JavaScript thread: a worker on that core slows down every reader to speed up one.
#[module_init]
fn start() {
    let cores = available_parallelism().map_or(1, NonZero::get);
    let workers = cores.saturating_sub(1).clamp(1, MOST_WORKERS);
    // If the threads cannot be created now, napi tries its default runtime at the first use and reports the error.
    if let Ok(runtime) = Builder::new_multi_thread().worker_threads(workers).enable_all().build() {
        create_custom_tokio_runtime(runtime);
    }
}
