//! The index after the names are true; and the strays, which no record explains.

use std::sync::Arc;

use rfs_model::{InodeId, Timestamp};

use super::Recovery;
use super::discover::aside_place;
use crate::tree::entry::Place;
use crate::tree::layout::LIMBO_DIR;
use crate::tree::planted::Planted;
use crate::tree::resolve::orphan_place;
use crate::tree::{Fault, Tree};

impl Recovery<'_> {
    /// Entries of all that the records touched: places that no record set stay, the others are the plan's.
    pub(super) fn settle(&mut self) -> Result<(), Fault> {
        for id in self.plan.dead() {
            self.tree.forget(*id);
            self.tree.index.remove(*id);
        }
        for (id, touch) in self.plan.touched() {
            let mut entry = self.tree.known("settle", id)?;
            let stays = |place: &Place| !self.touches(place) || self.tree.has_fault(Planted::PlacesKept);
            let mut places: Vec<Place> = self.wanted.get(&id).cloned().unwrap_or_default();
            places.extend(entry.places.iter().filter(|place| stays(place)).cloned());
            places.sort_unstable();
            let new = Arc::make_mut(&mut entry);
            (new.version, new.ctime, new.places) = (touch.version, touch.ctime, places);
            self.tree.index.put(id, entry);
        }
        Ok(())
    }
}

impl Tree {
    /// Puts strays that the index knows back to their places, where those are free.
    pub(super) fn return_strays(&mut self, strays: &[InodeId]) -> Result<(), Fault> {
        for id in strays {
            let Some(entry) = self.index.get(*id)? else { continue };
            let mut from = aside_place(LIMBO_DIR, *id);
            if self.occupant(&from)?.is_none() {
                from = orphan_place(*id);
            }
            // A directory has one place, and a file that is put back to one of its places has the others still.
            if let Some(place) = entry.places.first()
                && self.occupant(place)?.is_none()
            {
                let parent = self.dir(place.parent)?;
                let stat = parent.stat().map_err(|e| Fault::system("stat", self.display(place), e))?;
                self.move_entry(*id, &from, place, false)?;
                let mtime = Timestamp { secs: stat.st_mtime, nanos: stat.st_mtime_nsec as u32 };
                self.set_later(place.parent, crate::tree::times::Times { atime: None, mtime: Some(mtime) });
            }
        }
        Ok(())
    }
}
