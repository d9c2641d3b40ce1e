//! The one place where failures become error numbers.

use fuser::Errno;
use rfs_model::Refusal;

use crate::session::Failure;

/// What a program sees.
#[must_use]
pub fn errno(failure: Failure) -> Errno {
    match failure {
        Failure::Refused(refusal) => refused(refusal),
        Failure::TimedOut => Errno::ETIMEDOUT,
        Failure::Unconfirmed | Failure::Nonsense => Errno::EIO,
        // Not EINTR: unless a signal has come, the kernel would show programs its own mark for a restart, 512.
        Failure::StillLocked => Errno::ENOLCK,
        Failure::Expired => Errno::ESTALE,
        Failure::BadHandle => Errno::EBADF,
        Failure::Ending => Errno::ENOTCONN,
    }
}

fn refused(refusal: Refusal) -> Errno {
    match refusal {
        Refusal::NoEntry => Errno::ENOENT,
        Refusal::Exists => Errno::EEXIST,
        Refusal::NotDirectory => Errno::ENOTDIR,
        Refusal::IsDirectory => Errno::EISDIR,
        Refusal::NotEmpty => Errno::ENOTEMPTY,
        Refusal::NoSpace => Errno::ENOSPC,
        Refusal::NameTooLong => Errno::ENAMETOOLONG,
        Refusal::TooLarge => Errno::EFBIG,
        Refusal::TooManyLinks => Errno::EMLINK,
        Refusal::NoAttribute => Errno::ENODATA,
        Refusal::NotSupported => Errno::EOPNOTSUPP,
        Refusal::Invalid => Errno::EINVAL,
        Refusal::NotPermitted => Errno::EPERM,
        Refusal::Stale => Errno::ESTALE,
        Refusal::Locked => Errno::EAGAIN,
        Refusal::Interrupted => Errno::EINTR,
        Refusal::Deadlock => Errno::EDEADLK,
        Refusal::Range => Errno::ERANGE,
        Refusal::CrossDevice => Errno::EXDEV,
        Refusal::Loop => Errno::ELOOP,
        Refusal::NoData => Errno::ENXIO,
        Refusal::Stopped => Errno::ENOTCONN,
        Refusal::NotAllowed => Errno::EACCES,
        Refusal::Broken => Errno::EIO,
        Refusal::ReadOnly => Errno::EROFS,
        Refusal::Quota => Errno::EDQUOT,
    }
}

/// For requests that this mount leaves to the kernel's own fallback.
pub const LEFT_TO_THE_KERNEL: Errno = Errno::ENOSYS;
/// For ioctls: a file is no terminal.
pub const NO_SUCH_IOCTL: Errno = Errno::ENOTTY;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_see_what_posix_promises() {
        let table = [
            (Failure::Refused(Refusal::NoEntry), libc::ENOENT),
            (Failure::Refused(Refusal::Locked), libc::EAGAIN),
            (Failure::Refused(Refusal::Interrupted), libc::EINTR),
            (Failure::Refused(Refusal::NoAttribute), libc::ENODATA),
            (Failure::Refused(Refusal::NoData), libc::ENXIO),
            (Failure::Refused(Refusal::Stopped), libc::ENOTCONN),
            (Failure::Refused(Refusal::NotAllowed), libc::EACCES),
            (Failure::Refused(Refusal::NotSupported), libc::EOPNOTSUPP),
            (Failure::Refused(Refusal::CrossDevice), libc::EXDEV),
            (Failure::TimedOut, libc::ETIMEDOUT),
            (Failure::Unconfirmed, libc::EIO),
            (Failure::StillLocked, libc::ENOLCK),
            (Failure::Expired, libc::ESTALE),
            (Failure::BadHandle, libc::EBADF),
        ];
        for (failure, want) in table {
            assert_eq!(errno(failure).code(), want, "{failure:?}");
        }
    }
}
