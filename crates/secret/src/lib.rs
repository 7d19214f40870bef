//! The words of secret delivery, which every other room speaks: names, values, environments, errors, time, reports. No
//! I/O, no async runtime.
#![forbid(unsafe_code)]

pub mod aws_ids;
pub mod backoff;
pub mod breaker;
pub mod caught;
pub mod clock;
pub mod environment;
pub mod error;
pub mod found;
pub mod freeze;
pub mod json_change;
pub mod json_field;
pub mod manifest;
pub mod name;
pub mod notice;
pub mod placeholder;
pub mod rate_limit;
pub mod reference;
pub mod report;
pub mod role;
pub mod shown;
mod suspended;
pub mod twins;
pub mod value;
