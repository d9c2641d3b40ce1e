//! Which inodes an outcome changes, and which of their times: one rule for the tree, the index and recovery.

use bytes::Bytes;
use rfs_model::{InodeId, Op, Timestamp};

/// What an outcome does to one inode's bookkeeping. `ctime` becomes the record's time and `version` its index in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Touched {
    pub id: InodeId,
    /// The modification time it sets; `None` leaves it.
    pub mtime: Option<Timestamp>,
}

/// The inodes that `op`, stamped with `time`, changes: at most four, none twice. Those that die of it are among them.
#[must_use]
pub fn touched(op: &Op, time: Timestamp) -> Vec<Touched> {
    let mut out: Vec<Touched> = Vec::with_capacity(4);
    let mut add = |id: InodeId, mtime: Option<Timestamp>| {
        if id != InodeId::NIL && !out.iter().any(|t| t.id == id) {
            out.push(Touched { id, mtime });
        }
    };
    let now = Some(time);
    match op {
        Op::Make { id, parent, .. } => {
            add(*id, now);
            add(*parent, now);
        }
        Op::Link { id, parent, .. } | Op::Unlink { id, parent, .. } => {
            add(*id, None);
            add(*parent, now);
        }
        Op::Rename { id, from, to, replaced, .. } => {
            add(*from, now);
            add(*to, now);
            add(*id, None);
            add(*replaced, None);
        }
        Op::Exchange { id, from, other, to, .. } => {
            add(*from, now);
            add(*to, now);
            add(*id, None);
            add(*other, None);
        }
        Op::Write { id, .. } | Op::Allocate { id, .. } => add(*id, now),
        Op::SetAttr { id, set } => add(*id, set.mtime),
        Op::SetXattr { id, .. } | Op::RemoveXattr { id, .. } => add(*id, None),
        Op::Reap { .. }
        | Op::Lock { .. }
        | Op::Unlock { .. }
        | Op::SessionOpen { .. }
        | Op::SessionClose {}
        | Op::Compare { .. } => {}
    }
    out
}

/// The slots that `op` sets, in order, with their new values.
pub fn slots(op: &Op) -> impl Iterator<Item = (InodeId, &Bytes, Option<InodeId>)> {
    let pair = match op {
        Op::Make { id, parent, name, .. } | Op::Link { id, parent, name } => {
            [Some((*parent, name, Some(*id))), None]
        }
        Op::Unlink { parent, name, .. } => [Some((*parent, name, None)), None],
        Op::Rename { id, from, from_name, to, to_name, .. } => {
            [Some((*from, from_name, None)), Some((*to, to_name, Some(*id)))]
        }
        Op::Exchange { id, from, from_name, other, to, to_name } => {
            [Some((*from, from_name, Some(*other))), Some((*to, to_name, Some(*id)))]
        }
        _ => [None, None],
    };
    pair.into_iter().flatten()
}
