//! Finds the values of secrets where they do not belong: in text, in streams, in files.
//!
//! `ledger` knows the values and their `parts`, `forms` the ways in which a value is written (each one in `encodings`), and `finder`
//! finds all of them in one pass, also in base64 that is broken into `lines`. `redacting` replaces what it finds, also in text that arrives in pieces; `scanning` says where it
//! stands in files, also in `wide` text.
#![forbid(unsafe_code)]

mod bits;
mod encodings;
pub mod finder;
pub mod forms;
pub mod ledger;
mod lines;
mod parts;
pub mod redacting;
pub mod scanning;
mod wide;
