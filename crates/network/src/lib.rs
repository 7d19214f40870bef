//! What AWS and Redis have in common on the network.
//!
//! Each module uses only those before it:
//! - `cause`: why a host cannot be reached, in words and with Node's code
//! - `pem`: certificates in the text of a bundle
//! - `trust`: which certificates are trusted
//! - `tunnel`: how a proxy is asked for a way to a host
#![forbid(unsafe_code)]

mod cause;
mod pem;
mod trust;
pub mod tunnel;

pub use cause::{Cause, Refused, Remedy, cause_in_text, cause_of, chain};
pub use trust::{Bundle, Roots, Trust, named_bundle, named_directories};
