//! The steps of recovery on disk.

use rfs_core::converge::{Made, Occupant, Slot, Workbench};
use rfs_model::{FileKind, InodeId};
use rustix::fs::{AtFlags, statat};

use super::Recovery;
use super::discover::aside_place;
use crate::tree::entry::Place;
use crate::tree::handle::{Handle, kind_of};
use crate::tree::layout::{LIMBO_DIR, ORPHANS_DIR};
use crate::tree::listing::names_of;
use crate::tree::moves::NewNode;
use crate::tree::planted::Planted;
use crate::tree::resolve::orphan_place;
use crate::tree::{Fault, Tree};

/// A new inode in limbo that has no identity yet, or has just got it.
pub(super) const NEW: &[u8] = b".new";

fn place_at(slot: &Slot) -> Place {
    Place::new(slot.0, &slot.1)
}

impl Workbench for Recovery<'_> {
    type Error = Fault;

    fn occupant(&mut self, slot: &Slot) -> Result<Occupant, Fault> {
        if !self.dirs.contains(&slot.0) {
            return Ok(Occupant::Nobody);
        }
        Ok(match self.tree.occupant(&place_at(slot))? {
            None => Occupant::Nobody,
            Some(None) if self.tree.has_fault(Planted::TornIgnored) => Occupant::Nobody,
            Some(None) => Occupant::Torn,
            Some(Some(id)) => Occupant::Is(id),
        })
    }

    fn remove_torn(&mut self, slot: &Slot) -> Result<(), Fault> {
        self.tree.remove_torn(&place_at(slot))
    }

    fn to_limbo(&mut self, slot: &Slot, id: InodeId) -> Result<(), Fault> {
        let (place, limbo) = (place_at(slot), aside_place(LIMBO_DIR, id));
        if self.tree.has_fault(Planted::WrongOccupantsRemoved) {
            let dir = self.tree.is_dir(&place)?;
            return self.tree.remove_entry(&place, dir);
        }
        if self.tree.occupant(&limbo)?.is_some() {
            self.tree.remove_entry(&place, false)?;
        } else {
            self.tree.move_entry(id, &place, &limbo, false)?;
        }
        self.tree.found.insert(id, limbo);
        Ok(())
    }

    fn exists(&mut self, id: InodeId) -> Result<bool, Fault> {
        if self.tree.found.contains_key(&id) {
            return Ok(true);
        }
        let Some(entry) = self.tree.index.get(id)? else { return Ok(false) };
        let Some(place) = self.untouched_place(&entry).cloned() else { return Ok(false) };
        let there = self.tree.occupant(&place)? == Some(Some(id));
        if there {
            self.tree.found.insert(id, place);
        }
        Ok(there)
    }

    fn create_in_limbo(&mut self, id: InodeId, made: &Made) -> Result<(), Fault> {
        let (temp, limbo) = (Place::new(LIMBO_DIR, NEW), aside_place(LIMBO_DIR, id));
        let Made { kind, mode, rdev, ref target, .. } = *made;
        self.tree.make_node(&temp, &NewNode { id, kind, mode, rdev, target })?;
        self.tree.move_entry(id, &temp, &limbo, false)?;
        self.tree.found.insert(id, limbo);
        if kind == FileKind::Dir {
            self.dirs.insert(id);
        }
        Ok(())
    }

    fn place(&mut self, id: InodeId, slot: &Slot) -> Result<(), Fault> {
        let place = place_at(slot);
        let entry = self.tree.known("place", id)?;
        let from = self.tree.place_of(id, &entry);
        if entry.kind == FileKind::Dir {
            self.tree.move_entry(id, &from, &place, false)?;
        } else {
            self.tree.link_entry(id, &from, &place)?;
        }
        self.tree.found.insert(id, place);
        Ok(())
    }

    fn limbo(&mut self) -> Result<Vec<InodeId>, Fault> {
        if self.tree.has_fault(Planted::LimboKept) {
            return Ok(Vec::new());
        }
        let mut all = self.aside(LIMBO_DIR)?;
        all.extend(self.aside(ORPHANS_DIR)?);
        Ok(all)
    }

    fn has_name(&mut self, id: InodeId) -> Result<bool, Fault> {
        let untouched = self.tree.index.get(id)?.and_then(|entry| self.untouched_place(&entry).cloned());
        let wanted = self.wanted.get(&id).and_then(|places| places.first()).cloned();
        for place in untouched.into_iter().chain(wanted) {
            if self.tree.occupant(&place)? == Some(Some(id)) {
                self.tree.found.insert(id, place);
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn remove_from_limbo(&mut self, id: InodeId) -> Result<(), Fault> {
        if self.plan.dead().contains(&id) {
            self.tree.forget(id);
        }
        for place in [aside_place(LIMBO_DIR, id), orphan_place(id)] {
            if self.tree.occupant(&place)?.is_some() {
                let dir = self.tree.is_dir(&place)?;
                self.tree.remove_entry(&place, dir)?;
            }
        }
        Ok(())
    }
}

impl Recovery<'_> {
    /// Orphans that became so in the records, from limbo to their own directory.
    pub(super) fn house_orphans(&mut self) -> Result<(), Fault> {
        if self.tree.has_fault(Planted::OrphansNotHoused) {
            return Ok(());
        }
        for id in self.aside(LIMBO_DIR)? {
            if self.keep.contains(&id) {
                let limbo = aside_place(LIMBO_DIR, id);
                if self.tree.occupant(&orphan_place(id))?.is_some() {
                    self.tree.remove_entry(&limbo, false)?;
                } else {
                    self.tree.move_entry(id, &limbo, &orphan_place(id), false)?;
                }
            }
        }
        Ok(())
    }
}

impl Tree {
    /// Removes an inode whose creation was torn. It is empty, since its identity comes before anything else; what is not
    /// empty is somebody else's and is set aside.
    pub(in crate::tree) fn remove_torn(&self, place: &Place) -> Result<(), Fault> {
        let parent = self.dir(place.parent)?;
        let wrong = |e| Fault::system("stat", self.display(place), e);
        let stat = statat(parent.fd(), &*place.name, AtFlags::SYMLINK_NOFOLLOW).map_err(wrong)?;
        let torn = match kind_of(&stat) {
            Some(FileKind::File) => stat.st_size == 0,
            Some(FileKind::Dir) => Handle::open_dir(parent.fd(), &place.name)
                .and_then(|dir| dir.scan())
                .and_then(|fd| names_of(InodeId::NIL, fd)?.next().transpose())
                .map_err(wrong)?
                .is_none(),
            _ => true,
        };
        if !torn {
            let path = || self.display(place);
            return if self.clear_foreign(place)? { Ok(()) } else { Err(Fault::InTheWay { path: path() }) };
        }
        self.remove_entry(place, kind_of(&stat) == Some(FileKind::Dir))
    }

    fn is_dir(&self, place: &Place) -> Result<bool, Fault> {
        let stat = statat(self.dir(place.parent)?.fd(), &*place.name, AtFlags::SYMLINK_NOFOLLOW);
        let stat = stat.map_err(|e| Fault::system("stat", self.display(place), e))?;
        Ok(kind_of(&stat) == Some(FileKind::Dir))
    }
}
