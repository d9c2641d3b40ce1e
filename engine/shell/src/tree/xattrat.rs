//! getxattrat(2) and listxattrat(2), which Linux has since 6.13 and the C libraries do not know yet: attributes of a name in an
//! open directory in one walk. Through /proc/self/fd the same takes four times as long.

use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::Errno;

const GETXATTRAT: libc::c_long = 464;
const LISTXATTRAT: libc::c_long = 465;
/// Longest name, and the zero behind it.
const NAME: usize = 256;

/// `struct xattr_args` of the kernel.
#[repr(C)]
struct XattrArgs {
    value: u64,
    size: u32,
    flags: u32,
}

const _: () = assert!(size_of::<XattrArgs>() == 16);

/// An older kernel was met.
static MISSING: AtomicBool = AtomicBool::new(false);

/// Reads the attribute `attr` (with a zero at its end) of `name` in `dir`, a symlink's own. `None` when the kernel does not
/// have the call.
pub(super) fn getxattrat(
    dir: BorrowedFd<'_>,
    name: &[u8],
    attr: &std::ffi::CStr,
    value: &mut [u8],
) -> Option<Result<usize, Errno>> {
    let args = XattrArgs { value: value.as_mut_ptr() as u64, size: value.len() as u32, flags: 0 };
    // SAFETY: `path` and `attr` end in a zero, `args` has the kernel's layout and its size is passed; the kernel writes at
    // most `args.size` bytes to `args.value`, which is the slice that this function has exclusively.
    at(name, |path| unsafe {
        libc::syscall(
            GETXATTRAT,
            dir.as_raw_fd(),
            path,
            libc::AT_SYMLINK_NOFOLLOW,
            attr.as_ptr(),
            &raw const args,
            size_of::<XattrArgs>(),
        )
    })
}

/// Lists the names of all attributes of `name` in `dir`, a symlink's own, each with a zero behind it. `None` when the kernel does
/// not have the call.
pub(super) fn listxattrat(
    dir: BorrowedFd<'_>,
    name: &[u8],
    names: &mut [u8],
) -> Option<Result<usize, Errno>> {
    // SAFETY: `path` ends in a zero; the kernel writes at most `names.len()` bytes to `names`.
    at(name, |path| unsafe {
        libc::syscall(
            LISTXATTRAT,
            dir.as_raw_fd(),
            path,
            libc::AT_SYMLINK_NOFOLLOW,
            names.as_mut_ptr(),
            names.len(),
        )
    })
}

/// Makes a call with the name as the kernel wants it.
fn at(name: &[u8], call: impl FnOnce(*const u8) -> libc::c_long) -> Option<Result<usize, Errno>> {
    if MISSING.load(Ordering::Relaxed) {
        return None;
    }
    if name.len() >= NAME || name.contains(&0) {
        return Some(Err(Errno::NAMETOOLONG));
    }
    let mut path = [0u8; NAME];
    path[..name.len()].copy_from_slice(name);
    if let Ok(len) = usize::try_from(call(path.as_ptr())) {
        return Some(Ok(len));
    }
    let errno = Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO);
    if errno == Errno::NOSYS {
        MISSING.store(true, Ordering::Relaxed);
        return None;
    }
    Some(Err(errno))
}
