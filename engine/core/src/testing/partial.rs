//! Trees of which a power loss kept some changes and not others.

use rfs_model::op::{Fate, Stamped};
use rfs_model::{Index, InodeId, Op, Term};

use super::tree::{Body, MemTree, Node};
use crate::converge::Made;

impl MemTree {
    /// Carries out an outcome if all that it needs is there, or nothing of it. Returns whether it was.
    pub fn try_apply(&mut self, index: Index, stamped: &Stamped) -> bool {
        match self.fits(&stamped.op) {
            Some(fits) => fits && self.apply(index, stamped).is_ok(),
            None => {
                let mut changed = self.clone();
                let done = changed.apply(index, stamped).is_ok();
                if done {
                    *self = changed;
                }
                done
            }
        }
    }

    /// A create that a crash tore: the entry is there, its identity is not. Returns whether there was room for it. `number`:
    /// another one for each.
    pub fn tear(&mut self, op: &Op, number: u64) -> bool {
        let Op::Make { parent, name, kind, mode, uid, gid, rdev, target, .. } = op else { return false };
        if self.fits(op) != Some(true) {
            return false;
        }
        let nobody = InodeId { term: Term(u64::MAX), index: Index(number) };
        let none = bytes::Bytes::new();
        let made = Made {
            kind: *kind,
            mode: *mode,
            uid: *uid,
            gid: *gid,
            rdev: *rdev,
            target: target.clone(),
            acl_access: none.clone(),
            acl_default: none,
        };
        self.nodes.insert(nobody, Node::born(&made));
        self.give(*parent, name, nobody).is_ok()
    }

    /// Whether an outcome's names fit; `None` where that is found by trying only.
    fn fits(&self, op: &Op) -> Option<bool> {
        if let Op::Link { id, .. } | Op::Unlink { id, .. } | Op::Rename { id, .. } = op
            && self.nodes.contains_key(id)
            && !self.is_plain(*id)
        {
            return None;
        }
        Some(match op {
            Op::Make { id, parent, name, .. } => !self.nodes.contains_key(id) && self.is_free(*parent, name),
            Op::Link { id, parent, name } => self.is_plain(*id) && self.is_free(*parent, name),
            Op::Unlink { id, parent, name, fate } => {
                self.holds(*parent, name, *id) && self.is_plain(*id) && self.meets(*id, *fate)
            }
            Op::Rename { id, from, from_name, to, to_name, replaced, .. } if *replaced == InodeId::NIL => {
                self.holds(*from, from_name, *id) && self.is_plain(*id) && self.is_free(*to, to_name)
            }
            Op::Rename { .. } | Op::Exchange { .. } | Op::Reap { .. } | Op::SetXattr { .. } => return None,
            Op::Write { id, .. } | Op::Allocate { id, .. } => self.is_file(*id),
            Op::SetAttr { id, .. } | Op::RemoveXattr { id, .. } => self.nodes.contains_key(id),
            _ => true,
        })
    }

    fn is_free(&self, parent: InodeId, name: &[u8]) -> bool {
        matches!(self.nodes.get(&parent).map(|n| &n.body), Some(Body::Dir { entries, .. }) if !entries.contains_key(name))
    }

    fn holds(&self, parent: InodeId, name: &[u8], id: InodeId) -> bool {
        matches!(self.nodes.get(&parent).map(|n| &n.body), Some(Body::Dir { entries, .. }) if entries.get(name) == Some(&id))
    }

    fn is_file(&self, id: InodeId) -> bool {
        matches!(self.nodes.get(&id).map(|n| &n.body), Some(Body::File(_)))
    }

    /// No directory: what is below one matters then.
    fn is_plain(&self, id: InodeId) -> bool {
        self.nodes.get(&id).is_some_and(|n| !matches!(n.body, Body::Dir { .. }))
    }

    /// Whether this fate follows when the inode loses a name.
    fn meets(&self, id: InodeId, fate: Fate) -> bool {
        self.nodes.get(&id).is_some_and(|node| (fate == Fate::Stays) == (node.names > 1))
    }
}
