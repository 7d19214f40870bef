//! Secrets as JavaScript strings: one for each copy in memory, whose bytes are Rust's where Node-API has external strings.
//!
//! JavaScript holds the string of a copy in an array, under a number that the cached read returns (`lib/strings.js`). When
//! the copy is dropped, JavaScript is told to let go of it. The bytes of an external string are overwritten when the last of
//! the string's holders, in JavaScript and in Rust, has let go of it (decision 86).

use std::ffi::{c_char, c_void};
use std::ptr;
use std::sync::OnceLock;

use napi::bindgen_prelude::Result;
use napi::sys;
use parking_lot::Mutex;
use secret::value::SecretValue;
use zeroize::Zeroizing;

use super::check;

/// The numbers under which JavaScript holds strings. Used on its thread only.
#[derive(Default)]
pub struct Slots(Mutex<State>);

#[derive(Default)]
struct State {
    free: Vec<u32>,
    next: u32,
}

impl Slots {
    pub fn take(&self) -> u32 {
        let mut state = self.0.lock();
        state.free.pop().unwrap_or_else(|| {
            state.next += 1;
            state.next - 1
        })
    }

    /// JavaScript lets go of it in this turn.
    pub fn give_back(&self, slot: u32) {
        self.0.lock().free.push(slot);
    }
}

/// `node_api_create_external_string_latin1` and `…_utf16`, which differ in the type of a character.
type Create = unsafe extern "C" fn(
    sys::napi_env,
    *mut c_void,
    usize,
    Option<unsafe extern "C" fn(sys::napi_env, *mut c_void, *mut c_void)>,
    *mut c_void,
    *mut sys::napi_value,
    *mut bool,
) -> sys::napi_status;

/// They are Node.js 20's and newer, and Node-API 10's: looked up, so that the addon loads where they are missing.
struct External {
    latin1: Option<Create>,
    utf16: Option<Create>,
}

fn external() -> &'static External {
    static EXTERNAL: OnceLock<External> = OnceLock::new();
    EXTERNAL.get_or_init(|| External {
        latin1: look_up(c"node_api_create_external_string_latin1"),
        utf16: look_up(c"node_api_create_external_string_utf16"),
    })
}

fn look_up(name: &std::ffi::CStr) -> Option<Create> {
    // SAFETY: the name ends in NUL.
    let found = unsafe { symbol(name.as_ptr()) };
    // SAFETY: a function of this name is Node-API's, and has this type.
    (!found.is_null()).then(|| unsafe { std::mem::transmute::<*mut c_void, Create>(found) })
}

#[cfg(unix)]
unsafe fn symbol(name: *const c_char) -> *mut c_void {
    unsafe extern "C" {
        fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
    }
    // RTLD_DEFAULT: whatever the process has.
    let everywhere =
        if cfg!(target_vendor = "apple") { ptr::without_provenance_mut(usize::MAX - 1) } else { ptr::null_mut() };
    // SAFETY: the caller's promise.
    unsafe { dlsym(everywhere, name) }
}

#[cfg(windows)]
unsafe fn symbol(name: *const c_char) -> *mut c_void {
    #[link(name = "kernel32")]
    unsafe extern "system" {
        fn GetModuleHandleW(name: *const u16) -> *mut c_void;
        fn GetProcAddress(module: *mut c_void, name: *const c_char) -> *mut c_void;
    }
    // SAFETY: null is the program itself, which has Node-API; the caller's promise.
    unsafe { GetProcAddress(GetModuleHandleW(ptr::null()), name) }
}

/// A string whose bytes are `value`'s own, or a copy of them that is overwritten; an ordinary string where the engine cannot
/// do that.
///
/// # Safety
/// `env` must be current.
pub(super) unsafe fn text(env: sys::napi_env, value: &SecretValue) -> Result<sys::napi_value> {
    #[expect(clippy::disallowed_methods, reason = "EXPOSE: the value is what JavaScript asked for")]
    let plain = value.expose();
    let made = if plain.is_empty() {
        None
    } else if value.is_ascii() {
        // ASCII is Latin-1.
        let start = plain.as_ptr().cast_mut().cast();
        external().latin1.and_then(|create| {
            // SAFETY: `env` is current; the bytes live as long as the clone, and JavaScript does not write to them.
            unsafe { over(env, create, start, plain.len(), value.clone()) }
        })
    } else {
        external().utf16.and_then(|create| {
            let mut units = Zeroizing::new(Vec::with_capacity(plain.len()));
            units.extend(plain.encode_utf16());
            let (start, length) = (units.as_mut_ptr().cast(), units.len());
            // SAFETY: as above; the units stay where they are when their vector moves.
            unsafe { over(env, create, start, length, units) }
        })
    };
    match made {
        Some(string) => Ok(string),
        // SAFETY: `env` is current.
        None => unsafe { copied(env, value) },
    }
}

/// An external string over memory that `owner` keeps.
///
/// # Safety
/// `env` must be current, and `start` and `length` describe characters that stay while `owner` lives.
unsafe fn over<T>(
    env: sys::napi_env,
    create: Create,
    start: *mut c_void,
    length: usize,
    owner: T,
) -> Option<sys::napi_value> {
    let owner = Box::into_raw(Box::new(owner)).cast::<c_void>();
    let (mut string, mut is_copied) = (ptr::null_mut(), false);
    // SAFETY: as the caller promises. The finalizer is called once, also when the engine copies the characters instead.
    let status = unsafe { create(env, start, length, Some(let_go::<T>), owner, &raw mut string, &raw mut is_copied) };
    if status == sys::Status::napi_ok {
        return Some(string);
    }
    // SAFETY: no string was made, so nobody else takes the owner back.
    drop(unsafe { Box::from_raw(owner.cast::<T>()) });
    None
}

/// May run inside garbage collection: it calls nothing of Node-API.
unsafe extern "C" fn let_go<T>(_: sys::napi_env, _: *mut c_void, owner: *mut c_void) {
    // SAFETY: the owner of `over`, taken back once.
    drop(unsafe { Box::from_raw(owner.cast::<T>()) });
}

/// # Safety
/// `env` must be current.
unsafe fn copied(env: sys::napi_env, value: &SecretValue) -> Result<sys::napi_value> {
    #[expect(clippy::disallowed_methods, reason = "EXPOSE: the value is what JavaScript asked for; V8 copies it")]
    let plain = value.expose();
    let (start, length) = (plain.as_ptr().cast(), plain.len().cast_signed());
    let mut string = ptr::null_mut();
    // SAFETY: `start` and `length` describe `plain`, which outlives the call. ASCII is Latin-1, which V8 takes over
    // twice as fast as UTF-8.
    let status = unsafe {
        if value.is_ascii() {
            sys::napi_create_string_latin1(env, start, length, &raw mut string)
        } else {
            sys::napi_create_string_utf8(env, start, length, &raw mut string)
        }
    };
    check(status)?;
    Ok(string)
}
