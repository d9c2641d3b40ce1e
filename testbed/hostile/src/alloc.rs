//! What a piece of work allocates, on the thread that does it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    /// Bytes that this thread has allocated and not freed, and the most that it was. Below zero where it frees what
    /// another thread has made.
    static LIVE: Cell<(isize, isize)> = const { Cell::new((0, 0)) };
}

/// The system's allocator, with a look at each call.
pub struct Counting;

fn note(bytes: isize) {
    // A thread that ends may free after its counter is gone.
    let _ = LIVE.try_with(|live| {
        let (now, most) = live.get();
        let now = now + bytes;
        live.set((now, most.max(now)));
    });
}

// SAFETY: every call goes to the system's allocator as it came; the counter neither allocates nor touches the memory.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size() as isize);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size() as isize);
        // SAFETY: the caller's promise.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        note(-(layout.size() as isize));
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Both blocks may exist at once.
        note(size as isize);
        note(-(layout.size() as isize));
        // SAFETY: the caller's promise.
        unsafe { System.realloc(at, layout, size) }
    }
}

/// What `work` gives, and how much memory it held at once beyond what was held before, bytes.
pub fn peak<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = LIVE.with(|live| {
        let (now, _) = live.get();
        live.set((now, now));
        now
    });
    let done = work();
    let most = LIVE.with(|live| live.get().1);
    (done, usize::try_from(most - before).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_what_was_held_at_once() {
        let (_, most) = peak(|| {
            drop(vec![0u8; 10_000]);
            drop(vec![0u8; 30_000]);
        });
        assert!((30_000..31_000).contains(&most), "{most}");
        let (kept, most) = peak(|| vec![0u8; 5_000]);
        assert!(kept.len() <= most && most < 6_000, "{most}");
    }
}
