//! What a volume can hold: the smallest of its bricks'.

use rfs_model::limits::{FILE_BYTES, NAME_BYTES, SYMLINK_BYTES, XATTR_BYTES};

/// Bounds that admission keeps, so that no brick can fail to apply what was committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub name_bytes: usize,
    pub symlink_bytes: usize,
    pub file_bytes: u64,
    /// Hard links of one file.
    pub links: u32,
    /// One extended attribute's value.
    pub xattr_value_bytes: usize,
    /// All extended attributes of one inode, counted as [`crate::admit::TreeView::xattr_bytes`] does. ext4 without
    /// `ea_inode` keeps them in one block of 4096 bytes, 32 of which are its own.
    pub xattr_total_bytes: u64,
}

impl Default for Limits {
    /// What ext4 with 4 KiB blocks can hold; xfs, btrfs and tmpfs can hold more.
    fn default() -> Self {
        Self {
            name_bytes: NAME_BYTES,
            symlink_bytes: SYMLINK_BYTES,
            file_bytes: FILE_BYTES,
            links: 65_000,
            xattr_value_bytes: XATTR_BYTES,
            xattr_total_bytes: 4096 - 32,
        }
    }
}
