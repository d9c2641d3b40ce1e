//! What admission reads: the tree as it is with every record up to the applied index, and nothing after it.

use bytes::Bytes;
use rfs_model::{Attr, InodeId};

/// The brick's own disk failed to answer. Never an operation's result: the brick stops serving, says so and leaves the
/// set of bricks in sync.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("brick fault: {0}")]
pub struct Fault(pub String);

/// Synchronous reads of the applied tree of one brick.
///
/// The view must be at least at the index that [`crate::admit::Front::apply`] was last told, and must never show an effect
/// of a record that is not committed. Names are single components, already checked; the brick's own `.rfs` is never shown.
pub trait TreeView {
    /// Attributes of an inode that exists, orphans included (their `nlink` is 0). `nlink` of files counts names *in the
    /// tree*, never a name that the brick keeps for itself.
    ///
    /// # Errors
    /// [`Fault`].
    fn attr(&self, id: InodeId) -> Result<Option<Attr>, Fault>;

    /// Who has the name. `None` when nobody has, or when `parent` does not exist or is no directory.
    ///
    /// # Errors
    /// [`Fault`].
    fn child(&self, parent: InodeId, name: &[u8]) -> Result<Option<InodeId>, Fault>;

    /// The directory that holds `dir`. `None` for the root, and when `dir` does not exist or is no directory.
    ///
    /// # Errors
    /// [`Fault`].
    fn parent_of(&self, dir: InodeId) -> Result<Option<InodeId>, Fault>;

    /// Whether a directory has no entries; false when it does not exist or is no directory.
    ///
    /// # Errors
    /// [`Fault`].
    fn is_empty(&self, dir: InodeId) -> Result<bool, Fault>;

    /// Value of one extended attribute; ACLs under their names `system.posix_acl_access` and `system.posix_acl_default`.
    ///
    /// # Errors
    /// [`Fault`].
    fn xattr(&self, id: InodeId, name: &[u8]) -> Result<Option<Bytes>, Fault>;

    /// Bytes that all extended attributes of the inode take on disk, our own included: the sum of 16 bytes, name and value
    /// of each, every one rounded up to 4. It is compared with [`crate::admit::Limits::xattr_total_bytes`].
    ///
    /// # Errors
    /// [`Fault`].
    fn xattr_bytes(&self, id: InodeId) -> Result<u64, Fault>;
}

/// What is free for new data: the smallest over the bricks in sync, minus a reserve and what is on its way there. The shell
/// computes it (see [`crate::admit::Ledger`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    pub bytes: u64,
    pub inodes: u64,
}

impl Room {
    pub const UNLIMITED: Self = Self { bytes: u64::MAX, inodes: u64::MAX };
}
