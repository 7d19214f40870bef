//! What a delivery does, seen from outside. One program for all of it: each program links the AWS SDK.

mod audit_opening;
mod closing;
mod events;
mod failing_aws;
#[cfg(unix)]
mod mounted_secrets;
mod one_flight;
mod order;
mod refresh;
mod regions;
mod rights;
mod rotation;
mod rotation_back;
mod rotation_hands;
mod rotation_late;
mod rotation_schedule;
mod shared_cache;
mod snapshot;
mod support;
mod tool_secrets;
mod what_a_read_returns;
