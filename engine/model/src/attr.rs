//! Attributes of inodes, as records and replies carry them.

use crate::ids::{Index, InodeId};
use crate::{layout, tagged};

/// Nanoseconds since 1970-01-01 UTC, as a second and a part of it (0 ..= 999,999,999). Years 1901 to 2446 on ext4.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    pub secs: i64,
    pub nanos: u32,
}
layout!(Timestamp { secs, nanos });

/// What an inode is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileKind {
    File,
    Dir,
    Symlink,
    Fifo,
    Socket,
    CharDevice,
    BlockDevice,
}
tagged!(FileKind, "a file kind", {
    1 => File {}, 2 => Dir {}, 3 => Symlink {}, 4 => Fifo {}, 5 => Socket {}, 6 => CharDevice {}, 7 => BlockDevice {},
});

/// What `stat` shows, and who it shows it of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attr {
    pub id: InodeId,
    pub kind: FileKind,
    /// Permission bits with setuid, setgid and sticky: the lower 12 bits of `st_mode`.
    pub mode: u32,
    pub nlink: u32,
    pub uid: u32,
    pub gid: u32,
    /// Device number of a device node, as `st_rdev`; else 0.
    pub rdev: u64,
    /// Bytes.
    pub size: u64,
    /// 512-byte blocks taken on the answering brick's disk.
    pub blocks: u64,
    pub atime: Timestamp,
    pub mtime: Timestamp,
    pub ctime: Timestamp,
    /// Index of the last record that changed this inode (data, attributes, or a directory's entries).
    pub version: Index,
    /// What it has no extended attributes of.
    pub bare: Bare,
}

/// What an inode certainly has no extended attributes of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bare {
    /// Nobody has looked.
    #[default]
    Unknown,
    /// Of [`ASKED_OFTEN`].
    Often,
    /// Of all that mounts show.
    Wholly,
}
tagged!(Bare, "what is bare", { 0 => Unknown {}, 1 => Often {}, 2 => Wholly {} });

/// Extended attributes that programs, or the kernel for them, ask for of every file that they look at, and that hardly any has.
pub const ASKED_OFTEN: [&[u8]; 3] = [CAPABILITY, b"system.posix_acl_access", b"system.posix_acl_default"];

/// What a program may do that nobody else may.
pub const CAPABILITY: &[u8] = b"security.capability";

/// Whether an attribute is a label of the machine's own, as SELinux has them, which nobody else has any use for.
#[must_use]
pub fn is_label(name: &[u8]) -> bool {
    name.starts_with(b"security.") && name != CAPABILITY
}

impl Attr {
    /// One of root's that a record has just made: one name, no data, no blocks, all times the same.
    #[must_use]
    pub const fn new(id: InodeId, kind: FileKind, mode: u32, time: Timestamp, version: Index) -> Self {
        let (nlink, uid, gid, rdev, size, blocks) = (1, 0, 0, 0, 0, 0);
        let (atime, mtime, ctime) = (time, time, time);
        let bare = Bare::Unknown;
        Self { id, kind, mode, nlink, uid, gid, rdev, size, blocks, atime, mtime, ctime, version, bare }
    }
}
layout!(Attr { id, kind, mode, nlink, uid, gid, rdev, size, blocks, atime, mtime, ctime, version, bare });

/// Absolute values to set; `None` leaves a value as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SetAttr {
    /// The lower 12 bits of `st_mode`.
    pub mode: Option<u32>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    pub size: Option<u64>,
    pub atime: Option<Timestamp>,
    pub mtime: Option<Timestamp>,
}
layout!(SetAttr { mode, uid, gid, size, atime, mtime });
