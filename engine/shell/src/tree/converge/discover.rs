//! Where everything is: a crash may have left an inode at any place that a record gave it, in limbo, or among the orphans.
//! Directories are found from the root downwards, through places that no record touched and through touched slots.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use rfs_core::converge::Plan;
use rfs_model::{FileKind, Index, InodeId, Timestamp};

use super::Recovery;
use super::bench::NEW;
use crate::tree::entry::{Entry, Place};
use crate::tree::layout::{LIMBO_DIR, ORPHANS_DIR};
use crate::tree::listing::names_of;
use crate::tree::planted::Planted;
use crate::tree::{Fault, Tree};

impl<'a> Recovery<'a> {
    pub(super) fn begin(tree: &'a mut Tree, plan: &'a Plan) -> Result<Self, Fault> {
        tree.expect_made(plan)?;
        let mut wanted: HashMap<InodeId, Vec<Place>> = HashMap::new();
        for ((parent, name), value) in plan.slots() {
            if let Some(id) = value {
                wanted.entry(*id).or_default().push(Place::new(*parent, name));
            }
        }
        Ok(Self { tree, plan, wanted, keep: plan.orphans().iter().copied().collect(), dirs: HashSet::new() })
    }

    pub(super) fn discover(&mut self) -> Result<(), Fault> {
        let mut queue = VecDeque::from([InodeId::ROOT]);
        for parent in [LIMBO_DIR, ORPHANS_DIR] {
            for id in self.aside(parent)? {
                if self.tree.has_fault(Planted::LimboForgotten) {
                    continue;
                }
                self.find(id, aside_place(parent, id), &mut queue)?;
                // An orphan that a lost record had reaped is in limbo.
                if self.was_orphan(id)? && !self.plan.dead().contains(&id) {
                    self.keep.insert(id);
                }
            }
        }
        let untouched = self.untouched_dirs()?;
        while let Some(dir) = queue.pop_front() {
            if !self.dirs.insert(dir) {
                continue;
            }
            for child in untouched.get(&dir).into_iter().flatten() {
                let place = self.tree.place_of(*child, &*self.tree.known("find", *child)?);
                if self.tree.occupant(&place)? == Some(Some(*child)) {
                    queue.push_back(*child);
                }
            }
            for name in self.touched_names(dir) {
                let place = Place::new(dir, &name);
                if let Some(Some(id)) = self.tree.occupant(&place)? {
                    self.find(id, place, &mut queue)?;
                }
            }
        }
        Ok(())
    }

    /// Notes where an inode is. Of several names of a file the first one found will do.
    fn find(&mut self, id: InodeId, place: Place, queue: &mut VecDeque<InodeId>) -> Result<(), Fault> {
        let dir = self.tree.index.get(id)?.is_some_and(|entry| entry.kind == FileKind::Dir);
        if let Some(first) = self.tree.found.get(&id) {
            if dir {
                let (first, second) = (self.tree.display(first), self.tree.display(&place));
                return Err(Fault::Twice { id, first, second });
            }
            return Ok(());
        }
        self.tree.found.insert(id, place);
        if dir {
            queue.push_back(id);
        }
        Ok(())
    }

    /// Directories above touched slots that are where the index says, by their parents.
    fn untouched_dirs(&self) -> Result<HashMap<InodeId, Vec<InodeId>>, Fault> {
        let mut below: HashMap<InodeId, Vec<InodeId>> = HashMap::new();
        let (mut seen, mut todo) = (HashSet::from([InodeId::ROOT]), Vec::new());
        todo.extend(self.plan.slots().keys().map(|(parent, _)| *parent));
        while let Some(dir) = todo.pop() {
            if !seen.insert(dir) || self.tree.found.contains_key(&dir) {
                continue;
            }
            let Some(entry) = self.tree.index.get(dir)? else { continue };
            if let Some(place) = self.untouched_place(&entry) {
                below.entry(place.parent).or_default().push(dir);
                todo.push(place.parent);
            }
        }
        Ok(below)
    }

    /// A place of the inode that no record touched: it is there still.
    pub(super) fn untouched_place<'e>(&self, entry: &'e Entry) -> Option<&'e Place> {
        entry.places.iter().find(|place| !self.touches(place))
    }

    /// Whether a record set the slot. A place in limbo, which a rebuilt index may have, is never to last.
    pub(super) fn touches(&self, place: &Place) -> bool {
        place.parent == LIMBO_DIR
            || self.plan.slots().contains_key(&(place.parent, Bytes::copy_from_slice(&place.name)))
    }

    fn touched_names(&self, dir: InodeId) -> Vec<Bytes> {
        let from = (dir, Bytes::new());
        let mine = self.plan.slots().range(from..).take_while(|((parent, _), _)| *parent == dir);
        mine.map(|((_, name), _)| name.clone()).collect()
    }

    /// Whether the checkpoint had the inode as an orphan.
    fn was_orphan(&self, id: InodeId) -> Result<bool, Fault> {
        if self.tree.has_fault(Planted::OrphansForgotten) {
            return Ok(false);
        }
        let entry = self.tree.index.get(id)?;
        Ok(entry.is_some_and(|e| e.places.is_empty()) && self.plan.made(id).is_none())
    }

    /// The inodes in limbo or among the orphans. What has no identity there was being made when the crash came: it goes.
    /// What has one and is not named by it was being made, too, and may hold data already: it gets its name.
    pub(super) fn aside(&mut self, parent: InodeId) -> Result<Vec<InodeId>, Fault> {
        let wrong = |e| Fault::system("list", self.tree.path_of(parent), e);
        let scan = self.tree.dir(parent)?.scan().map_err(wrong)?;
        let names: Vec<_> =
            names_of(parent, scan).and_then(Iterator::collect::<Result<_, _>>).map_err(wrong)?;
        let mut out = Vec::with_capacity(names.len());
        for name in names {
            let place = Place { parent, name };
            match self.tree.occupant(&place)?.flatten() {
                Some(id) if id.to_string().as_bytes() == &*place.name => out.push(id),
                Some(id) if *place.name == *NEW => {
                    self.tree.move_entry(id, &place, &aside_place(parent, id), false)?;
                    out.push(id);
                }
                _ => self.tree.remove_torn(&place)?,
            }
        }
        Ok(out)
    }
}

impl Tree {
    /// Makes room in the index for what the records made: the disk may have it.
    pub(super) fn expect_made(&mut self, plan: &Plan) -> Result<(), Fault> {
        for (id, made) in plan.makes() {
            if self.index.get(id)?.is_none() {
                let (version, ctime) = (Index::ZERO, Timestamp::default());
                let entry = Entry { kind: made.kind, version, ctime, places: Vec::new(), size: Some(0) };
                self.index.put(id, Arc::new(entry));
            }
        }
        Ok(())
    }
}

/// Where an inode is kept in limbo or among the orphans.
pub(in crate::tree) fn aside_place(parent: InodeId, id: InodeId) -> Place {
    Place::new(parent, id.to_string().as_bytes())
}
