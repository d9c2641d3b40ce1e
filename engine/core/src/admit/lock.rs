//! Locks.

use rfs_model::op::{LEASE, LockKind, LockOwner, LockRange};
use rfs_model::{InodeId, Op, Refusal};

use super::scene::{Judged, Ruling, Scene, Stop};
use crate::locks::RANGES_PER_INODE;
use crate::sessions::Outcome;

/// [`Mutation::Lock`](rfs_model::client::Mutation::Lock).
pub(super) fn lock(scene: &Scene<'_>, id: InodeId, owner: LockOwner, range: LockRange) -> Judged {
    if range.start > range.end || owner.owner == LEASE {
        return Err(Refusal::Invalid.into());
    }
    scene.inode(id)?;
    scene.locks_settled(id)?;
    let locks = &scene.state.locks;
    if range.kind == LockKind::Unlock && !locks.holds(id, owner, range) {
        return Err(nothing(id));
    }
    if locks.conflict(id, owner, range).is_some() {
        return Err(Refusal::Locked.into());
    }
    // Freeing may split a range, and should work where taking does not any more.
    let limit = if range.kind == LockKind::Unlock { 2 * RANGES_PER_INODE } else { RANGES_PER_INODE };
    if locks.held(id).len() >= limit {
        return Err(Refusal::Quota.into());
    }
    Ok(Ruling::free(Op::Lock { id, owner, range }))
}

/// [`Mutation::Unlock`](rfs_model::client::Mutation::Unlock).
pub(super) fn unlock(scene: &Scene<'_>, id: InodeId, owner: LockOwner) -> Judged {
    scene.locks_settled(id)?;
    if scene.state.locks.held(id).iter().any(|h| h.owner == owner) {
        Ok(Ruling::free(Op::Unlock { id, owner }))
    } else {
        Err(nothing(id))
    }
}

fn nothing(id: InodeId) -> Stop {
    Stop::Nothing(Outcome::Done { id, offset: 0, attr: false })
}
