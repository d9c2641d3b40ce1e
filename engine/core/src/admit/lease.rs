//! Leases on directories.
//!
//! Whoever holds one is told by nobody else's change of a name there, because there is none: a change of another session waits
//! until the lease is gone. So its mount may answer programs that they have made a file before it has asked for that. A lease is an
//! exclusive lock of the whole directory by an owner that no program is ([`LEASE`]): it is ordered, replicated, and ends with the
//! session, as locks do.
//!
//! A holder is asked to give its lease back ([`Recalls`]). It believes in a lease for
//! [`BELIEF_MS`](rfs_model::limits::BELIEF_MS) at the most since it *sent* a question that was answered, so one that does not
//! answer has ceased to when the leader takes the lease away. The method is that of C. Gray and D. Cheriton, *Leases: an efficient
//! fault-tolerant mechanism for distributed file cache consistency* (1989).

use std::collections::{BTreeMap, BTreeSet};

use rfs_model::limits::BELIEF_MS;
use rfs_model::op::{LEASE, LockKind, LockOwner, LockRange};
use rfs_model::{Index, InodeId, Op, Refusal, SessionId};

use super::lead::Own;
use super::scene::{Judged, Ruling, Scene};
use crate::locks::Locks;

/// How long a holder has to give a lease back, by the sessions' clock. That moves by steps of up to [`TICK_MS`](super::lead::TICK_MS):
/// one of them may have passed already when the recall was sent.
const PATIENCE_MS: u64 = BELIEF_MS + super::lead::TICK_MS + 500;

/// Who has the lease on a directory.
pub(super) fn holder(locks: &Locks, dir: InodeId) -> Option<SessionId> {
    locks.held(dir).iter().find(|held| held.owner.owner == LEASE).map(|held| held.owner.session)
}

/// [`Mutation::Lease`](rfs_model::client::Mutation::Lease).
pub(super) fn take(scene: &Scene<'_>, id: InodeId, version: Index) -> Judged {
    let dir = scene.dir(id)?;
    scene.names_settled(id)?;
    scene.locks_settled(id)?;
    if dir.version != version {
        return Err(Refusal::Stale.into());
    }
    let owner = LockOwner { session: scene.session, owner: LEASE };
    let range = LockRange { kind: LockKind::Exclusive, start: 0, end: u64::MAX, pid: 0 };
    if !scene.state.locks.held(id).is_empty() {
        return Err(Refusal::Locked.into());
    }
    Ok(Ruling::free(Op::Lock { id, owner, range }))
}

/// What is wanted back of whom, and who waits for it. The leader's alone: a new one asks again, when it is asked.
#[derive(Clone, Debug, Default)]
pub(super) struct Recalls {
    by_dir: BTreeMap<InodeId, Recall>,
    /// Not told to the holder yet.
    untold: BTreeSet<(SessionId, InodeId)>,
}

#[derive(Clone, Debug)]
struct Recall {
    holder: SessionId,
    since_ms: u64,
    waiting: BTreeSet<SessionId>,
    /// The record that takes it away is on the way.
    revoked: bool,
}

impl Recalls {
    /// A session waits for the end of a lease.
    pub fn wait(&mut self, dir: InodeId, holder: SessionId, session: SessionId, now_ms: u64) {
        let new = || Recall { holder, since_ms: now_ms, waiting: BTreeSet::new(), revoked: false };
        let recall = self.by_dir.entry(dir).or_insert_with(|| {
            self.untold.insert((holder, dir));
            new()
        });
        recall.waiting.insert(session);
    }

    /// The holder calls again: it may not have heard.
    pub fn attached(&mut self, holder: SessionId) {
        let wanted = self.by_dir.iter().filter(|(_, recall)| recall.holder == holder);
        self.untold.extend(wanted.map(|(dir, _)| (holder, *dir)));
    }

    /// Holders that are to be told now, and of what.
    pub fn take_untold(&mut self) -> BTreeSet<(SessionId, InodeId)> {
        std::mem::take(&mut self.untold)
    }

    /// Leases that are to end now, whether or not their holders are heard of.
    pub fn overdue(&mut self, now_ms: u64) -> Vec<Own> {
        let late = |recall: &&mut Recall| now_ms.saturating_sub(recall.since_ms) >= PATIENCE_MS;
        let overdue = self.by_dir.iter_mut().map(|(dir, recall)| (*dir, recall));
        let overdue = overdue.filter(|(_, recall)| !recall.revoked && late(recall));
        let revoke = |(id, recall): (InodeId, &mut Recall)| {
            recall.revoked = true;
            let owner = LockOwner { session: recall.holder, owner: LEASE };
            Own { session: SessionId::NIL, op: Op::Unlock { id, owner } }
        };
        overdue.map(revoke).collect()
    }

    /// The directory has no lease any more. Returns who waited for that.
    pub fn ended(&mut self, dir: InodeId) -> BTreeSet<SessionId> {
        self.by_dir.remove(&dir).map(|recall| recall.waiting).unwrap_or_default()
    }
}
