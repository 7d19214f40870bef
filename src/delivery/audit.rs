//! The audit sink: a function of the service that takes audit lines.

use napi_derive::napi;

use super::native::NativeDelivery;

#[napi]
impl NativeDelivery {
    /// Audit lines were taken, or refused with a reason.
    #[napi(catch_unwind)]
    pub fn audit_lines_done(&self, id: u32, refused: Option<String>) {
        self.sink.answer(id, refused.map_or(Ok(()), Err));
    }
}
