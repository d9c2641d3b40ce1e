//! Signals, on a plain thread of their own.
//!
//! SIGTERM and SIGINT end a mount in good order; SIGHUP makes it open its log anew, as after a rotation.

use std::io;

const HEARD: [libc::c_int; 3] = [libc::SIGTERM, libc::SIGINT, libc::SIGHUP];

fn heard() -> libc::sigset_t {
    // SAFETY: sigset_t is plain data, and sigemptyset gives it its value before it is read.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for signal in HEARD {
            libc::sigaddset(&raw mut set, signal);
        }
        set
    }
}

/// Holds the signals back in this thread and in all that it starts. Called before the first of them.
pub fn block() {
    let set = heard();
    // SAFETY: `set` lives through the call; a null pointer asks for no old mask.
    let result = unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) };
    assert_eq!(result, 0, "blocking signals cannot fail");
}

/// Returns when a signal has come that ends the mount; others are acted upon.
///
/// # Errors
/// Those of sigwait(3): none for a set like ours.
pub fn ending(reopen_log: impl Fn()) -> io::Result<()> {
    loop {
        match wait()? {
            libc::SIGHUP => reopen_log(),
            _ => return Ok(()),
        }
    }
}

fn wait() -> io::Result<i32> {
    let set = heard();
    let mut signal = 0;
    // SAFETY: both pointers live through the call.
    match unsafe { libc::sigwait(&raw const set, &raw mut signal) } {
        0 => Ok(signal),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}
