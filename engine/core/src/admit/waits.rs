//! What reads and acknowledgements have to wait for.

use std::collections::BTreeSet;
use std::ops::Range;

use bytes::Bytes;
use rfs_model::op::{LockKind, LockOwner, LockRange};
use rfs_model::{Index, InodeId, Seq, SessionId};

use super::front::Front;

/// Where a session stands at the leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    pub received: Seq,
    pub next: Seq,
    /// Requests that wait to be admitted: stop reading from the connection when there are many.
    pub queued: usize,
}

/// What reads and acknowledgements have to wait for.
impl Front {
    /// The newest pending record that touches the inode, entries of a directory included; 0: none.
    #[must_use]
    pub fn pending_on(&self, id: InodeId) -> Index {
        self.lead.as_ref().map_or(Index::ZERO, |l| l.over.last(id))
    }

    /// The newest pending record of one session that touches the inode: what its reads wait for; 0: none.
    #[must_use]
    pub fn pending_of(&self, session: SessionId, id: InodeId) -> Index {
        self.lead.as_ref().map_or(Index::ZERO, |l| l.over.last_of(session, id))
    }

    /// The newest pending record of one session that a read of these bytes of a file by it has to see; 0: none.
    #[must_use]
    pub fn pending_data(&self, session: SessionId, id: InodeId, bytes: &Range<u64>) -> Index {
        self.lead.as_ref().map_or(Index::ZERO, |l| l.over.last_in(session, id, bytes))
    }

    /// The pending record that sets the name; 0: none.
    #[must_use]
    pub fn pending_slot(&self, parent: InodeId, name: &Bytes) -> Index {
        self.lead.as_ref().map_or(Index::ZERO, |l| l.over.slot(parent, name))
    }

    /// The last request of the session that has arrived, and the next one to be admitted. A query that arrives now sees all
    /// before it once `next` is above what is `received` now, and those records are applied.
    #[must_use]
    pub fn progress(&self, session: SessionId) -> Option<Progress> {
        self.desk(session).map(|d| Progress { received: d.received(), next: d.next(), queued: d.queue.len() })
    }

    /// The session's last request such that it and all before it are done with and durable, given that the log is durable
    /// up to `durable`.
    #[must_use]
    pub fn durable_seq(&self, session: SessionId, durable: Index) -> Seq {
        self.desk(session).map_or(Seq::ZERO, |d| d.durable(durable, self.table(session)))
    }

    /// The index at which the session's requests up to `seq` are durable. `None`: the request is not admitted yet, ask again
    /// after [`Front::admit_next`].
    #[must_use]
    pub fn index_of(&self, session: SessionId, seq: Seq) -> Option<Index> {
        self.desk(session)?.index_of(seq, self.table(session))
    }

    /// Sessions that are to be told that somebody waits for their lease on a directory: each once, and again when it attaches anew.
    pub fn take_recalls(&mut self) -> BTreeSet<(SessionId, InodeId)> {
        self.lead.as_mut().map(|lead| lead.recalls.take_untold()).unwrap_or_default()
    }

    /// A lock of somebody else in the way of `range`: `None` when there is none.
    #[must_use]
    pub fn get_lock(&self, id: InodeId, owner: LockOwner, range: LockRange) -> Option<LockRange> {
        self.state.locks.conflict(id, owner, range).map(|held| held.range)
    }

    /// As [`Front::get_lock`], in the form of [`Answer::Lock`](rfs_model::client::Answer::Lock).
    #[must_use]
    pub fn lock_answer(&self, id: InodeId, owner: LockOwner, range: LockRange) -> LockRange {
        self.get_lock(id, owner, range).unwrap_or(LockRange { kind: LockKind::Unlock, ..range })
    }
}
