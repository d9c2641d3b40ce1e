//! What an inode that the kernel knows costs in memory.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use rfs_model::attr::FileKind;
use rfs_model::{Attr, Index, InodeId, Term, Timestamp};
use rfs_mountd::fs::Inodes;

/// Counts what is in use, as the C library rounds it.
struct Counted;

static IN_USE: AtomicUsize = AtomicUsize::new(0);

fn taken(layout: Layout) -> usize {
    (layout.size() + 8).next_multiple_of(16).max(32)
}

// SAFETY: all is left to the system's allocator.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        IN_USE.fetch_add(taken(layout), Ordering::Relaxed);
        // SAFETY: as the caller's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(taken(layout), Ordering::Relaxed);
        // SAFETY: as the caller's.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counted = Counted;

const FILES: u64 = 200_000;
const EACH_DIR: u64 = 1000;
/// 128 MiB are what a mount may take for these, and for all else but its window.
const MOST_BYTES: usize = 450;

fn file(number: u64) -> Attr {
    let time = Timestamp { secs: 1, nanos: 0 };
    let id = InodeId { term: Term(1), index: Index(number) };
    Attr::new(id, FileKind::File, 0o644, time, Index(1))
}

#[test]
fn an_inode_is_small_and_gives_all_back() {
    let before = IN_USE.load(Ordering::Relaxed);
    let mut inodes = Inodes::default();
    for number in 2..2 + FILES {
        let name = Bytes::from(format!("file-{number:08}"));
        inodes.remember(&file(number), (1 + number / EACH_DIR, name)).unwrap();
    }
    let each = (IN_USE.load(Ordering::Relaxed) - before) / FILES as usize;
    println!("{each} bytes for each inode");
    assert!(each <= MOST_BYTES, "{each} bytes for each inode");
    for number in 2..2 + FILES {
        inodes.forget(file(number).id.number(), 1);
    }
    let left = IN_USE.load(Ordering::Relaxed) - before;
    assert!(left < FILES as usize, "{left} bytes are not given back");
}
