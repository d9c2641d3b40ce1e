//! Outcomes: what a record says has happened. Everything that chance could touch (identity, time, offset of an append,
//! mode after umask and inheritance) was stamped by the leader, so applying one reads neither clock nor luck.

use bytes::Bytes;

use crate::attr::{FileKind, SetAttr, Timestamp};
use crate::ids::{InodeId, Seq, SessionId};
use crate::refusal::Refusal;
use crate::{layout, tagged};

/// What becomes of an inode that loses a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It has other names.
    Stays,
    /// It was the last name: the inode is removed.
    Dies,
    /// It was the last name, and somebody may have it open: it is kept nameless until a [`Op::Reap`].
    Orphan,
}
tagged!(Fate, "a fate", { 1 => Stays {}, 2 => Dies {}, 3 => Orphan {} });

/// A byte-range lock's kind. `Unlock` frees the range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LockKind {
    Shared,
    Exclusive,
    Unlock,
}
tagged!(LockKind, "a lock kind", { 1 => Shared {}, 2 => Exclusive {}, 3 => Unlock {} });

/// Who holds a lock within its session: the kernel's lock owner. `flock` and `fcntl` owners never mix (see semantics.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LockOwner {
    pub session: SessionId,
    pub owner: u64,
}
layout!(LockOwner { session, owner });

/// The owner of a lock on a directory that is a lease on the names in it: while a session holds it, no other changes one.
pub const LEASE: u64 = u64::MAX;

/// A lock or the freeing of one: bytes `start ..= end` (`end` = `u64::MAX` means to the end of the file).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LockRange {
    pub kind: LockKind,
    pub start: u64,
    pub end: u64,
    /// Process id on the mount's machine, for `F_GETLK`.
    pub pid: u32,
}
layout!(LockRange { kind, start, end, pid });

/// `fallocate` on a range; the bits are those of fallocate(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allocate {
    pub mode: u32,
    pub offset: u64,
    pub len: u64,
}
layout!(Allocate { mode, offset, len });

/// Inodes that one [`Op::Compare`] names at the most.
pub const COMPARE_IDS: usize = 1024;

/// One outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// A new inode `id` under `name`. `target` is a symlink's; the ACLs are values of `system.posix_acl_*` or empty.
    Make {
        id: InodeId,
        parent: InodeId,
        name: Bytes,
        kind: FileKind,
        mode: u32,
        uid: u32,
        gid: u32,
        rdev: u64,
        target: Bytes,
        acl_access: Bytes,
        acl_default: Bytes,
    },
    Link {
        id: InodeId,
        parent: InodeId,
        name: Bytes,
    },
    /// Files and directories alike.
    Unlink {
        id: InodeId,
        parent: InodeId,
        name: Bytes,
        fate: Fate,
    },
    /// `id` moves; `replaced` is the inode that had the name before ([`InodeId::NIL`]: nobody).
    Rename {
        id: InodeId,
        from: InodeId,
        from_name: Bytes,
        to: InodeId,
        to_name: Bytes,
        replaced: InodeId,
        fate: Fate,
    },
    /// Two names change places: `from_name` had `id`, `to_name` had `other`.
    Exchange {
        id: InodeId,
        from: InodeId,
        from_name: Bytes,
        other: InodeId,
        to: InodeId,
        to_name: Bytes,
    },
    /// Data at an offset; appends arrive here with their offset resolved. Sets mtime and ctime to the record's time.
    Write {
        id: InodeId,
        offset: u64,
        data: Bytes,
    },
    /// Absolute attributes. Sets ctime to the record's time.
    SetAttr {
        id: InodeId,
        set: SetAttr,
    },
    SetXattr {
        id: InodeId,
        name: Bytes,
        value: Bytes,
    },
    RemoveXattr {
        id: InodeId,
        name: Bytes,
    },
    Allocate {
        id: InodeId,
        range: Allocate,
    },
    /// Nobody has this orphan open any more: it is removed.
    Reap {
        id: InodeId,
    },
    Lock {
        id: InodeId,
        owner: LockOwner,
        range: LockRange,
    },
    /// All locks of one owner on one inode end (last close of a file).
    Unlock {
        id: InodeId,
        owner: LockOwner,
    },
    /// A session begins; `name` is the mount's host, for people.
    SessionOpen {
        name: Bytes,
    },
    /// A session ends, with its results and locks.
    SessionClose {},
    /// The leader's kernel has died: these files may show on its disk what no log tells of any more. Every other brick
    /// compares what it has of them with the leader's. At most [`COMPARE_IDS`].
    Compare {
        ids: Vec<InodeId>,
    },
}
tagged!(Op, "an operation", {
    1 => Make { id, parent, name, kind, mode, uid, gid, rdev, target, acl_access, acl_default },
    2 => Link { id, parent, name },
    3 => Unlink { id, parent, name, fate },
    4 => Rename { id, from, from_name, to, to_name, replaced, fate },
    5 => Exchange { id, from, from_name, other, to, to_name },
    6 => Write { id, offset, data },
    7 => SetAttr { id, set },
    8 => SetXattr { id, name, value },
    9 => RemoveXattr { id, name },
    10 => Allocate { id, range },
    11 => Reap { id },
    12 => Lock { id, owner, range },
    13 => Unlock { id, owner },
    14 => SessionOpen { name },
    15 => SessionClose {},
    16 => Compare { ids },
});

/// The payload of a record of kind [`RecordKind::Op`](crate::RecordKind::Op): an outcome and whose request it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamped {
    /// Whose request this answers; nil for the leader's own (reaping, expiry).
    pub session: SessionId,
    /// Its number there; 0 for the leader's own, and for `SessionOpen` and `SessionClose`.
    pub seq: Seq,
    /// The session keeps no result below this one any more.
    pub lowest_kept: Seq,
    /// Requests of this session that were refused since its last record: results like any other, so that a request that is
    /// sent again after a failover is not carried out behind later ones.
    pub refused: Vec<(Seq, Refusal)>,
    /// The leader's clock at admission: mtime and ctime of what the op touches.
    pub time: Timestamp,
    pub op: Op,
}
layout!(Stamped { session, seq, lowest_kept, refused, time, op });
