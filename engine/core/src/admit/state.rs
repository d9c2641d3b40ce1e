//! The replicated state of a replica set besides its tree: sessions with their results, locks, orphans, the volume's own
//! state. Every brick has it at its applied index, and it is the same at the same index everywhere.

use std::collections::BTreeSet;

use bytes::Bytes;
use rfs_model::op::{Fate, LockOwner, Stamped};
use rfs_model::{Decode, DecodeError, Encode, Index, InodeId, Op, Reader, Seq, SessionId, Timestamp};

use super::view::Fault;
use crate::locks::{Held, Locks};
use crate::sessions::{Outcome, Sessions};

/// Version of the snapshot's layout: 1, the first one: applied index, time, volume, orphans, locks, sessions.
const FORMAT: u8 = 1;

/// What a session went through by a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionEvent {
    Opened(SessionId),
    Closed(SessionId),
}

/// What an applied record means for mounts that are connected here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// The answer to the request that this record was made for.
    pub answer: Option<(SessionId, Seq, Outcome)>,
    /// Inodes on which a lock became free or weaker.
    pub freed: Vec<InodeId>,
    pub session: Option<SessionEvent>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replicated {
    applied: Index,
    /// Of the newest outcome.
    time: Timestamp,
    volume: Option<Bytes>,
    orphans: BTreeSet<InodeId>,
    pub(super) locks: Locks,
    pub(super) sessions: Sessions,
}

impl Replicated {
    #[must_use]
    pub fn applied(&self) -> Index {
        self.applied
    }

    #[must_use]
    pub fn time(&self) -> Timestamp {
        self.time
    }

    /// Payload of the newest record of kind [`Volume`](rfs_model::RecordKind::Volume).
    #[must_use]
    pub fn volume(&self) -> Option<&Bytes> {
        self.volume.as_ref()
    }

    /// Inodes without a name that somebody may have open.
    #[must_use]
    pub fn orphans(&self) -> &BTreeSet<InodeId> {
        &self.orphans
    }

    #[must_use]
    pub fn locks(&self) -> &Locks {
        &self.locks
    }

    #[must_use]
    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// A record without an outcome (configuration, a leader's first) is passed.
    pub(super) fn skip(&mut self, index: Index) {
        assert!(index > self.applied, "record {index} after {}", self.applied);
        self.applied = index;
    }

    pub(super) fn apply_volume(&mut self, index: Index, payload: Bytes) {
        self.skip(index);
        self.volume = Some(payload);
    }

    pub(super) fn apply(&mut self, index: Index, stamped: &Stamped) -> Result<Applied, Fault> {
        self.skip(index);
        self.time = self.time.max(stamped.time);
        self.sessions.apply(index, stamped).map_err(|e| Fault(e.to_string()))?;
        if let Op::Lock { id, owner, range } = &stamped.op
            && !self.locks.may_set(*id, *owner, *range)
        {
            // Only a leader that lies makes it, and what comes of it could not be read back.
            return Err(Fault(format!("record {index} gives a lock that another owner has")));
        }
        let freed = self.apply_op(&stamped.op, stamped.session);
        let session = match &stamped.op {
            Op::SessionOpen { .. } => Some(SessionEvent::Opened(stamped.session)),
            Op::SessionClose {} => Some(SessionEvent::Closed(stamped.session)),
            _ => None,
        };
        let told = session.is_none() && !stamped.session.is_nil();
        let answer = told.then(|| (stamped.session, stamped.seq, Outcome::of(&stamped.op)));
        Ok(Applied { answer, freed, session })
    }

    /// Locks and orphans. Returns the inodes that waiters may try again.
    fn apply_op(&mut self, op: &Op, session: SessionId) -> Vec<InodeId> {
        let freed = |any: bool, id: InodeId| if any { vec![id] } else { Vec::new() };
        match op {
            Op::Unlink { id, fate, .. } => return freed(self.meet(*id, *fate), *id),
            Op::Rename { replaced, fate, .. } if *replaced != InodeId::NIL => {
                return freed(self.meet(*replaced, *fate), *replaced);
            }
            Op::Reap { id } => return freed(self.meet(*id, Fate::Dies), *id),
            Op::Lock { id, owner, range } => return freed(self.locks.set(*id, *owner, *range), *id),
            Op::Unlock { id, owner } => return freed(self.drop_owner(*id, *owner), *id),
            Op::SessionClose {} => return self.locks.drop_session(session),
            _ => {}
        }
        Vec::new()
    }

    fn drop_owner(&mut self, id: InodeId, owner: LockOwner) -> bool {
        self.locks.drop_owner(id, owner)
    }

    /// True when locks have ended with the inode.
    fn meet(&mut self, id: InodeId, fate: Fate) -> bool {
        match fate {
            Fate::Stays => false,
            Fate::Orphan => {
                self.orphans.insert(id);
                false
            }
            Fate::Dies => {
                self.orphans.remove(&id);
                let locked = !self.locks.held(id).is_empty();
                self.locks.drop_inode(id);
                locked
            }
        }
    }

    pub(super) fn snapshot(&self) -> Vec<u8> {
        let mut out = vec![FORMAT];
        self.applied.encode(&mut out);
        self.time.encode(&mut out);
        self.volume.encode(&mut out);
        self.orphans.iter().copied().collect::<Vec<_>>().encode(&mut out);
        self.locks.all().encode(&mut out);
        self.sessions.encode(&mut out);
        out
    }

    pub(super) fn restore(bytes: &Bytes) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        match r.u8()? {
            FORMAT => {}
            other => return Err(DecodeError::Unknown { what: "a snapshot's format", value: other.into() }),
        }
        let (applied, time) = (Index::decode(&mut r)?, Timestamp::decode(&mut r)?);
        let volume = <Option<Bytes>>::decode(&mut r)?;
        let orphans: Vec<InodeId> = r.list()?;
        let held: Vec<(InodeId, Held)> = r.list()?;
        let sessions = Sessions::decode(&mut r)?;
        r.end()?;
        let locks = Locks::from_all(held).ok_or(DecodeError::Text("lock table"))?;
        Ok(Self { applied, time, volume, orphans: orphans.into_iter().collect(), locks, sessions })
    }
}
