//! Signals, on a plain thread of their own.

use std::io;

/// Signals that end a mount in good order.
const ENDING: [libc::c_int; 3] = [libc::SIGTERM, libc::SIGINT, libc::SIGHUP];

fn ending() -> libc::sigset_t {
    // SAFETY: sigset_t is plain data, and sigemptyset gives it its value before it is read.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for signal in ENDING {
            libc::sigaddset(&raw mut set, signal);
        }
        set
    }
}

/// Holds the signals back in this thread and in all that it starts. Called before the first of them.
pub fn block() {
    let set = ending();
    // SAFETY: `set` lives through the call; a null pointer asks for no old mask.
    let result = unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) };
    assert_eq!(result, 0, "blocking signals cannot fail");
}

/// Waits for one of them.
///
/// # Errors
/// Those of sigwait(3): none for a set like ours.
pub fn wait() -> io::Result<i32> {
    let set = ending();
    let mut signal = 0;
    // SAFETY: both pointers live through the call.
    match unsafe { libc::sigwait(&raw const set, &raw mut signal) } {
        0 => Ok(signal),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}
