//! An allocator that overwrites memory when it is freed. Buffers of the HTTP, TLS and Redis clients hold values too, and
//! this code cannot wipe them one by one (decision 26).

use std::alloc::{GlobalAlloc, Layout, System};

use zeroizing_alloc::ZeroAlloc;

#[global_allocator]
static ALLOCATOR: OutOfLine = OutOfLine(ZeroAlloc(System));

/// Keeps the overwriting code out of line: inlined at every place that frees memory, it adds 400 KB to the binary.
struct OutOfLine(ZeroAlloc<System>);

// SAFETY: every call is passed unchanged to the same allocator.
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
