//! The hop to JavaScript's thread.

use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::{Arc, Weak};

use napi::bindgen_prelude::{JsObjectValue, JsValue, Object, Result, ToNapiValue, Unknown};
use napi::threadsafe_function::ThreadsafeFunctionHandle;
use napi::{Env, JsError, sys};

use super::check;

/// Calls a JavaScript function from any thread, with what `make` gives on JavaScript's. Weak: by itself it does not
/// hold the event loop ([`Hop::hold`] does). Made here and not by `napi::threadsafe_function` because only the raw call
/// takes a resource object, and its `hasRef()` is how Jest tells an open handle from an idle one.
pub struct Hop {
    handle: Arc<ThreadsafeFunctionHandle>,
    /// The environment that made it; used on its thread only.
    env: OwnEnv,
}

/// An environment, for calls on its own thread.
struct OwnEnv(sys::napi_env);

// SAFETY: the pointer is passed to Node-API in `Hop::hold` alone, whose callers are on the environment's thread.
unsafe impl Send for OwnEnv {}
// SAFETY: as above.
unsafe impl Sync for OwnEnv {}

/// What Node-API keeps for a [`Hop`].
struct HopContext {
    make: Box<dyn Fn(sys::napi_env) -> Result<sys::napi_value>>,
    handle: Weak<ThreadsafeFunctionHandle>,
}

impl Hop {
    /// `target.settle` is called; `target.hasRef()` says whether anything is pending.
    ///
    /// # Errors
    /// Node-API's.
    pub fn new<A: ToNapiValue>(env: Env, target: Object<'_>, make: impl Fn() -> A + 'static) -> Result<Self> {
        const NAME: &str = "SecretDelivery";
        let settle: Unknown<'_> = target.get_named_property("settle")?;
        let make = Box::new(move |env| {
            // SAFETY: called by `call_settle` with its current environment.
            unsafe { ToNapiValue::to_napi_value(env, make()) }
        });
        let handle = ThreadsafeFunctionHandle::null();
        let context = Box::new(HopContext { make, handle: Arc::downgrade(&handle) });
        let context = Box::into_raw(context).cast::<c_void>();
        let (mut name, mut function) = (ptr::null_mut(), ptr::null_mut());
        // SAFETY: `env` is current, as are the values; `context` stays valid until `drop_hop` takes it back, which
        // Node-API calls exactly once when the function was made.
        let status = unsafe {
            match sys::napi_create_string_utf8(env.raw(), NAME.as_ptr().cast(), NAME.len().cast_signed(), &raw mut name)
            {
                sys::Status::napi_ok => sys::napi_create_threadsafe_function(
                    env.raw(),
                    settle.raw(),
                    target.raw(),
                    name,
                    0,
                    1,
                    ptr::null_mut(),
                    Some(drop_hop),
                    context,
                    Some(call_settle),
                    &raw mut function,
                ),
                failed => failed,
            }
        };
        if let Err(error) = check(status) {
            // SAFETY: no function was made, so nobody else will take the context back.
            drop(unsafe { Box::from_raw(context.cast::<HopContext>()) });
            return Err(error);
        }
        handle.set_raw(function);
        let hop = Self { handle, env: OwnEnv(env.raw()) };
        hop.hold(false)?;
        Ok(hop)
    }

    /// Arranges one call. Nothing happens when the environment is closing: nobody there waits.
    pub fn call(&self) {
        self.handle.with_read_aborted(|aborted| {
            if !aborted {
                let mode = sys::ThreadsafeFunctionCallMode::nonblocking;
                // SAFETY: not finalized while the lock is held, since `drop_hop` takes it for writing. The status can
                // only say that the environment is closing.
                unsafe { sys::napi_call_threadsafe_function(self.handle.get_raw(), ptr::null_mut(), mode) };
            }
        });
    }

    /// Lets it hold the event loop, or lets that go. To be called on the thread of its environment.
    ///
    /// # Errors
    /// Node-API's.
    pub fn hold(&self, hold: bool) -> Result<()> {
        self.handle.with_read_aborted(|aborted| {
            if aborted {
                return Ok(());
            }
            // SAFETY: as in `call`, on the thread of the environment.
            check(unsafe {
                if hold {
                    sys::napi_ref_threadsafe_function(self.env.0, self.handle.get_raw())
                } else {
                    sys::napi_unref_threadsafe_function(self.env.0, self.handle.get_raw())
                }
            })
        })
    }
}

unsafe extern "C" fn call_settle(env: sys::napi_env, settle: sys::napi_value, context: *mut c_void, _: *mut c_void) {
    if env.is_null() || settle.is_null() {
        // The environment is closing.
        return;
    }
    // SAFETY: `context` is the one of `Hop::new`, not yet taken back.
    let context = unsafe { &*context.cast_const().cast::<HopContext>() };
    let argument = match catch_unwind(AssertUnwindSafe(|| (context.make)(env))) {
        Ok(Ok(argument)) => argument,
        // SAFETY: `env` is current.
        Ok(Err(error)) => return unsafe { JsError::from(error).throw_into(env) },
        Err(_) => return,
    };
    let mut receiver = ptr::null_mut();
    // SAFETY: `env` is current, and so are the values; an exception of `settle` becomes Node's uncaught exception.
    unsafe {
        if sys::napi_get_undefined(env, &raw mut receiver) == sys::Status::napi_ok {
            sys::napi_call_function(env, receiver, settle, 1, &raw const argument, ptr::null_mut());
        }
    }
}

unsafe extern "C" fn drop_hop(_: sys::napi_env, _: *mut c_void, context: *mut c_void) {
    // SAFETY: `context` is the one of `Hop::new`; Node-API calls this once.
    let context = unsafe { Box::from_raw(context.cast::<HopContext>()) };
    if let Some(handle) = context.handle.upgrade() {
        handle.with_write_aborted(|mut aborted| *aborted = true);
    }
}
