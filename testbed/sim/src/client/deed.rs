//! What a request does.

use bytes::Bytes;
use rfs_model::client::{Mutation, SetTime, WantAttr};
use rfs_model::op::{LEASE, LockKind, LockRange};
use rfs_model::{FileKind, Index, InodeId};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    MakeFile,
    Make(u64),
    Rename(u64),
    Unlink(u64),
    /// All of the root directory, against the other clients.
    Lock(u64),
    Unlock,
    /// The request's number, to the client's file.
    Append,
    /// A directory of the client's own.
    MakeDir(u64),
    Lease {
        dir: InodeId,
        version: Index,
    },
    /// A file that a program was told of already.
    Birth {
        dir: InodeId,
        name: u64,
        id: InodeId,
    },
    GiveBack {
        dir: InodeId,
    },
    /// A file in another client's directory.
    Guest {
        dir: InodeId,
        name: u64,
    },
    /// The times of another client's directory.
    Touch {
        dir: InodeId,
    },
}

pub fn name(prefix: char, client: usize, seq: u64) -> Bytes {
    format!("{prefix}{client}-{seq}").into()
}

/// What a client calls a file in a directory that it, or another client, has the lease on.
pub fn child(name: u64) -> Bytes {
    name.to_string().into()
}

impl Deed {
    /// What the request is that comes in this place, leases apart.
    pub fn ordinary(turn: u64) -> Self {
        match turn % 10 {
            _ if turn == 1 => Self::MakeFile,
            0 | 5 => Self::Make(turn),
            2 | 7 if turn > 6 => Self::Rename(turn - 2),
            4 if turn > 10 => Self::Unlink(turn - 4),
            6 if turn % 30 == 6 => Self::Lock(turn),
            9 if turn % 30 == 9 => Self::Unlock,
            _ => Self::Append,
        }
    }

    /// It may wait for the end of another client's lease, and with it what comes behind it.
    pub fn changes_names(self) -> bool {
        matches!(
            self,
            Self::MakeFile
                | Self::Make(_)
                | Self::Rename(_)
                | Self::Unlink(_)
                | Self::MakeDir(_)
                | Self::Guest { .. }
        )
    }

    /// Its answer says that all before it is carried out.
    pub fn leaves_a_record(self) -> bool {
        !matches!(self, Self::Lock(_) | Self::Unlock | Self::GiveBack { .. })
    }

    /// The request of `client`, numbered `seq`; `told`: the identity that it was answered with.
    pub fn mutation(self, client: usize, seq: u64, file: InodeId, told: InodeId) -> Mutation {
        let root = InodeId::ROOT;
        match self {
            Self::MakeFile => make(root, name('f', client, 0), FileKind::File, told),
            Self::Make(of) => make(root, name('c', client, of), FileKind::File, told),
            Self::Rename(of) => Mutation::Rename {
                from: root,
                from_name: name('c', client, of),
                to: root,
                to_name: name('r', client, of),
                flags: 0,
            },
            Self::Unlink(of) => Mutation::Unlink { parent: root, name: name('r', client, of), dir: false },
            Self::Lock(_) => {
                let range = LockRange { kind: LockKind::Exclusive, start: 0, end: u64::MAX, pid: 1 };
                Mutation::Lock { id: root, owner: 1, range }
            }
            Self::Unlock => Mutation::Unlock { id: root, owner: 1 },
            Self::Append => Mutation::Append { id: file, data: Bytes::copy_from_slice(&seq.to_le_bytes()) },
            Self::MakeDir(of) => make(root, name('d', client, of), FileKind::Dir, told),
            Self::Lease { dir, version } => Mutation::Lease { id: dir, version },
            Self::Birth { dir, name, id } => make(dir, child(name), FileKind::File, id),
            Self::GiveBack { dir } => Mutation::Unlock { id: dir, owner: LEASE },
            Self::Guest { dir, name } => make(dir, child(name), FileKind::File, told),
            Self::Touch { dir } => {
                let want = WantAttr { mtime: Some(SetTime::Now), ..WantAttr::default() };
                Mutation::SetAttr { id: dir, want }
            }
        }
    }
}

fn make(parent: InodeId, name: Bytes, kind: FileKind, as_id: InodeId) -> Mutation {
    Mutation::Make {
        parent,
        name,
        kind,
        mode: 0o644,
        umask: 0o022,
        uid: 1,
        gid: 1,
        rdev: 0,
        target: Bytes::new(),
        as_id,
        open: false,
    }
}
