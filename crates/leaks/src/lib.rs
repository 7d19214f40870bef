//! Finds the values of secrets where they do not belong: in text, in streams, in files.
//!
//! `ledger` knows the values, `forms` the ways in which a value is written, and `finder` finds all of them in one pass.
//! `redacting` replaces what it finds, also in text that arrives in pieces; `scanning` says where it stands in files.
#![forbid(unsafe_code)]

pub mod finder;
pub mod forms;
pub mod ledger;
pub mod redacting;
pub mod scanning;
