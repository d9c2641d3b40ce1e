//! SIGTERM and SIGINT as a byte on a socket that the executor reads: a foreign thread must not wake its tasks by a waker.

use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use rustix::process::Signal;

/// Blocks the two signals for this thread and all that it starts later, and starts the thread that waits for them. Call it
/// before any other thread exists. The returned socket becomes readable at the first signal.
///
/// # Errors
/// When the socket or thread cannot be made.
pub fn forward() -> std::io::Result<OwnedFd> {
    let (reader, mut writer) = UnixStream::pair()?;
    let set = signal_set();
    // SAFETY: `set` is a valid signal set; only this thread's mask changes.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) };
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        loop {
            let mut signal = 0;
            // SAFETY: both pointers are valid for the call.
            let rc = unsafe { libc::sigwait(&raw const set, &raw mut signal) };
            if rc == 0 && writer.write_all(&[signal as u8]).is_err() {
                return;
            }
        }
    })?;
    reader.set_nonblocking(true)?;
    Ok(reader.into())
}

fn signal_set() -> libc::sigset_t {
    // SAFETY: sigemptyset initialises the set before anything reads it.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, Signal::TERM.as_raw());
        libc::sigaddset(&raw mut set, Signal::INT.as_raw());
        set
    }
}
