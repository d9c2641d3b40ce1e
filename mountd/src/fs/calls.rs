//! What a program is waiting for: the kernel's request does not say, but /proc does, while the thread waits for the answer.

#[cfg(target_arch = "x86_64")]
pub const RENAME: [libc::c_long; 3] = [libc::SYS_rename, libc::SYS_renameat, libc::SYS_renameat2];
#[cfg(not(target_arch = "x86_64"))]
pub const RENAME: [libc::c_long; 2] = [libc::SYS_renameat, libc::SYS_renameat2];

#[cfg(target_arch = "x86_64")]
pub const CHOWN: [libc::c_long; 4] =
    [libc::SYS_chown, libc::SYS_fchown, libc::SYS_lchown, libc::SYS_fchownat];
#[cfg(not(target_arch = "x86_64"))]
pub const CHOWN: [libc::c_long; 2] = [libc::SYS_fchown, libc::SYS_fchownat];

/// Whether the thread is in one of these calls. Where nothing is known (it is in a pid namespace that we do not see, or a kernel
/// thread works for it), it is not.
pub fn is_in(thread: u32, calls: &[libc::c_long]) -> bool {
    let call = std::fs::read_to_string(format!("/proc/{thread}/syscall"));
    let number = call.ok().and_then(|call| call.split(' ').next()?.parse::<libc::c_long>().ok());
    number.is_some_and(|number| calls.contains(&number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_in_the_call_that_it_makes() {
        let own = rustix::thread::gettid().as_raw_nonzero().get() as u32;
        assert!(is_in(own, &[libc::SYS_read]), "it reads that");
        assert!(!is_in(own, &RENAME) && !is_in(own, &CHOWN));
        assert!(!is_in(0, &RENAME));
    }
}
