//! A library to preload: the wall clock of a process is off by what a file says, and jumps when the file changes.
//!
//! `RFS_CLOCK_OFFSET` names a file of 8 bytes, seconds as a little-endian signed number. Only `CLOCK_REALTIME` is touched,
//! as asked for through the C library, which is how Rust's `SystemTime` asks.

use std::ffi::c_int;
use std::os::fd::AsRawFd;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, Ordering};

static OFFSET: OnceLock<Option<&'static AtomicI64>> = OnceLock::new();

fn offset() -> Option<&'static AtomicI64> {
    *OFFSET.get_or_init(|| {
        let path = std::env::var_os("RFS_CLOCK_OFFSET")?;
        let file = std::fs::File::open(path).ok()?;
        // SAFETY: a shared mapping of the file's first page, never unmapped; an aligned word of it, which is atomic.
        unsafe {
            let at =
                libc::mmap(std::ptr::null_mut(), 8, libc::PROT_READ, libc::MAP_SHARED, file.as_raw_fd(), 0);
            (at != libc::MAP_FAILED).then(|| &*at.cast::<AtomicI64>())
        }
    })
}

/// The C library's function of that name, with the wall clock shifted.
///
/// # Safety
/// As that one: `time` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock_gettime(clock: libc::clockid_t, time: *mut libc::timespec) -> c_int {
    // SAFETY: handed on as it came.
    let result = unsafe { libc::syscall(libc::SYS_clock_gettime, clock, time) };
    if result == 0 && (clock == libc::CLOCK_REALTIME || clock == libc::CLOCK_REALTIME_COARSE) {
        let seconds = offset().map_or(0, |o| i64::from_le(o.load(Ordering::Relaxed)));
        // SAFETY: the kernel has written to it.
        unsafe { (*time).tv_sec += seconds };
    }
    c_int::try_from(result).unwrap_or(-1)
}
