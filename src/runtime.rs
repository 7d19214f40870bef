//! The threads that the core works on.

use std::num::NonZero;
use std::thread::available_parallelism;

use napi::bindgen_prelude::create_custom_tokio_runtime;
use napi::tokio::runtime::Builder;
use napi_derive::module_init;

/// More would only wait: what is done here is waiting for sources, and a few microseconds of deciphering between.
const MOST_WORKERS: usize = 4;

/// Leaves one core to the JavaScript thread: a worker on its core takes from every reader what it gives to one.
#[module_init]
fn start() {
    let cores = available_parallelism().map_or(1, NonZero::get);
    let workers = cores.saturating_sub(1).clamp(1, MOST_WORKERS);
    // Where threads cannot be had now, the default runtime is tried at the first use, and says so.
    if let Ok(runtime) = Builder::new_multi_thread().worker_threads(workers).enable_all().build() {
        create_custom_tokio_runtime(runtime);
    }
}
