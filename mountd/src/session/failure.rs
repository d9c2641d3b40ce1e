//! Why a request of the kernel's was not fulfilled, named by what has happened. `crate::errno` turns these into numbers.

use rfs_model::Refusal;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The volume said no; nothing has changed.
    #[error("{0}")]
    Refused(#[from] Refusal),
    /// `request-timeout` passed without an answer: the outcome is unknown.
    #[error("no answer within the request timeout")]
    TimedOut,
    /// Written data has not been confirmed, and may or may not arrive.
    #[error("written data is not confirmed")]
    Unconfirmed,
    /// Somebody else has had the lock for as long as anybody waits for one.
    #[error("somebody else has the lock")]
    StillLocked,
    /// The session was silent for too long: handles and locks of before are void.
    #[error("the session has expired")]
    Expired,
    /// The kernel named an inode or a handle that this mount does not know.
    #[error("unknown handle")]
    BadHandle,
    /// A brick answered another question than the one that was asked.
    #[error("a brick gave an answer that makes no sense")]
    Nonsense,
    /// The mount is coming to its end.
    #[error("the mount is ending")]
    Ending,
}
