//! How each inode looked after each operation since the checkpoint.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use rfs_engine::tree::testing::{Node, Picture};
use rfs_model::InodeId;

/// One name in one directory.
pub type Slot = (InodeId, Bytes);
type Nodes = BTreeMap<InodeId, Node>;
type Slots = BTreeMap<Slot, InodeId>;

/// The names of an inode from a time on. None: it does not exist (unless it is the root).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    pub from: usize,
    pub slots: Vec<Slot>,
}

/// One inode's past. Times count states of the timeline, from 0.
#[derive(Clone, Debug, Default)]
pub struct Life {
    /// In order of time; the first is of time 0.
    pub names: Vec<Names>,
    /// Contents and attributes, each from a time on, in order.
    pub nodes: Vec<(usize, Node)>,
}

impl Life {
    /// The names at a time.
    ///
    /// # Panics
    /// Never: there is an entry for time 0.
    #[must_use]
    pub fn names_at(&self, time: usize) -> &[Slot] {
        let at = self.names.partition_point(|names| names.from <= time);
        &self.names[at - 1].slots
    }

    /// When the names change for the first time after `time`.
    #[must_use]
    pub fn next_change(&self, time: usize) -> Option<usize> {
        self.names.iter().map(|names| names.from).find(|from| *from > time)
    }

    /// The last moment at which the names were others than at `time`.
    #[must_use]
    pub fn time_before(&self, time: usize) -> Option<usize> {
        let change = self.names.iter().map(|names| names.from).rfind(|from| *from <= time)?;
        change.checked_sub(1)
    }

    /// Whether it was made after time 0.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.nodes.first().is_some_and(|(from, _)| *from > 0)
    }
}

/// All inodes that ever were, by identity.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    pub lives: BTreeMap<InodeId, Life>,
    /// How many states were added.
    pub len: usize,
}

impl Timeline {
    /// Adds the next state. `changed`: inodes that may differ from what they were; `None`: all.
    pub fn add(&mut self, nodes: &Nodes, slots: &Slots, changed: Option<&[InodeId]>) {
        let now = self.len;
        self.len += 1;
        let mut names: BTreeMap<InodeId, Vec<Slot>> = BTreeMap::new();
        for (slot, id) in slots {
            names.entry(*id).or_default().push(slot.clone());
        }
        let all: BTreeSet<InodeId> = self.lives.keys().chain(nodes.keys()).copied().collect();
        for id in all {
            let life = self.lives.entry(id).or_default();
            if life.names.is_empty() && now > 0 {
                life.names.push(Names { from: 0, slots: Vec::new() });
            }
            let slots = names.remove(&id).unwrap_or_default();
            if life.names.last().is_none_or(|last| last.slots != slots) {
                life.names.push(Names { from: now, slots });
            }
            let looked_at = changed.is_none_or(|changed| changed.contains(&id)) || life.nodes.is_empty();
            if let Some(node) = nodes.get(&id)
                && looked_at
                && life.nodes.last().is_none_or(|(_, last)| last != node)
            {
                life.nodes.push((now, node.clone()));
            }
        }
    }

    /// Adds what a disk shows.
    pub fn add_picture(&mut self, picture: &Picture) {
        self.add(&picture.nodes, &picture.slots, None);
    }
}
