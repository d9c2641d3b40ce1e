//! Which inodes an outcome changes, and which of their times: one rule for the tree, the index, recovery and the mounts'
//! caches.

use bytes::Bytes;
use rfs_model::client::Change;
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
        | Op::SessionClose {} => {}
    }
    out
}

/// What mounts that have looked at these inodes or names must be told.
#[must_use]
pub fn changes(op: &Op, time: Timestamp) -> Vec<Change> {
    let mut out = Vec::with_capacity(6);
    out.extend(slots(op).map(|(parent, name, _)| Change::Entry { parent, name: name.clone() }));
    let data = match op {
        Op::Write { id, offset, data } => Some((*id, *offset, data.len() as u64)),
        Op::Allocate { id, range } => Some((*id, range.offset, range.len)),
        // From the new end on nothing that was cached holds; a file that grows has zeros there that nobody cached.
        Op::SetAttr { id, set } => set.size.map(|size| (*id, size, u64::MAX)),
        _ => None,
    };
    for t in touched(op, time) {
        let (offset, len) = match data {
            Some((id, offset, len)) if id == t.id => (offset, len),
            _ => (0, 0),
        };
        out.push(Change::Inode { id: t.id, offset, len });
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
