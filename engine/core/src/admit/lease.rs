//! Leases on directories.
//!
//! Whoever holds one is told by nobody else's change of a name there, because there is none: a change of another session waits
//! until the lease is gone. So its mount may answer programs that they have made a file before it has asked for that. A lease is an
//! exclusive lock of the whole directory by an owner that no program is ([`LEASE`]): it is ordered, replicated, and ends with the
//! session, as locks do.
//!
//! A holder is asked to give its lease back ([`Recalls`](super::recalls::Recalls)). It believes in a lease for
//! [`BELIEF_MS`](rfs_model::limits::BELIEF_MS) at the most since it *sent* a question that was answered, so one that does not
//! answer has ceased to when the leader takes the lease away. The method is that of C. Gray and D. Cheriton, *Leases: an efficient
//! fault-tolerant mechanism for distributed file cache consistency* (1989).

use rfs_model::op::{LEASE, LockKind, LockOwner, LockRange};
use rfs_model::{Index, InodeId, Op, Refusal};

use super::scene::{Judged, Ruling, Scene};

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
