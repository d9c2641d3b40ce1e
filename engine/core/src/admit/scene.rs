//! What one request is judged against, and how a judgement ends.

use bytes::Bytes;
use rfs_model::{Attr, FileKind, Index, InodeId, Op, Refusal, SessionId, Timestamp};

use super::limits::Limits;
use super::opens::Opens;
use super::overlay::{Overlay, Pending};
use super::state::Replicated;
use super::view::{Fault, Room, TreeView};
use crate::sessions::Outcome;

/// An outcome to be recorded.
#[derive(Debug)]
pub(super) struct Ruling {
    pub op: Op,
    /// Kind of the inode that the operation is about, where it matters to those behind it.
    pub kind: Option<FileKind>,
    /// That inode's size after it, where it changes.
    pub size: Option<u64>,
    /// What it takes from the room.
    pub charge: Room,
}

impl Ruling {
    pub const FREE: Room = Room { bytes: 0, inodes: 0 };

    pub fn free(op: Op) -> Self {
        Self { op, kind: None, size: None, charge: Self::FREE }
    }
}

/// Why there is nothing to be recorded.
#[derive(Debug)]
pub(super) enum Stop {
    Refused(Refusal),
    /// A success that changes nothing.
    Nothing(Outcome),
    /// It touches what this record changes: judge again when that is applied.
    Wait(Index),
    /// It changes names in a directory of which another session has the lease: judge again when that has ended.
    Leased {
        dir: InodeId,
        holder: SessionId,
    },
    Fault(Fault),
}

impl From<Refusal> for Stop {
    fn from(why: Refusal) -> Self {
        Self::Refused(why)
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

pub(super) type Judged<T = Ruling> = Result<T, Stop>;

/// Waits for a pending record, if there is one.
fn unless_pending(index: Index) -> Judged<()> {
    if index == Index::ZERO { Ok(()) } else { Err(Stop::Wait(index)) }
}

/// An inode as all records before this one leave it, as far as any request needs to know.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inode {
    pub id: InodeId,
    pub kind: FileKind,
    pub size: u64,
}

/// All that a judgement may look at.
pub(super) struct Scene<'a> {
    /// Whose request it is.
    pub session: SessionId,
    pub tree: &'a dyn TreeView,
    pub over: &'a Overlay,
    pub state: &'a Replicated,
    pub opens: &'a Opens,
    pub limits: &'a Limits,
    pub room: Room,
    pub time: Timestamp,
    /// Identity of an inode that this record would make.
    pub next: InodeId,
}

impl Scene<'_> {
    /// An inode whose names and owner do not matter: writes go on while its birth is on the way.
    pub fn inode(&self, id: InodeId) -> Judged<Inode> {
        unless_pending(self.over.still(id, |p| p.dies))?;
        if let Some(Pending { kind: Some(kind), size: Some(size), .. }) = self.over.inode(id) {
            return Ok(Inode { id, kind: *kind, size: *size });
        }
        let attr = self.attr(id)?;
        Ok(Inode { id, kind: attr.kind, size: attr.size })
    }

    /// A regular file, for data.
    pub fn file(&self, id: InodeId) -> Judged<Inode> {
        let inode = self.inode(id)?;
        match inode.kind {
            FileKind::File => Ok(inode),
            FileKind::Dir => Err(Refusal::IsDirectory.into()),
            _ => Err(Refusal::Invalid.into()),
        }
    }

    /// Attributes of an inode whose standing is not in motion.
    pub fn settled(&self, id: InodeId) -> Judged<Attr> {
        unless_pending(self.over.still(id, |p| p.standing))?;
        self.attr(id)
    }

    /// The mode that an inode has after all records before this one.
    pub fn mode(&self, id: InodeId) -> Judged<u32> {
        match self.over.inode(id).and_then(|pending| pending.mode) {
            Some(mode) => Ok(mode),
            None => Ok(self.settled(id)?.mode),
        }
    }

    /// A directory whose standing is not in motion.
    pub fn dir(&self, id: InodeId) -> Judged<Attr> {
        let attr = self.settled(id)?;
        if attr.kind == FileKind::Dir { Ok(attr) } else { Err(Refusal::NotDirectory.into()) }
    }

    /// A directory in which names are to change: nobody else has the lease on it.
    pub fn own_dir(&self, id: InodeId) -> Judged<Attr> {
        let attr = self.dir(id)?;
        self.not_leased(id)?;
        Ok(attr)
    }

    /// What is pending on the directory's locks counts, unless it is this session's own. There is one such record at a time, but
    /// for the leader's own, by which it takes a lease away.
    fn not_leased(&self, dir: InodeId) -> Judged<()> {
        let own = self.over.inode(dir).is_none_or(|pending| pending.locker == self.session);
        if !own {
            unless_pending(self.over.still(dir, |p| p.locks))?;
        }
        match self.state.locks.leased_to(dir) {
            Some(holder) if holder != self.session => Err(Stop::Leased { dir, holder }),
            _ => Ok(()),
        }
    }

    fn attr(&self, id: InodeId) -> Judged<Attr> {
        Ok(self.tree.attr(id)?.ok_or(Refusal::Stale)?)
    }

    /// Who has a name that no pending record sets.
    pub fn child(&self, parent: InodeId, name: &Bytes) -> Judged<Option<Attr>> {
        unless_pending(self.over.slot(parent, name))?;
        let Some(id) = self.tree.child(parent, name)? else {
            return Ok(None);
        };
        unless_pending(self.over.still(id, |p| p.standing))?;
        let attr = self.tree.attr(id)?;
        let lost = || Fault(format!("inode {id} has a name in {parent} and does not exist"));
        Ok(Some(attr.ok_or_else(lost)?))
    }

    pub fn locks_settled(&self, id: InodeId) -> Judged<()> {
        unless_pending(self.over.still(id, |p| p.locks))
    }

    pub fn xattrs_settled(&self, id: InodeId) -> Judged<()> {
        unless_pending(self.over.still(id, |p| p.xattrs))
    }

    pub fn moves_settled(&self) -> Judged<()> {
        unless_pending(self.over.moves())
    }

    /// A directory that is to go must have no entries, and none on the way in or out, nor may anybody make some unasked.
    pub fn may_go(&self, dir: InodeId) -> Judged<()> {
        self.not_leased(dir)?;
        self.must_be_empty(dir)
    }

    /// No name in the directory is on its way in or out.
    pub fn names_settled(&self, dir: InodeId) -> Judged<()> {
        unless_pending(self.over.slots_in(dir))
    }

    fn must_be_empty(&self, dir: InodeId) -> Judged<()> {
        self.names_settled(dir)?;
        if self.tree.is_empty(dir)? { Ok(()) } else { Err(Refusal::NotEmpty.into()) }
    }

    pub fn must_have_room(&self, charge: Room) -> Judged<()> {
        let fits = charge.bytes <= self.room.bytes && charge.inodes <= self.room.inodes;
        if fits { Ok(()) } else { Err(Refusal::NoSpace.into()) }
    }
}

/// Room that `bytes` of new data take, in whole blocks.
pub(super) fn blocks(bytes: u64) -> Room {
    Room { bytes: bytes.saturating_add(4095) & !4095, inodes: 0 }
}
