//! Delivery under load and through failures. One program for all of it: each program links the AWS SDK.

mod closing;
mod failing_aws;
mod one_flight;
mod refresh;
mod regions;
mod shared_cache;
mod snapshot;
#[path = "../support/mod.rs"]
mod support;
