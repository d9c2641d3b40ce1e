//! Names given, taken away and moved.

use std::sync::Arc;

use rfs_model::op::Fate;
use rfs_model::{FileKind, InodeId};

use super::slow::Leftover;
use crate::tree::converge::aside_place;
use crate::tree::entry::{Entry, Place};
use crate::tree::layout::LIMBO_DIR;
use crate::tree::resolve::orphan_place;
use crate::tree::{Fault, Tree};

impl Tree {
    pub(super) fn link(&mut self, id: InodeId, parent: InodeId, name: &[u8]) -> Result<(), Fault> {
        let entry = self.known("link", id)?;
        let place = Place::new(parent, name);
        let from = self.place_of(id, &entry);
        // While somebody holds it, a change of it copies all its places.
        drop(entry);
        self.link_entry(id, &from, &place)?;
        self.index.update(id, |entry| entry.add_place(place))?;
        Ok(())
    }

    pub(super) fn unlink(
        &mut self,
        id: InodeId,
        parent: InodeId,
        name: &[u8],
        fate: Fate,
    ) -> Result<Option<Leftover>, Fault> {
        let place = Place::new(parent, name);
        let entry = self.named("unlink", id, &place)?;
        if fate == Fate::Stays {
            drop(entry);
            self.remove_entry(&place, false)?;
            self.index.update(id, |entry| entry.remove_place(parent, name))?;
            return Ok(None);
        }
        self.lose_last(id, &entry, &place, fate)
    }

    /// The last name of an inode goes: it is kept as an orphan, or it dies.
    fn lose_last(
        &mut self,
        id: InodeId,
        entry: &Entry,
        place: &Place,
        fate: Fate,
    ) -> Result<Option<Leftover>, Fault> {
        if fate == Fate::Orphan {
            self.move_entry(id, place, &orphan_place(id), false)?;
            self.index.update(id, |entry| entry.places.clear())?;
            return Ok(None);
        }
        let big = self.is_big(id, entry)?;
        let leftover = if big || self.may_come_back() {
            let limbo = aside_place(LIMBO_DIR, id);
            if entry.kind == FileKind::Dir {
                self.clear_foreign_in(place)?;
            }
            self.move_entry(id, place, &limbo, true)?;
            self.dies_later(&limbo, big)
        } else {
            self.remove_entry(place, entry.kind == FileKind::Dir)?;
            None
        };
        self.forget(id);
        self.index.remove(id);
        Ok(leftover)
    }

    pub(super) fn rename(
        &mut self,
        id: InodeId,
        from: (InodeId, &[u8]),
        to: (InodeId, &[u8]),
        replaced: InodeId,
        fate: Fate,
    ) -> Result<Option<Leftover>, Fault> {
        let (from, to) = (Place::new(from.0, from.1), Place::new(to.0, to.1));
        self.named("rename", id, &from)?;
        let leftover = match replaced {
            InodeId::NIL => {
                self.move_entry(id, &from, &to, false)?;
                None
            }
            same if same == id => {
                self.named("rename over", id, &to)?;
                self.remove_entry(&from, false)?;
                None
            }
            other => self.rename_over(id, &from, &to, other, fate)?,
        };
        self.index.update(id, |entry| {
            entry.remove_place(from.parent, &from.name);
            entry.add_place(to);
        })?;
        Ok(leftover)
    }

    fn rename_over(
        &mut self,
        id: InodeId,
        from: &Place,
        to: &Place,
        replaced: InodeId,
        fate: Fate,
    ) -> Result<Option<Leftover>, Fault> {
        let old = self.named("rename over", replaced, to)?;
        match fate {
            Fate::Stays => {
                drop(old);
                self.move_entry(id, from, to, true)?;
                self.index.update(replaced, |entry| entry.remove_place(to.parent, &to.name))?;
                Ok(None)
            }
            Fate::Dies if old.kind != FileKind::Dir || !self.may_come_back() => {
                // Who looks into the brick's directory sees one of them at any time.
                let big = self.is_big(replaced, &old)?;
                let leftover = if big || self.may_come_back() {
                    let limbo = aside_place(LIMBO_DIR, replaced);
                    self.link_entry(replaced, to, &limbo)?;
                    self.dies_later(&limbo, big)
                } else {
                    None
                };
                self.forget(replaced);
                self.move_entry(id, from, to, true)?;
                self.index.remove(replaced);
                Ok(leftover)
            }
            _ => {
                let leftover = self.lose_last(replaced, &old, to, fate)?;
                self.move_entry(id, from, to, false)?;
                Ok(leftover)
            }
        }
    }

    pub(super) fn exchange(
        &mut self,
        a: (InodeId, InodeId, &[u8]),
        b: (InodeId, InodeId, &[u8]),
    ) -> Result<(), Fault> {
        let (from, to) = (Place::new(a.1, a.2), Place::new(b.1, b.2));
        let one = self.named("exchange", a.0, &from)?;
        let other = self.named("exchange", b.0, &to)?;
        let dirs = one.kind == FileKind::Dir || other.kind == FileKind::Dir;
        if dirs && from.parent != to.parent {
            // xfs sets the mtime of a directory that is exchanged to another parent, but not of one that is moved.
            let limbo = Place::new(LIMBO_DIR, a.0.to_string().as_bytes());
            self.move_entry(a.0, &from, &limbo, false)?;
            self.move_entry(b.0, &to, &from, false)?;
            self.move_entry(a.0, &limbo, &to, false)?;
        } else {
            self.exchange_entries((&from, a.0), (&to, b.0))?;
        }
        for (id, old, new) in [(a.0, &from, &to), (b.0, &to, &from)] {
            self.index.update(id, |entry| entry.remove_place(old.parent, &old.name))?;
            self.index.update(id, |entry| entry.add_place(new.clone()))?;
        }
        Ok(())
    }

    pub(super) fn reap(&mut self, id: InodeId) -> Result<Option<Leftover>, Fault> {
        let entry = self.known("reap", id)?;
        if id == InodeId::ROOT || !entry.places.is_empty() {
            return Err(Fault::Place { doing: "reap", id, path: self.display(&orphan_place(id)) });
        }
        self.lose_last(id, &entry, &orphan_place(id), Fate::Dies)
    }

    /// The entry of an inode that has a name, according to the record, to the index, and to the disk.
    fn named(&self, doing: &'static str, id: InodeId, place: &Place) -> Result<Arc<Entry>, Fault> {
        let entry = self.known(doing, id)?;
        if !entry.has(place.parent, &place.name) {
            return Err(Fault::Place { doing, id, path: self.display(place) });
        }
        self.check_place(place, id)?;
        Ok(entry)
    }
}
