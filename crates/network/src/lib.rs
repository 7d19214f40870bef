//! What AWS and Redis have in common on the network.
//!
//! Each module uses only those before it:
//! - `cause`: why a host cannot be reached, in words and with Node's code
//! - `pem`: certificates in the text of a bundle
//! - `trust`: which certificates are trusted
#![forbid(unsafe_code)]

mod cause;
mod pem;
mod trust;

pub use cause::{Cause, Remedy, cause_in_text, cause_of, chain};
pub use trust::{Bundle, Roots, Trust, named_bundle, named_directories};
