//! Mount to brick and back, in frames of kind [`Client`](crate::frame::FrameKind::Client) after a
//! [`Hello`](crate::hello::Hello).
//!
//! *Mutations* are numbered by the mount ([`Seq`], from 1, no gaps) and carried out exactly once, in that order, whatever
//! dies meanwhile: the mount keeps each until it is durable and sends it again, in order, to a new leader. *Queries* have a
//! tag of the mount's choice that comes back with the answer; they change nothing and are simply asked again.
//!
//! A leader reads frames in order: a query sees every mutation sent before it on the same connection.

use bytes::Bytes;

use crate::attr::{Attr, FileKind, Timestamp};
use crate::ids::{Index, InodeId, Seq};
use crate::op::{Allocate, LockRange};
use crate::refusal::Refusal;
use crate::{layout, tagged};

/// A time to set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetTime {
    /// The leader's clock when it admits the request.
    Now,
    At {
        time: Timestamp,
    },
}
tagged!(SetTime, "a time", { 1 => Now {}, 2 => At { time } });

/// Attributes that a program asks to change; `None` leaves a value as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WantAttr {
    pub mode: Option<u32>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    pub size: Option<u64>,
    pub atime: Option<SetTime>,
    pub mtime: Option<SetTime>,
}
layout!(WantAttr { mode, uid, gid, size, atime, mtime });

/// A request to change something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// A new inode. `mode` is what the program asked for, before `umask` (which a default ACL of the parent overrides).
    /// `as_id` is nil, or an identity that the mount was given to spare ([`Done::spare`]); a mount that sends the request again
    /// names the identity it was told, which must not change.
    Make {
        parent: InodeId,
        name: Bytes,
        kind: FileKind,
        mode: u32,
        umask: u32,
        uid: u32,
        gid: u32,
        rdev: u64,
        /// A symlink's target, else empty.
        target: Bytes,
        as_id: InodeId,
        /// The mount opens the new file with the same request, as [`Query::Open`] would.
        open: bool,
    },
    Link {
        id: InodeId,
        parent: InodeId,
        name: Bytes,
    },
    /// unlink (`dir` false) or rmdir (`dir` true).
    Unlink {
        parent: InodeId,
        name: Bytes,
        dir: bool,
    },
    /// `flags` are those of renameat2: 0, NOREPLACE (1) or EXCHANGE (2).
    Rename {
        from: InodeId,
        from_name: Bytes,
        to: InodeId,
        to_name: Bytes,
        flags: u32,
    },
    Write {
        id: InodeId,
        offset: u64,
        data: Bytes,
    },
    /// Writes at the end of the file as it is when the leader orders the request.
    Append {
        id: InodeId,
        data: Bytes,
    },
    SetAttr {
        id: InodeId,
        want: WantAttr,
    },
    /// `flags`: 0, CREATE (1) or REPLACE (2).
    SetXattr {
        id: InodeId,
        name: Bytes,
        value: Bytes,
        flags: u32,
    },
    RemoveXattr {
        id: InodeId,
        name: Bytes,
    },
    Allocate {
        id: InodeId,
        range: Allocate,
    },
    /// Takes, changes or frees a lock at once, or is refused with [`Refusal::Locked`]. A mount whose program waits asks
    /// again when [`ToMount::LockFreed`] arrives.
    Lock {
        id: InodeId,
        owner: u64,
        range: LockRange,
    },
    /// All locks of the owner on the inode end.
    Unlock {
        id: InodeId,
        owner: u64,
    },
    /// The lease on the names in a directory, for a mount that knows them all: it is had only if nothing has changed there since
    /// this version. While it is had, changes by other sessions wait; it is given back by [`Mutation::Unlock`], whose owner is
    /// [`LEASE`](crate::op::LEASE).
    Lease {
        id: InodeId,
        version: Index,
    },
    /// Nothing. A mount that sends its window again puts this in the place of a request that was answered with a refusal
    /// and that it has not let go of yet: the number stays used, and the request is not judged a second time.
    Void {},
}
impl Mutation {
    /// Bytes of data that it carries, beside names and numbers.
    #[must_use]
    pub fn data_bytes(&self) -> usize {
        match self {
            Self::Write { data, .. } | Self::Append { data, .. } => data.len(),
            Self::SetXattr { value, .. } => value.len(),
            Self::Make { target, .. } => target.len(),
            _ => 0,
        }
    }
}

tagged!(Mutation, "a mutation", {
    1 => Make { parent, name, kind, mode, umask, uid, gid, rdev, target, as_id, open },
    2 => Link { id, parent, name },
    3 => Unlink { parent, name, dir },
    4 => Rename { from, from_name, to, to_name, flags },
    5 => Write { id, offset, data },
    6 => Append { id, data },
    7 => SetAttr { id, want },
    8 => SetXattr { id, name, value, flags },
    9 => RemoveXattr { id, name },
    10 => Allocate { id, range },
    11 => Lock { id, owner, range },
    12 => Unlock { id, owner },
    13 => Void {},
    14 => Lease { id, version },
});

/// A request that changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// Answer: [`Answer::Attr`] or [`Refusal::NoEntry`].
    Lookup {
        parent: InodeId,
        name: Bytes,
    },
    GetAttr {
        id: InodeId,
    },
    /// The mount holds the inode open until it sends [`Query::Release`] as often, so that its last unlink keeps it.
    /// Answer: [`Answer::Opened`] as of now. `unless`: it brings the data of a file of at most
    /// [`OPEN_BYTES`](crate::limits::OPEN_BYTES), too, unless the file is of this version; none: never.
    Open {
        id: InodeId,
        unless: Option<Index>,
    },
    /// No answer.
    Release {
        id: InodeId,
    },
    /// At most [`READ_BYTES`](crate::limits::READ_BYTES); shorter only at the end of the file. Answer: [`Answer::Data`].
    Read {
        id: InodeId,
        offset: u64,
        len: u32,
    },
    /// Answer: [`Answer::Data`].
    ReadLink {
        id: InodeId,
    },
    /// Entries in the order of their names' bytes, from the first one greater than `after`; `.` and `..` are not among
    /// them. `plus` asks for attributes. Answer: [`Answer::Dir`].
    ReadDir {
        id: InodeId,
        after: Bytes,
        plus: bool,
    },
    GetXattr {
        id: InodeId,
        name: Bytes,
    },
    /// Answer: [`Answer::Names`]; `trusted.rfs.*` is never among them.
    ListXattr {
        id: InodeId,
    },
    /// Smallest over the bricks in sync. Answer: [`Answer::Statfs`].
    Statfs {},
    /// The next data (`data` true) or hole at or after `offset`. Answer: [`Answer::Offset`] or [`Refusal::NoData`].
    Seek {
        id: InodeId,
        offset: u64,
        data: bool,
    },
    /// Answer: [`Answer::Lock`], whose kind is `Unlock` when nothing conflicts.
    GetLock {
        id: InodeId,
        owner: u64,
        range: LockRange,
    },
    /// Answered with [`Answer::Done`] when this session's mutations up to `seq` are durable: fdatasynced by a commit quorum.
    Sync {
        seq: Seq,
    },
    /// The index that a local brick must have applied so that a read there is as good as one at the leader.
    /// Answer: [`Answer::ReadAt`].
    ReadIndex {
        id: InodeId,
    },
    /// Nothing is asked, but whether there is a leader: a mount may believe in the leases that it has for
    /// [`BELIEF_MS`](crate::limits::BELIEF_MS) since it sent this. Answer: [`Answer::Done`].
    Renew {},
}
tagged!(Query, "a query", {
    1 => Lookup { parent, name },
    2 => GetAttr { id },
    3 => Open { id, unless },
    4 => Release { id },
    5 => Read { id, offset, len },
    6 => ReadLink { id },
    7 => ReadDir { id, after, plus },
    8 => GetXattr { id, name },
    9 => ListXattr { id },
    10 => Statfs {},
    11 => Seek { id, offset, data },
    12 => GetLock { id, owner, range },
    13 => Sync { seq },
    14 => ReadIndex { id },
    15 => Renew {},
});

impl Query {
    /// The inode that it is about, where it names one.
    #[must_use]
    pub fn inode(&self) -> Option<InodeId> {
        match self {
            Self::Lookup { .. } | Self::Statfs {} | Self::Sync { .. } | Self::Renew {} => None,
            Self::GetAttr { id }
            | Self::Open { id, .. }
            | Self::Release { id }
            | Self::Read { id, .. }
            | Self::ReadLink { id }
            | Self::ReadDir { id, .. }
            | Self::GetXattr { id, .. }
            | Self::ListXattr { id }
            | Self::Seek { id, .. }
            | Self::GetLock { id, .. }
            | Self::ReadIndex { id } => Some(*id),
        }
    }
}

/// Mount to brick.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToBrick {
    /// `lowest_kept`: the mount will never again send a mutation with a smaller number.
    Mutate { seq: Seq, lowest_kept: Seq, op: Mutation },
    /// `at`: answer only when this index is applied (0 on a connection to the leader).
    Query { tag: u64, at: Index, op: Query },
    /// Every 250 ms when nothing else is sent.
    Beat { lowest_kept: Seq },
    /// The mount ends in good order: all is durable, the session may go.
    Detach {},
}
tagged!(ToBrick, "a message to a brick", {
    1 => Mutate { seq, lowest_kept, op },
    2 => Query { tag, at, op },
    3 => Beat { lowest_kept },
    4 => Detach {},
});

/// What a carried-out mutation gives back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// The new inode of a `Make`, else the inode acted on; nil where there is none.
    pub id: InodeId,
    /// Where an append or write ended up: offset of its first byte.
    pub offset: u64,
    /// After `Make`, `Link`, `SetAttr`, `Allocate`: the inode as of now.
    pub attr: Option<Attr>,
    /// The directory in which a name came or went, as of now; none where the leader has only its memory of the outcome.
    pub dir: Option<Attr>,
    /// The same of a rename's second one.
    pub to_dir: Option<Attr>,
    /// The identity that the request's record could have given to an inode, and did not. It is this mount's, for a file that it
    /// makes by [`Mutation::Make`]'s `as_id`. Nil: none.
    pub spare: InodeId,
}
layout!(Done { id, offset, attr, dir, to_dir, spare });

/// One name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    pub name: Bytes,
    pub id: InodeId,
    pub kind: FileKind,
    /// Only where asked for.
    pub attr: Option<Attr>,
}
layout!(DirEntry { name, id, kind, attr });

/// Sizes as statfs(2) shows them, in units of `block` bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statfs {
    pub block: u32,
    pub blocks: u64,
    pub free: u64,
    pub available: u64,
    pub files: u64,
    pub files_free: u64,
    pub name_bytes: u32,
}
layout!(Statfs { block, blocks, free, available, files, files_free, name_bytes });

/// The answer to a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Done,
    Attr {
        attr: Attr,
    },
    Data {
        data: Bytes,
    },
    Dir {
        entries: Vec<DirEntry>,
        end: bool,
    },
    Names {
        names: Vec<Bytes>,
    },
    Statfs {
        statfs: Statfs,
    },
    Offset {
        offset: u64,
    },
    Lock {
        range: LockRange,
    },
    ReadAt {
        index: Index,
    },
    /// `data`: all that the file holds; empty where that was not asked for, or is too much.
    Opened {
        attr: Attr,
        data: Bytes,
    },
}
tagged!(Answer, "an answer", {
    1 => Done {}, 2 => Attr { attr }, 3 => Data { data }, 4 => Dir { entries, end }, 5 => Names { names },
    6 => Statfs { statfs }, 7 => Offset { offset }, 8 => Lock { range }, 9 => ReadAt { index },
    10 => Opened { attr, data },
});

/// What has changed under a mount that may have cached it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Attributes, and data in `offset .. offset + len` (`len` 0: attributes only; `u64::MAX`: to the end).
    Inode { id: InodeId, offset: u64, len: u64 },
    /// The name now stands for another inode or none.
    Entry { parent: InodeId, name: Bytes },
}
tagged!(Change, "a change", { 1 => Inode { id, offset, len }, 2 => Entry { parent, name } });

/// Brick to mount.
#[expect(
    clippy::large_enum_variant,
    reason = "most messages are answers to changes, and they live for a moment"
)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToMount {
    /// Metadata: committed and applied on the leader. Data: committed.
    Done {
        seq: Seq,
        done: Done,
    },
    Refused {
        seq: Seq,
        why: Refusal,
    },
    Answer {
        tag: u64,
        answer: Answer,
    },
    NoAnswer {
        tag: u64,
        why: Refusal,
    },
    /// All mutations up to `seq` are durable: the mount may forget those it has an answer for.
    Durable {
        seq: Seq,
    },
    /// Somebody else's changes, pushed when they are applied here.
    Changes {
        changes: Vec<Change>,
    },
    /// A lock on this inode went away: waiters may try again.
    LockFreed {
        id: InodeId,
    },
    /// Somebody waits for this mount's lease on the directory: it is to be given back, behind all that was done in its name.
    Recall {
        id: InodeId,
    },
    /// Every 250 ms when nothing else is sent.
    Beat,
    /// This brick does not lead any more: attach elsewhere. What is unanswered is to be sent again there.
    NotLeader,
    /// The volume was stopped, or this client is not allowed any more.
    Dismissed {
        why: Refusal,
    },
}
tagged!(ToMount, "a message to a mount", {
    1 => Done { seq, done },
    2 => Refused { seq, why },
    3 => Answer { tag, answer },
    4 => NoAnswer { tag, why },
    5 => Durable { seq },
    6 => Changes { changes },
    7 => LockFreed { id },
    8 => Beat {},
    9 => NotLeader {},
    10 => Dismissed { why },
    11 => Recall { id },
});
