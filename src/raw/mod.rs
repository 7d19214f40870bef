//! The only room with `unsafe` of its own: raw Node-API where the generated glue costs more than the work.
//!
//! - [`CachedReader`]: a cached read as one synchronous call. Names are read into stack buffers, upper-cased there and looked
//!   up. [`ToolReader`]: the same for all secrets of a tool.
//! - [`SecretText`]: a secret becomes a JavaScript string over its wiped-on-drop buffer (`strings`), without a `String` in
//! - [`Redactor`]: a text without values, as one synchronous call.
//! - [`Hop`]: calls JavaScript from other threads, and lets pending operations, and nothing else, hold the event loop.
//!
//! Every callback runs on the thread of its own environment, as Node-API requires. No callback can unwind into C: they
//! call nothing that panics, and the outermost one is guarded.

mod hop;
mod redacting;
mod strings;
mod tools;

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::Arc;

use cache::entry::{Entry, Hold};
use delivery_core::delivery::{HotPath, Known};
use napi::bindgen_prelude::{FromNapiValue, Result, ToNapiValue, TypeName, ValidateNapiValue};
use napi::{Error, Status, ValueType, sys};
use secret::error::SecretError;
use secret::name::{MAX_NAME, MAX_PART, SecretName};
use secret::value::SecretValue;

pub use hop::Hop;
pub use redacting::{Redacting, Redactor};
pub use strings::Slots;
pub use tools::ToolReader;

/// Room for the longest name, one more UTF-8 character and the NUL that Node-API writes. Node-API cuts what does not
/// fit without saying so; with this room anything cut is recognisably longer than any valid name.
const ROOM: usize = 5;

/// Becomes a JavaScript function `(tool, type)`, `(name)` or `(id)` that returns the number under which JavaScript holds the
/// fresh cached value, and the first time both in an array. With a text it returns in an array that number, the value the
/// first time, and the id with which the name need not be built again. Where there is no such value it returns the secret's
/// name in an array; `undefined` when the arguments name no secret.
pub struct CachedReader {
    pub hot: Arc<HotPath>,
    pub strings: Arc<Strings>,
    pub ids: Ids,
}

/// The names that have ids: those that were found in memory. Used on JavaScript's thread only.
#[derive(Default)]
pub struct Ids {
    names: RefCell<Vec<Known>>,
    by_name: RefCell<HashMap<Box<str>, u32>>,
}

impl Ids {
    /// `None` once there are too many.
    fn of(&self, name: Known) -> Option<u32> {
        const MOST: usize = 100_000;
        if let Some(id) = self.by_name.borrow().get(name.as_str()) {
            return Some(*id);
        }
        let mut names = self.names.borrow_mut();
        let id = u32::try_from(names.len()).ok().filter(|_| names.len() < MOST)?;
        self.by_name.borrow_mut().insert(name.as_str().into(), id);
        names.push(name);
        Some(id)
    }
}

/// The strings that JavaScript holds.
pub struct Strings {
    pub slots: Arc<Slots>,
    /// Tells JavaScript to let go of one.
    pub let_go: Arc<dyn Fn(u32) + Send + Sync>,
}

impl Strings {
    /// The number of the string of `entry`, or, the first time, the number and the string.
    ///
    /// # Safety
    /// `env` must be current.
    unsafe fn held(&self, env: sys::napi_env, entry: &Entry) -> Result<sys::napi_value> {
        let mut number = ptr::null_mut();
        if let Some(hold) = entry.hold() {
            // SAFETY: `env` is current.
            check(unsafe { sys::napi_create_uint32(env, hold.number(), &raw mut number) })?;
            return Ok(number);
        }
        // SAFETY: `env` is current.
        let string = unsafe { strings::text(env, &entry.value) }?;
        let slot = self.slots.take();
        entry.held_as(Hold::new(slot, self.let_go.clone()));
        let mut both = ptr::null_mut();
        // SAFETY: `env` is current, and so are the values.
        unsafe {
            check(sys::napi_create_uint32(env, slot, &raw mut number))?;
            check(sys::napi_create_array_with_length(env, 2, &raw mut both))?;
            check(sys::napi_set_element(env, both, 0, number))?;
            check(sys::napi_set_element(env, both, 1, string))?;
        }
        Ok(both)
    }
}

impl CachedReader {
    /// What [`Strings::held`] gives, the value or `undefined`, and the id of `name`, where it has one.
    ///
    /// # Safety
    /// `env` must be current.
    unsafe fn with_id(&self, env: sys::napi_env, entry: &Entry, name: Known) -> Result<sys::napi_value> {
        let (mut all, mut value, mut is_array) = (ptr::null_mut(), ptr::null_mut(), false);
        // SAFETY: `env` is current, and so are the values.
        unsafe {
            let mut held = self.strings.held(env, entry)?;
            check(sys::napi_is_array(env, held, &raw mut is_array))?;
            check(sys::napi_get_undefined(env, &raw mut value))?;
            let mut id = value;
            if is_array {
                let both = held;
                check(sys::napi_get_element(env, both, 0, &raw mut held))?;
                check(sys::napi_get_element(env, both, 1, &raw mut value))?;
            }
            if let Some(number) = self.ids.of(name) {
                check(sys::napi_create_uint32(env, number, &raw mut id))?;
            }
            check(sys::napi_create_array_with_length(env, 3, &raw mut all))?;
            for (at, one) in (0..).zip([held, value, id]) {
                check(sys::napi_set_element(env, all, at, one))?;
            }
        }
        Ok(all)
    }
}

impl ToNapiValue for CachedReader {
    /// # Safety
    /// `env` must be the current environment.
    unsafe fn to_napi_value(env: sys::napi_env, reader: Self) -> Result<sys::napi_value> {
        let data = Box::into_raw(Box::new(reader)).cast::<c_void>();
        // SAFETY: `env` is current; the finalizer takes `data` back.
        unsafe { make_function(env, "readCached", read_cached, data, drop_boxed::<Self>) }
    }
}

unsafe extern "C" fn read_cached(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // `undefined` sends the caller to the slow path, which reports errors properly.
    // SAFETY: Node-API calls this with a current environment and valid info.
    catch_unwind(AssertUnwindSafe(|| unsafe { read(env, info) })).ok().flatten().unwrap_or(ptr::null_mut())
}

/// # Safety
/// As a Node-API callback.
unsafe fn read(env: sys::napi_env, info: sys::napi_callback_info) -> Option<sys::napi_value> {
    // SAFETY: the data of this function is a reader.
    let (count, arguments, reader) = unsafe { called::<CachedReader>(env, info) }?;
    let mut id = 0u32;
    // SAFETY: `env` is current; what is no number is refused.
    if count == 1 && unsafe { sys::napi_get_value_uint32(env, arguments[0], &raw mut id) } == sys::Status::napi_ok {
        // SAFETY: `env` is current.
        return unsafe { read_by_id(env, reader, id) };
    }
    let mut buffer = [0u8; MAX_NAME + ROOM];
    let (length, at) = if count < 2 {
        // SAFETY: `buffer` is as long as said.
        (unsafe { copy_text(env, arguments[0], &mut buffer, MAX_NAME) }?, None)
    } else {
        // SAFETY: as above.
        let tool = unsafe { copy_text(env, arguments[0], &mut buffer[..MAX_PART + ROOM], MAX_PART) }?;
        buffer[tool] = b'_';
        // SAFETY: as above; `tool` is at most MAX_PART.
        let kind = unsafe { copy_text(env, arguments[1], &mut buffer[tool + 1..], MAX_PART) }?;
        let length = tool + 1 + kind;
        buffer[..length].make_ascii_uppercase();
        (length, Some(tool))
    };
    let name = std::str::from_utf8(&buffer[..length]).ok()?;
    let known = reader.hot.known(name);
    if let Some(served) = reader.hot.read(&known) {
        // SAFETY: `env` is current.
        return unsafe { reader.with_id(env, served.entry()?, known) }.ok();
    }
    let valid = match at {
        Some(at) => SecretName::of_tool(&name[..at], &name[at + 1..]),
        None => SecretName::new(name),
    };
    // SAFETY: `env` is current.
    unsafe { ToNapiValue::to_napi_value(env, vec![valid.ok()?.as_str()]) }.ok()
}

/// # Safety
/// `env` must be current.
unsafe fn read_by_id(env: sys::napi_env, reader: &CachedReader, id: u32) -> Option<sys::napi_value> {
    let names = reader.ids.names.borrow();
    let name = names.get(id as usize)?;
    match reader.hot.read(name) {
        // SAFETY: `env` is current.
        Some(served) => unsafe { reader.strings.held(env, served.entry()?) }.ok(),
        // SAFETY: `env` is current.
        None => unsafe { ToNapiValue::to_napi_value(env, vec![name.as_str()]) }.ok(),
    }
}

/// The names of a turn's reads, each valid or with the error that it rejects with.
pub struct Names(pub Vec<std::result::Result<SecretName, SecretError>>);

impl TypeName for Names {
    fn type_name() -> &'static str {
        "Array<string>"
    }

    fn value_type() -> ValueType {
        ValueType::Object
    }
}

impl ValidateNapiValue for Names {}

impl FromNapiValue for Names {
    /// # Safety
    /// `env` must be current and `array` one of its values.
    unsafe fn from_napi_value(env: sys::napi_env, array: sys::napi_value) -> Result<Self> {
        let mut count = 0u32;
        // SAFETY: as said above.
        check(unsafe { sys::napi_get_array_length(env, array, &raw mut count) })?;
        let mut names = Vec::with_capacity(count as usize);
        let mut buffer = [0u8; MAX_NAME + ROOM];
        for at in 0..count {
            let (mut value, mut length) = (ptr::null_mut(), 0usize);
            // SAFETY: `array` is an array; the buffer is as long as said. What does not fit is cut, and is too long for
            // a name all the same.
            unsafe {
                check(sys::napi_get_element(env, array, at, &raw mut value))?;
                check(sys::napi_get_value_string_utf8(
                    env,
                    value,
                    buffer.as_mut_ptr().cast(),
                    buffer.len(),
                    &raw mut length,
                ))?;
            }
            names.push(SecretName::new(&String::from_utf8_lossy(&buffer[..length])));
        }
        Ok(Self(names))
    }
}

/// The length of the string `value` as UTF-8 in `buffer`; `None` when it is no string, empty, or longer than `most`.
///
/// # Safety
/// `env` must be current and `value` one of its values.
unsafe fn copy_text(env: sys::napi_env, value: sys::napi_value, buffer: &mut [u8], most: usize) -> Option<usize> {
    let mut length = 0usize;
    // SAFETY: the buffer is as long as said.
    let status = unsafe {
        sys::napi_get_value_string_utf8(env, value, buffer.as_mut_ptr().cast(), buffer.len(), &raw mut length)
    };
    (status == sys::Status::napi_ok && length > 0 && length <= most).then_some(length)
}

/// A secret on its way to JavaScript.
pub struct SecretText(pub SecretValue);

impl ToNapiValue for SecretText {
    /// # Safety
    /// `env` must be the current environment.
    unsafe fn to_napi_value(env: sys::napi_env, secret: Self) -> Result<sys::napi_value> {
        // SAFETY: `env` is current.
        unsafe { strings::text(env, &secret.0) }
    }
}

/// The bytes of a secret on their way to JavaScript, as a `Uint8Array` with a buffer of its own.
pub struct SecretBytes(pub Vec<u8>);

impl ToNapiValue for SecretBytes {
    /// # Safety
    /// `env` must be the current environment.
    unsafe fn to_napi_value(env: sys::napi_env, bytes: Self) -> Result<sys::napi_value> {
        let length = bytes.0.len();
        let (mut start, mut buffer, mut array) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
        // SAFETY: `env` is current.
        check(unsafe { sys::napi_create_arraybuffer(env, length, &raw mut start, &raw mut buffer) })?;
        if length > 0 {
            // SAFETY: the new buffer has room for `length` bytes, and nobody else knows it yet.
            unsafe { ptr::copy_nonoverlapping(bytes.0.as_ptr(), start.cast::<u8>(), length) };
        }
        let kind = sys::TypedarrayType::uint8_array;
        // SAFETY: `buffer` is an array buffer of this length.
        check(unsafe { sys::napi_create_typedarray(env, kind, length, buffer, 0, &raw mut array) })?;
        Ok(array)
    }
}

/// Secrets by type, on their way to JavaScript as an object.
pub struct SecretMap(pub Vec<(String, SecretValue)>);

impl ToNapiValue for SecretMap {
    /// # Safety
    /// `env` must be the current environment.
    unsafe fn to_napi_value(env: sys::napi_env, map: Self) -> Result<sys::napi_value> {
        let mut object = ptr::null_mut();
        // SAFETY: `env` is current.
        check(unsafe { sys::napi_create_object(env, &raw mut object) })?;
        for (name, value) in map.0 {
            let mut key = ptr::null_mut();
            // SAFETY: `env` is current; the name outlives the call, and `value` is a value of `env`. The property is defined
            // and not assigned: a field named `__proto__` would otherwise be lost.
            unsafe {
                let length = name.len().cast_signed();
                check(sys::napi_create_string_utf8(env, name.as_ptr().cast(), length, &raw mut key))?;
                let property = sys::napi_property_descriptor {
                    utf8name: ptr::null(),
                    name: key,
                    method: None,
                    getter: None,
                    setter: None,
                    value: strings::text(env, &value)?,
                    attributes: sys::PropertyAttributes::writable
                        | sys::PropertyAttributes::enumerable
                        | sys::PropertyAttributes::configurable,
                    data: ptr::null_mut(),
                };
                check(sys::napi_define_properties(env, object, 1, &raw const property))?;
            }
        }
        Ok(object)
    }
}

/// How many arguments a function was called with, the first two, and its data.
///
/// # Safety
/// As a Node-API callback; the function was made with a boxed `T`.
unsafe fn called<'function, T>(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> Option<(usize, [sys::napi_value; 2], &'function T)> {
    let (mut count, mut arguments, mut data) = (2usize, [ptr::null_mut(); 2], ptr::null_mut());
    // SAFETY: `arguments` has room for `count` values.
    let status = unsafe {
        sys::napi_get_cb_info(env, info, &raw mut count, arguments.as_mut_ptr(), ptr::null_mut(), &raw mut data)
    };
    if status != sys::Status::napi_ok || data.is_null() {
        return None;
    }
    // SAFETY: `data` is the `T` of this function, alive as long as the function.
    Some((count, arguments, unsafe { &*data.cast_const().cast::<T>() }))
}

/// Takes the boxed data of a function back.
unsafe extern "C" fn drop_boxed<T>(_: sys::napi_env, data: *mut c_void, _: *mut c_void) {
    // SAFETY: `data` is what `make_function` was given, returned exactly once.
    drop(unsafe { Box::from_raw(data.cast::<T>()) });
}

/// A JavaScript function over `data`, which `drop_data` takes back once.
///
/// # Safety
/// `env` must be current, and `data` what both callbacks take it for.
unsafe fn make_function(
    env: sys::napi_env,
    name: &str,
    callback: unsafe extern "C" fn(sys::napi_env, sys::napi_callback_info) -> sys::napi_value,
    data: *mut c_void,
    drop_data: unsafe extern "C" fn(sys::napi_env, *mut c_void, *mut c_void),
) -> Result<sys::napi_value> {
    let mut function = ptr::null_mut();
    // SAFETY: `env` is current; `data` stays valid until the finalizer takes it back.
    let status = unsafe {
        sys::napi_create_function(
            env,
            name.as_ptr().cast(),
            name.len().cast_signed(),
            Some(callback),
            data,
            &raw mut function,
        )
    };
    check(status)?;
    // SAFETY: the function object was just made; the finalizer runs once, when it is collected or the environment ends.
    check(unsafe { sys::napi_add_finalizer(env, function, data, Some(drop_data), ptr::null_mut(), ptr::null_mut()) })?;
    Ok(function)
}

fn check(status: sys::napi_status) -> Result<()> {
    if status == sys::Status::napi_ok { Ok(()) } else { Err(Error::from_status(Status::from(status))) }
}
