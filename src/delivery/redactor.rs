//! `redactor`.
#![expect(clippy::needless_pass_by_value, reason = "napi hands arguments over owned")]

use std::sync::Arc;

use delivery_core::delivery::Delivery;
use leaks::redacting::{Redacted, Stream};
use napi::Env;
use napi::bindgen_prelude::{BufferSlice, Result, within_runtime_if_available};
use napi_derive::napi;

use super::native::NativeDelivery;
use crate::raw::{Redacting, Redactor};
use crate::reports::redaction::Watching;

/// A redactor of one delivery.
#[napi]
pub struct NativeRedactor {
    redacting: Arc<Redacting>,
}

/// Text that arrives in pieces.
#[napi]
pub struct NativeRedactorStream {
    redacting: Arc<Redacting>,
    stream: Stream,
}

#[napi]
impl NativeDelivery {
    /// `redactor`: whose values are replaced, but for those of the secrets in `except`.
    #[napi(catch_unwind)]
    pub fn redactor(&self, except: Vec<String>) -> NativeRedactor {
        let delivery: Arc<Delivery> = self.delivery.clone();
        within_runtime_if_available(|| delivery.ledger().prepare());
        NativeRedactor { redacting: Arc::new(Redacting { delivery, skips: except.into_iter().collect() }) }
    }
}

#[napi]
impl NativeRedactor {
    /// The function that replaces values in a text; see `raw`.
    #[napi(ts_return_type = "(text: string) => string | undefined", catch_unwind)]
    pub fn text(&self) -> Redactor {
        Redactor(self.redacting.clone())
    }

    /// A new stream.
    #[napi(catch_unwind)]
    pub fn stream(&self) -> NativeRedactorStream {
        NativeRedactorStream { redacting: self.redacting.clone(), stream: Stream::default() }
    }

    /// What is looked for.
    #[napi(catch_unwind)]
    pub fn watching(&self) -> Watching {
        self.redacting.delivery.ledger().watching().into()
    }
}

#[napi]
impl NativeRedactorStream {
    /// What can be passed on after `piece`.
    #[napi(catch_unwind)]
    pub fn push<'a>(&mut self, env: &'a Env, piece: BufferSlice<'a>) -> Result<BufferSlice<'a>> {
        let (redacting, finder) = (self.redacting.clone(), self.redacting.delivery.ledger().finder());
        let redacted = self.stream.push(&finder, &piece, &|name| redacting.is_skipped(name));
        self.passed(env, &redacted)
    }

    /// The rest, once nothing comes any more.
    #[napi(catch_unwind)]
    pub fn end<'a>(&mut self, env: &'a Env) -> Result<BufferSlice<'a>> {
        let (redacting, finder) = (self.redacting.clone(), self.redacting.delivery.ledger().finder());
        let redacted = self.stream.end(&finder, &|name| redacting.is_skipped(name));
        self.passed(env, &redacted)
    }

    fn passed<'a>(&self, env: &'a Env, redacted: &Redacted) -> Result<BufferSlice<'a>> {
        self.redacting.delivery.redacted(&redacted.secrets);
        BufferSlice::copy_from(env, &redacted.text)
    }
}
