//! Bytes on the heap, counted as they are asked for: without what an allocator adds.

#![expect(unsafe_code, reason = "an allocator is unsafe by its trait")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

#[global_allocator]
static COUNTING: Counting = Counting;

thread_local! {
    /// What this thread took and did not give back. Threads do not share it, so that counting costs
    /// the other figures next to nothing.
    static LIVE: Cell<i64> = const { Cell::new(0) };
}

/// Bytes that this thread took and did not give back.
pub fn live_bytes() -> i64 {
    LIVE.get()
}

/// The system's allocator, with a count.
struct Counting;

fn count(more: usize, less: usize) {
    // Both are at most `isize::MAX`.
    LIVE.set(LIVE.get() + more.cast_signed() as i64 - less.cast_signed() as i64);
}

// SAFETY: the system's allocator does all the work, and counting allocates nothing: the cell is
// there from the start and has no destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        count(0, layout.size());
        unsafe { System.dealloc(start, layout) }
    }

    unsafe fn realloc(&self, start: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size, layout.size());
        unsafe { System.realloc(start, layout, size) }
    }
}
