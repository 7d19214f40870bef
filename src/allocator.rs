//! Overwrites whatever is freed. Buffers of the HTTP, TLS and Redis clients hold answers with values, and are not ours to
//! wipe one by one (decision 26).

use std::alloc::{GlobalAlloc, Layout, System};

use zeroizing_alloc::ZeroAlloc;

#[global_allocator]
static ALLOCATOR: OutOfLine = OutOfLine(ZeroAlloc(System));

/// Keeps what overwrites in one place: inlined into all that frees, it would weigh 400 KB.
struct OutOfLine(ZeroAlloc<System>);

// SAFETY: every call goes to the same allocator, as it came.
unsafe impl GlobalAlloc for OutOfLine {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are passed on.
        unsafe { self.0.alloc(layout) }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        unsafe { self.0.alloc_zeroed(layout) }
    }

    #[inline(never)]
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { self.0.dealloc(pointer, layout) }
    }

    #[inline(never)]
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as above.
        unsafe { self.0.realloc(pointer, layout, size) }
    }
}
