//! The cached secrets of a tool, as one synchronous call.

use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::Arc;

use cache::entry::Entry;
use delivery_core::delivery::HotPath;
use napi::bindgen_prelude::{Result, ToNapiValue};
use napi::sys;

use super::{Strings, called, check, drop_boxed, make_function};

/// Becomes a JavaScript function `(tool, numbers)`: `tool` is the number of a declared tool. When all of its secrets are
/// fresh in memory it writes the numbers under which JavaScript holds them into the `Uint32Array` `numbers`, and returns
/// `true`; where JavaScript does not hold some of them yet it returns an array of numbers, or of both number and value.
/// Else it returns `undefined`.
pub struct ToolReader {
    pub hot: Arc<HotPath>,
    pub strings: Arc<Strings>,
}

impl ToNapiValue for ToolReader {
    /// # Safety
    /// `env` must be the current environment.
    unsafe fn to_napi_value(env: sys::napi_env, reader: Self) -> Result<sys::napi_value> {
        let data = Box::into_raw(Box::new(reader)).cast::<c_void>();
        // SAFETY: `env` is current; the finalizer takes `data` back.
        unsafe { make_function(env, "readTool", read_tool, data, drop_boxed::<Self>) }
    }
}

unsafe extern "C" fn read_tool(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // `undefined` sends the caller to the slow path, which reports errors properly.
    // SAFETY: Node-API calls this with a current environment and valid info.
    catch_unwind(AssertUnwindSafe(|| unsafe { read(env, info) })).ok().flatten().unwrap_or(ptr::null_mut())
}

/// # Safety
/// As a Node-API callback.
unsafe fn read(env: sys::napi_env, info: sys::napi_callback_info) -> Option<sys::napi_value> {
    // SAFETY: the data of this function is a reader.
    let (_, arguments, reader) = unsafe { called::<ToolReader>(env, info) }?;
    let mut tool = 0u32;
    // SAFETY: `env` is current; what is no number is refused.
    if unsafe { sys::napi_get_value_uint32(env, arguments[0], &raw mut tool) } != sys::Status::napi_ok {
        return None;
    }
    let entries = reader.hot.read_tool(tool)?;
    // SAFETY: `env` is current, and the second argument is one of its values.
    if unsafe { write_numbers(env, &entries, arguments[1]) } {
        let mut all = ptr::null_mut();
        // SAFETY: `env` is current.
        return check(unsafe { sys::napi_get_boolean(env, true, &raw mut all) }).ok().map(|()| all);
    }
    // SAFETY: `env` is current.
    unsafe { list(env, &entries, &reader.strings) }.ok()
}

/// Whether JavaScript holds all entries, and `numbers` is a `Uint32Array` that has room for theirs.
///
/// # Safety
/// `env` must be current, and `numbers` one of its values.
unsafe fn write_numbers(env: sys::napi_env, entries: &[Arc<Entry>], numbers: sys::napi_value) -> bool {
    let (mut kind, mut length, mut start) = (0, 0usize, ptr::null_mut());
    let (mut buffer, mut offset) = (ptr::null_mut(), 0usize);
    // SAFETY: what is no typed array is refused.
    let status = unsafe {
        sys::napi_get_typedarray_info(
            env,
            numbers,
            &raw mut kind,
            &raw mut length,
            &raw mut start,
            &raw mut buffer,
            &raw mut offset,
        )
    };
    if status != sys::Status::napi_ok || kind != sys::TypedarrayType::uint32_array || length < entries.len() {
        return false;
    }
    let start = start.cast::<u32>();
    for (at, entry) in entries.iter().enumerate() {
        let Some(hold) = entry.hold() else { return false };
        // SAFETY: the array has more than `at` elements, and nobody else uses it during this call.
        unsafe { start.add(at).write(hold.number()) };
    }
    true
}

/// # Safety
/// `env` must be current.
unsafe fn list(env: sys::napi_env, entries: &[Arc<Entry>], strings: &Strings) -> Result<sys::napi_value> {
    let mut array = ptr::null_mut();
    // SAFETY: `env` is current.
    check(unsafe { sys::napi_create_array_with_length(env, entries.len(), &raw mut array) })?;
    for (at, entry) in (0..).zip(entries) {
        // SAFETY: `env` is current, and so are the values.
        unsafe { check(sys::napi_set_element(env, array, at, strings.held(env, entry)?))? };
    }
    Ok(array)
}
