//! Why a request was not done, named by what it means. mountd turns these into errno in one place.

use crate::tagged;

/// A refusal changes nothing: the request left no trace in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    #[error("no such file or directory")]
    NoEntry,
    #[error("the name exists")]
    Exists,
    #[error("not a directory")]
    NotDirectory,
    #[error("is a directory")]
    IsDirectory,
    #[error("the directory is not empty")]
    NotEmpty,
    #[error("no space is left on a brick")]
    NoSpace,
    #[error("the name is too long")]
    NameTooLong,
    #[error("the file would be too large")]
    TooLarge,
    #[error("too many links")]
    TooManyLinks,
    #[error("no such attribute")]
    NoAttribute,
    #[error("the operation is not supported")]
    NotSupported,
    #[error("the argument is not valid")]
    Invalid,
    #[error("not permitted")]
    NotPermitted,
    #[error("the inode is gone")]
    Stale,
    #[error("a conflicting lock is held")]
    Locked,
    #[error("the wait was given up")]
    Interrupted,
    #[error("waiting would never end")]
    Deadlock,
    #[error("the value does not fit")]
    Range,
    #[error("the two names are on different file systems")]
    CrossDevice,
    #[error("too many symbolic links or a directory into itself")]
    Loop,
    #[error("no data there")]
    NoData,
    #[error("the volume is stopped")]
    Stopped,
    #[error("this client is not allowed")]
    NotAllowed,
    #[error("a brick failed")]
    Broken,
    #[error("the volume is read-only here")]
    ReadOnly,
    #[error("quota exceeded")]
    Quota,
}
tagged!(Refusal, "a refusal", {
    1 => NoEntry {}, 2 => Exists {}, 3 => NotDirectory {}, 4 => IsDirectory {}, 5 => NotEmpty {}, 6 => NoSpace {},
    7 => NameTooLong {}, 8 => TooLarge {}, 9 => TooManyLinks {}, 10 => NoAttribute {}, 11 => NotSupported {},
    12 => Invalid {}, 13 => NotPermitted {}, 14 => Stale {}, 15 => Locked {}, 16 => Interrupted {}, 17 => Deadlock {},
    18 => Range {}, 19 => CrossDevice {}, 20 => Loop {}, 21 => NoData {}, 22 => Stopped {}, 23 => NotAllowed {},
    24 => Broken {}, 25 => ReadOnly {}, 26 => Quota {},
});
