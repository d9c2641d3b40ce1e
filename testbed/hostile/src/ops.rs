//! Outcomes as a lying leader would have them, and requests as a lying mount would.

use bytes::Bytes;
use rfs_model::client::{Mutation, SetTime, WantAttr};
use rfs_model::op::{Allocate, COMPARE_IDS, Fate, LEASE, LockKind, LockOwner, LockRange, Stamped};
use rfs_model::{FileKind, Index, InodeId, Op, Refusal, Seq, SessionId, SetAttr, Timestamp};

use crate::source::Source;

const XATTRS: &[&[u8]] = &[
    b"user.a",
    b"trusted.rfs.id",
    b"trusted.rfs.",
    b"security.capability",
    b"system.posix_acl_access",
    b"system.posix_acl_default",
    b"",
    b"user.",
    b"trusted.x",
    b"user.a\0b",
];

/// Targets of symlinks that lead out of the brick, or into what is the brick's own.
const WAYS_OUT: &[&[u8]] =
    &[b"../outside", b"../outside/canary", b"/", b".rfs", b".rfs/label", b"a", b"", b"x\0y"];

const KINDS: &[FileKind] = &[
    FileKind::File,
    FileKind::File,
    FileKind::Dir,
    FileKind::Dir,
    FileKind::Symlink,
    FileKind::Symlink,
    FileKind::Fifo,
    FileKind::Socket,
];

/// What an inode is.
pub fn kind(source: &mut Source<'_>) -> FileKind {
    source.pick(KINDS)
}

fn fate(source: &mut Source<'_>) -> Fate {
    source.pick(&[Fate::Stays, Fate::Dies, Fate::Orphan])
}

fn time(source: &mut Source<'_>) -> Timestamp {
    Timestamp { secs: source.number(1000) as i64, nanos: source.small(1) }
}

fn range(source: &mut Source<'_>) -> LockRange {
    let kind = source.pick(&[LockKind::Shared, LockKind::Exclusive, LockKind::Unlock]);
    LockRange { kind, start: source.number(10), end: source.number(20), pid: 1 }
}

fn allocate(source: &mut Source<'_>) -> Allocate {
    let mode = source.pick(&[0, 1, 3, 16, 17, 8, 0x20, u32::MAX]);
    Allocate { mode, offset: source.number(4096), len: source.number(4096) }
}

/// A symlink's target, and sometimes what has none.
pub fn target(source: &mut Source<'_>, kind: FileKind) -> Bytes {
    if kind == FileKind::Symlink || source.below(16) == 0 {
        let long = source.below(24) == 0;
        let way = source.pick(WAYS_OUT);
        return if long { Bytes::from(vec![b'z'; 5000]) } else { Bytes::from_static(way) };
    }
    Bytes::new()
}

/// An attribute's name and value.
pub fn xattr(source: &mut Source<'_>) -> (Bytes, Bytes) {
    let name = if source.below(8) == 0 { source.name() } else { Bytes::from_static(source.pick(XATTRS)) };
    let value = if source.below(12) == 0 { Bytes::from(vec![1; 70_000]) } else { source.bytes(44) };
    (name, value)
}

/// An outcome about inodes that are there, or not.
pub fn op(source: &mut Source<'_>, new: InodeId, known: &[InodeId]) -> Op {
    let (id, parent, name) = (source.inode(known), source.inode(known), source.name());
    match source.below(22) {
        0..7 => make(source, new, parent, name),
        7 => Op::Link { id, parent, name },
        8..10 => Op::Unlink { id, parent, name, fate: fate(source) },
        10..13 => {
            let (to, to_name, replaced) = (source.inode(known), source.name(), source.inode(known));
            let replaced = if source.flag() { InodeId::NIL } else { replaced };
            Op::Rename { id, from: parent, from_name: name, to, to_name, replaced, fate: fate(source) }
        }
        13 => {
            let (other, to, to_name) = (source.inode(known), source.inode(known), source.name());
            Op::Exchange { id, from: parent, from_name: name, other, to, to_name }
        }
        14..16 => Op::Write { id, offset: source.number(10), data: source.bytes(40) },
        16 => {
            let set = SetAttr {
                mode: source.maybe(|source| source.small(0o755)),
                uid: source.maybe(|source| source.small(7)),
                gid: source.maybe(|source| source.small(7)),
                size: source.maybe(|source| source.number(100)),
                atime: source.maybe(time),
                mtime: source.maybe(time),
            };
            Op::SetAttr { id, set }
        }
        17 => {
            let (name, value) = xattr(source);
            Op::SetXattr { id, name, value }
        }
        18 => Op::RemoveXattr { id, name: xattr(source).0 },
        19 => Op::Allocate { id, range: allocate(source) },
        20 => Op::Reap { id },
        _ => rare(source, id, known),
    }
}

fn make(source: &mut Source<'_>, new: InodeId, parent: InodeId, name: Bytes) -> Op {
    let kind = kind(source);
    Op::Make {
        id: if source.below(8) == 0 { source.inode(&[]) } else { new },
        parent,
        name,
        kind,
        mode: source.small(0o755),
        uid: source.small(0),
        gid: source.small(0),
        rdev: 0,
        target: target(source, kind),
        acl_access: Bytes::new(),
        acl_default: Bytes::new(),
    }
}

fn rare(source: &mut Source<'_>, id: InodeId, known: &[InodeId]) -> Op {
    let owner = LockOwner { session: source.session(), owner: source.below(3).into() };
    match source.below(5) {
        0 => Op::Lock { id, owner, range: range(source) },
        1 => Op::Unlock { id, owner },
        2 => {
            let count = if source.below(8) == 0 { COMPARE_IDS + 1 } else { source.below(4).into() };
            Op::Compare { ids: (0..count).map(|_| source.inode(known)).collect() }
        }
        3 => Op::SessionOpen { name: source.name() },
        _ => Op::SessionClose {},
    }
}

/// A record's payload around an outcome.
pub fn stamped(source: &mut Source<'_>, op: Op) -> Stamped {
    let nobody = source.below(3) > 0 && !matches!(op, Op::SessionOpen { .. } | Op::SessionClose {});
    Stamped {
        session: if nobody { SessionId::NIL } else { source.session() },
        seq: Seq(source.number(3)),
        lowest_kept: Seq(source.number(1)),
        refused: (0..source.below(3)).map(|_| (Seq(source.number(2)), Refusal::Exists)).collect(),
        time: time(source),
        op,
    }
}

/// A request.
pub fn mutation(source: &mut Source<'_>, known: &[InodeId]) -> Mutation {
    let (id, parent, name) = (source.inode(known), source.inode(known), source.name());
    match source.below(23) {
        0..7 => request_to_make(source, parent, name, known),
        7 => Mutation::Link { id, parent, name },
        8..10 => Mutation::Unlink { parent, name, dir: source.flag() },
        10..13 => {
            let (to, to_name, flags) = (source.inode(known), source.name(), source.small(1));
            Mutation::Rename { from: parent, from_name: name, to, to_name, flags }
        }
        13 => Mutation::Write { id, offset: source.number(10), data: data(source) },
        14 => Mutation::Append { id, data: data(source) },
        15 => Mutation::SetAttr { id, want: want(source) },
        16 => {
            let (name, value) = xattr(source);
            Mutation::SetXattr { id, name, value, flags: source.small(1) }
        }
        17 => Mutation::RemoveXattr { id, name: xattr(source).0 },
        18 => Mutation::Allocate { id, range: allocate(source) },
        19 => Mutation::Lock { id, owner: source.below(3).into(), range: range(source) },
        20 => {
            let owner = if source.flag() { LEASE } else { source.below(3).into() };
            Mutation::Unlock { id, owner }
        }
        21 => Mutation::Lease { id, version: source.index(Index(3)) },
        _ => Mutation::Void {},
    }
}

fn data(source: &mut Source<'_>) -> Bytes {
    if source.below(32) == 0 { Bytes::from(vec![7; (1 << 20) + 1]) } else { source.bytes(20) }
}

fn want(source: &mut Source<'_>) -> WantAttr {
    let set = |source: &mut Source<'_>| match source.flag() {
        true => SetTime::Now,
        false => SetTime::At { time: time(source) },
    };
    WantAttr {
        mode: source.maybe(|source| source.small(0o7777)),
        uid: source.maybe(|source| source.small(7)),
        gid: source.maybe(|source| source.small(7)),
        size: source.maybe(|source| source.number(100)),
        atime: source.maybe(set),
        mtime: source.maybe(set),
    }
}

fn request_to_make(source: &mut Source<'_>, parent: InodeId, name: Bytes, known: &[InodeId]) -> Mutation {
    let kind = kind(source);
    Mutation::Make {
        parent,
        name,
        kind,
        mode: source.small(0o644),
        umask: source.small(0o022),
        uid: source.small(0),
        gid: source.small(0),
        rdev: source.number(0),
        target: target(source, kind),
        as_id: if source.below(4) == 0 { source.inode(known) } else { InodeId::NIL },
        open: source.flag(),
    }
}
