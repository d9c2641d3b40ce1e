//! Names that the brick keeps for itself: `.rfs/` in the brick directory, and the xattr that says who an inode is.

use rfs_model::{Index, InodeId, Term};

/// The directory in the brick directory that mounts never see.
pub const PRIVATE: &str = ".rfs";
/// The index, in [`PRIVATE`].
pub const INDEX: &str = "index.redb";
/// What recovery or a copy is about to place or to delete, in [`PRIVATE`]: entries named by identity, or `.n`.
pub const LIMBO: &str = "limbo";
/// Inodes without a name that somebody has open, in [`PRIVATE`], named by identity.
pub const ORPHANS: &str = "orphans";
/// What people put into the brick directory by hand and was in the volume's way, in [`PRIVATE`].
pub const FOREIGN: &str = "foreign";
/// Where `mkfs` leaves what `fsck` finds, when the brick directory is a file system's root.
pub const LOST_AND_FOUND: &str = "lost+found";
/// The xattr that carries an inode's identity.
pub const ID_XATTR: &[u8] = b"trusted.rfs.id";
pub(super) const ID_XATTR_C: &std::ffi::CStr = c"trusted.rfs.id";
pub const ACL_ACCESS: &[u8] = b"system.posix_acl_access";
pub const ACL_DEFAULT: &[u8] = b"system.posix_acl_default";

/// Stands for `.rfs/limbo` where an inode's parent is wanted. No record ever names it.
pub(super) const LIMBO_DIR: InodeId = InodeId { term: Term(u64::MAX), index: Index(1) };
/// Stands for `.rfs/orphans` likewise.
pub(super) const ORPHANS_DIR: InodeId = InodeId { term: Term(u64::MAX), index: Index(2) };

/// Whether a name in a directory is the brick's own and never a file of the volume. `.rfs` and `lost+found` of the root:
/// requests to make them are refused at admission.
#[must_use]
pub fn is_private(parent: InodeId, name: &[u8]) -> bool {
    parent == InodeId::ROOT && (name == PRIVATE.as_bytes() || name == LOST_AND_FOUND.as_bytes())
}

/// Whether mounts never see the xattr, and copies leave it out: [`rfs_core::admit::is_hidden`].
#[must_use]
pub fn is_private_xattr(name: &[u8]) -> bool {
    rfs_core::admit::is_hidden(name)
}
