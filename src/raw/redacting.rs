//! The redactor's function as one synchronous call: a log line is read into a buffer on the stack, and nothing is made where
//! it has no value.

use std::cell::RefCell;
use std::collections::HashSet;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::Arc;

use delivery_core::delivery::Delivery;
use leaks::redacting::redact;
use napi::bindgen_prelude::{Result, ToNapiValue};
use napi::sys;
use zeroize::Zeroize;

use super::{check, make_function};

/// Bytes of a text that is read without allocating.
const ON_STACK: usize = 4096;

/// The largest room for a text that is kept for the next one: new memory costs as much as the search in it.
const KEPT: usize = 4 * 1024 * 1024;

thread_local! {
    static ROOM: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Room for a text that is too long for the stack. What was used of it is overwritten.
#[derive(Default)]
struct Heap {
    room: Vec<u8>,
    used: usize,
}

impl Heap {
    fn with_room(&mut self, most: usize) -> Result<*mut u8> {
        if most <= KEPT {
            self.room = ROOM.take();
        }
        let too_long = |_| napi::Error::from_reason("there is no memory for the text");
        self.room.try_reserve_exact(most).map_err(too_long)?;
        self.used = most;
        Ok(self.room.as_mut_ptr())
    }
}

impl Drop for Heap {
    fn drop(&mut self) {
        let mut room = std::mem::take(&mut self.room);
        if (1..=KEPT).contains(&room.capacity()) {
            let used = self.used.min(room.capacity());
            room.spare_capacity_mut()[..used].zeroize();
            // A thread that ends has none any more.
            _ = ROOM.try_with(|kept| kept.replace(room));
        }
    }
}

/// Whose values are looked for, and which secrets are not.
pub struct Redacting {
    pub delivery: Arc<Delivery>,
    pub skips: HashSet<String>,
}

impl Redacting {
    /// `text` without values; `None` where it has none.
    pub fn redact(&self, text: &[u8]) -> Option<Vec<u8>> {
        let finder = self.delivery.ledger().finder();
        let redacted = redact(&finder, text, &|name| self.is_skipped(name))?;
        self.delivery.redacted(&redacted.secrets);
        Some(redacted.text)
    }

    /// A part of a secret (`NAME#password`) stays where the secret does.
    pub fn is_skipped(&self, name: &str) -> bool {
        let secret = || name.split_once('#').map(|(secret, _)| secret);
        !self.skips.is_empty()
            && (self.skips.contains(name) || secret().is_some_and(|secret| self.skips.contains(secret)))
    }
}

/// Becomes a JavaScript function that returns a text without values; `undefined` where the text has none.
pub struct Redactor(pub Arc<Redacting>);

impl ToNapiValue for Redactor {
    /// # Safety
    /// `env` must be the current environment.
    unsafe fn to_napi_value(env: sys::napi_env, redactor: Self) -> Result<sys::napi_value> {
        let data = Arc::into_raw(redactor.0).cast_mut().cast::<c_void>();
        // SAFETY: `env` is current; `data` is a reference that the finalizer takes back.
        unsafe { make_function(env, "redact", redact_text, data, drop_redactor) }
    }
}

unsafe extern "C" fn drop_redactor(_: sys::napi_env, data: *mut c_void, _: *mut c_void) {
    // SAFETY: `data` is the reference that `to_napi_value` gave away, returned exactly once.
    drop(unsafe { Arc::from_raw(data.cast_const().cast::<Redacting>()) });
}

unsafe extern "C" fn redact_text(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: Node-API calls this with a current environment and valid info.
    let redacted = catch_unwind(AssertUnwindSafe(|| unsafe { redacted(env, info) }));
    if let Ok(Ok(value)) = redacted {
        return value;
    }
    // The caller must not take the text for one without values.
    // SAFETY: `env` is current.
    unsafe { sys::napi_throw_error(env, ptr::null(), c"the text could not be searched for secrets".as_ptr()) };
    ptr::null_mut()
}

/// # Safety
/// As a Node-API callback.
unsafe fn redacted(env: sys::napi_env, info: sys::napi_callback_info) -> Result<sys::napi_value> {
    let (mut count, mut text, mut data) = (1usize, ptr::null_mut(), ptr::null_mut());
    // SAFETY: there is room for one value.
    check(unsafe { sys::napi_get_cb_info(env, info, &raw mut count, &raw mut text, ptr::null_mut(), &raw mut data) })?;
    // SAFETY: `data` is the `Redacting` of this function, alive as long as the function.
    let redacting = unsafe { &*data.cast_const().cast::<Redacting>() };
    let mut units = 0usize;
    // SAFETY: without a buffer the length is returned.
    check(unsafe { sys::napi_get_value_string_utf16(env, text, ptr::null_mut(), 0, &raw mut units) })?;
    // A UTF-16 unit has at most three bytes of UTF-8; Node-API writes a NUL. With room for all of them the engine need not count.
    let mut most = 3 * units + 1;
    let (mut stack, mut heap) = ([const { std::mem::MaybeUninit::<u8>::uninit() }; ON_STACK], Heap::default());
    let start: *mut u8 = if most <= ON_STACK {
        stack.as_mut_ptr().cast()
    } else {
        if most > KEPT {
            let mut exact = 0usize;
            // SAFETY: without a buffer the length is returned.
            check(unsafe { sys::napi_get_value_string_utf8(env, text, ptr::null_mut(), 0, &raw mut exact) })?;
            most = exact + 1;
        }
        heap.with_room(most)?
    };
    let mut length = 0usize;
    // SAFETY: there is room for `most` bytes.
    check(unsafe { sys::napi_get_value_string_utf8(env, text, start.cast(), most, &raw mut length) })?;
    // SAFETY: Node-API wrote `length` bytes.
    let bytes = unsafe { std::slice::from_raw_parts_mut(start, length) };
    heap.used = length;
    let Some(mut redacted) = redacting.redact(bytes) else { return Ok(ptr::null_mut()) };
    bytes.zeroize();
    let mut string = ptr::null_mut();
    // SAFETY: `env` is current, and the text outlives the call.
    check(unsafe {
        let (start, length) = (redacted.as_ptr().cast(), redacted.len().cast_signed());
        sys::napi_create_string_utf8(env, start, length, &raw mut string)
    })?;
    redacted.zeroize();
    Ok(string)
}
