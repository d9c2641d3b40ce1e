//! Recovery on a tree in memory, with crashes in its middle.

use std::collections::BTreeSet;

use bytes::Bytes;
use rfs_model::op::Stamped;
use rfs_model::{Index, InodeId, Term};

use super::tree::{Body, MemTree, Node};
use crate::admit::Fault;
use crate::converge::{Made, Occupant, Plan, Slot, Workbench};

/// Why a step of recovery was not done.
#[derive(Debug, thiserror::Error)]
pub enum Cut {
    #[error("crash")]
    Crash,
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// A tree on which recovery works.
#[derive(Clone, Debug)]
pub struct MemBench {
    tree: MemTree,
    limbo: BTreeSet<InodeId>,
    /// Changing steps before the next crash.
    steps: u64,
    torn: u64,
}

impl MemBench {
    #[must_use]
    pub fn new(tree: MemTree) -> Self {
        let orphans = tree.nodes.iter().filter(|(id, n)| n.names == 0 && **id != InodeId::ROOT);
        let limbo = orphans.map(|(id, _)| *id).collect();
        Self { tree, limbo, steps: u64::MAX, torn: 0 }
    }

    /// The next crash comes after `steps` changes.
    pub fn crash_after(&mut self, steps: u64) {
        self.steps = steps;
    }

    /// What a crash left of a record that was being applied: its names or not, its data or not. Orphans go to limbo.
    ///
    /// # Errors
    /// [`Fault`] when the record does not fit the tree.
    pub fn partly(&mut self, stamped: &Stamped, names: bool, data: bool) -> Result<(), Fault> {
        if names {
            self.tree.names(&stamped.op)?;
        }
        let first = crate::converge::touched(&stamped.op, stamped.time).first().map(|t| t.id);
        if data && let Some(node) = first.and_then(|id| self.tree.nodes.get_mut(&id)) {
            node.change(&stamped.op)?;
        }
        let orphans = self.tree.nodes.iter().filter(|(id, n)| n.names == 0 && **id != InodeId::ROOT);
        self.limbo = orphans.map(|(id, _)| *id).collect();
        Ok(())
    }

    /// A create that the crash tore: an entry without identity.
    ///
    /// # Errors
    /// [`Fault`] when the directory does not exist or the name is taken.
    pub fn tear(&mut self, dir: InodeId, name: &Bytes, made: &Made) -> Result<(), Fault> {
        self.torn += 1;
        let nobody = InodeId { term: Term(u64::MAX), index: Index(self.torn) };
        self.tree.nodes.insert(nobody, Node::born(made));
        self.tree.give(dir, name, nobody)
    }

    pub fn tree(&mut self) -> &mut MemTree {
        &mut self.tree
    }

    #[must_use]
    pub fn into_tree(self) -> MemTree {
        self.tree
    }

    /// What follows [`place`](crate::converge::place): births, data and attributes in order, times.
    ///
    /// # Errors
    /// [`Cut`].
    pub fn redo(&mut self, plan: &Plan, records: &[(Index, Stamped)]) -> Result<(), Cut> {
        for (id, made) in plan.surviving_makes() {
            self.step()?;
            if let Some(node) = self.tree.nodes.get_mut(&id) {
                node.set_birth(made);
            }
        }
        for (_, stamped) in records.iter().filter(|(_, s)| plan.redoes(s)) {
            self.step()?;
            let id = crate::converge::touched(&stamped.op, stamped.time).first().map(|t| t.id);
            if let Some(node) = id.and_then(|id| self.tree.nodes.get_mut(&id)) {
                node.change(&stamped.op)?;
            }
        }
        for (id, touch) in plan.touched() {
            if let Some(node) = self.tree.nodes.get_mut(&id) {
                node.touch(touch);
            }
        }
        Ok(())
    }

    fn step(&mut self) -> Result<(), Cut> {
        self.steps = self.steps.checked_sub(1).ok_or(Cut::Crash)?;
        Ok(())
    }

    fn kill(&mut self, id: InodeId) {
        self.tree.nodes.remove(&id);
    }
}

impl Workbench for MemBench {
    type Error = Cut;

    fn occupant(&mut self, slot: &Slot) -> Result<Occupant, Cut> {
        let Some(Node { body: Body::Dir { entries, .. }, .. }) = self.tree.nodes.get(&slot.0) else {
            return Ok(Occupant::Nobody);
        };
        Ok(match entries.get(&slot.1) {
            None => Occupant::Nobody,
            Some(id) if id.term == Term(u64::MAX) => Occupant::Torn,
            Some(id) => Occupant::Is(*id),
        })
    }

    fn remove_torn(&mut self, slot: &Slot) -> Result<(), Cut> {
        self.step()?;
        if let Some(id) = self.tree.entries(slot.0)?.get(&slot.1).copied() {
            self.tree.take(slot.0, &slot.1, id)?;
            self.kill(id);
        }
        Ok(())
    }

    fn to_limbo(&mut self, slot: &Slot, id: InodeId) -> Result<(), Cut> {
        self.step()?;
        self.tree.take(slot.0, &slot.1, id)?;
        self.limbo.insert(id);
        Ok(())
    }

    fn exists(&mut self, id: InodeId) -> Result<bool, Cut> {
        Ok(self.tree.nodes.contains_key(&id))
    }

    fn create_in_limbo(&mut self, id: InodeId, made: &Made) -> Result<(), Cut> {
        self.step()?;
        self.tree.nodes.insert(id, Node::born(made));
        self.limbo.insert(id);
        Ok(())
    }

    fn place(&mut self, id: InodeId, slot: &Slot) -> Result<(), Cut> {
        self.step()?;
        let node =
            self.tree.nodes.get(&id).ok_or_else(|| Fault(format!("inode {id} to be placed is nowhere")))?;
        if matches!(node.body, Body::Dir { .. }) {
            if node.names > 0 {
                return Err(Fault(format!("directory {id} still has another name")).into());
            }
            self.limbo.remove(&id);
        }
        self.tree.give(slot.0, &slot.1, id)?;
        Ok(())
    }

    fn limbo(&mut self) -> Result<Vec<InodeId>, Cut> {
        Ok(self.limbo.iter().copied().collect())
    }

    fn has_name(&mut self, id: InodeId) -> Result<bool, Cut> {
        Ok(self.tree.nodes.get(&id).is_some_and(|n| n.names > 0))
    }

    fn remove_from_limbo(&mut self, id: InodeId) -> Result<(), Cut> {
        self.step()?;
        self.limbo.remove(&id);
        match self.tree.nodes.get(&id) {
            Some(node) if node.names > 0 => {}
            Some(Node { body: Body::Dir { entries, .. }, .. }) if !entries.is_empty() => {
                return Err(Fault(format!("directory {id} in limbo is not empty")).into());
            }
            _ => self.kill(id),
        }
        Ok(())
    }
}
