//! Sizes of files as records made them, kept in the index: a file that is shorter was cut by nobody's record.
//!
//! Unlike sums, a size is known from the record on. So is what is missing of a file that was cut, whether its blocks have
//! sums or not: nobody is given zeros, or an end, in the place of it.

use rfs_model::{FileKind, InodeId};

use super::blocks::Blocks;
use super::chunk::BLOCK;
use crate::tree::{Entry, Fault, Tree};

/// Blocks of a file that was cut which are marked at once: 256 MiB. The others are marked when somebody comes to them.
const MARKED: u64 = 64 * 1024;

impl Tree {
    /// A record, or a copy, gives a file data up to `end`.
    pub(in crate::tree) fn note_end(&self, id: InodeId, end: u64) -> Result<(), Fault> {
        let Some(entry) = self.index.get(id)? else { return Ok(()) };
        if self.made_size(id, &entry).is_some_and(|made| made < end) {
            self.note_size(id, end);
        }
        Ok(())
    }

    /// A record, or a copy, gives a file this size.
    pub(in crate::tree) fn note_size(&self, id: InodeId, size: u64) {
        self.settling.borrow_mut().sizes.insert(id, size);
    }

    /// A file whose size the index does not know (it is older, or was made again) has the right one, as far as can be told.
    pub(super) fn believe_size(&self, id: InodeId, found: u64) -> Result<(), Fault> {
        let Some(entry) = self.index.get(id)? else { return Ok(()) };
        if entry.kind == FileKind::File && self.made_size(id, &entry).is_none() {
            self.note_size(id, found);
        }
        Ok(())
    }

    /// Puts what was noted into the index.
    pub(in crate::tree) fn keep_sizes(&mut self) -> Result<(), Fault> {
        if self.settling.get_mut().sizes.is_empty() {
            return Ok(());
        }
        for (id, size) in std::mem::take(&mut self.settling.get_mut().sizes) {
            self.index.update(id, |entry| entry.size = Some(size))?;
        }
        Ok(())
    }

    /// The size that records gave a file; `None` where nobody has looked yet.
    pub(super) fn made_size(&self, id: InodeId, entry: &Entry) -> Option<u64> {
        self.settling.borrow().sizes.get(&id).copied().or(entry.size)
    }

    /// As [`Tree::made_size`], when a file can be held to it.
    pub(super) fn wanted_size(&self, id: InodeId, entry: &Entry) -> Option<u64> {
        let settling = self.settling.borrow();
        if settling.off || settling.recovering || self.is_doubtful(id) {
            return None;
        }
        drop(settling);
        self.made_size(id, entry)
    }

    /// The size of a file that is `found` long on disk. What it lacks is marked as rotten, and will come from another brick.
    pub(in crate::tree) fn whole_size(&self, id: InodeId, entry: &Entry, found: u64) -> Result<u64, Fault> {
        let Some(made) = self.wanted_size(id, entry) else { return Ok(found) };
        if found >= made {
            self.settling.borrow_mut().cut.remove(&id);
            return Ok(found);
        }
        let from = found / BLOCK;
        let marked = self.settling.borrow().cut.get(&id).is_some_and(|marked| marked.contains(&from));
        if !marked {
            let upto = made.div_ceil(BLOCK).min(from + MARKED);
            self.settling.borrow_mut().cut.insert(id, from..upto);
            let mut bad = Blocks::default();
            bad.add(from..upto);
            self.rot(id, bad, "behind the end of the file, which was cut")?;
        }
        Ok(made)
    }

    /// A fault if a file is shorter than it was made.
    pub(in crate::tree) fn check_size(&self, id: InodeId, entry: &Entry, found: u64) -> Result<(), Fault> {
        if self.whole_size(id, entry, found)? == found {
            return Ok(());
        }
        let mut bad = Blocks::default();
        bad.add(found / BLOCK..found / BLOCK + 1);
        Err(self.rot(id, bad, "behind the end of the file, which was cut")?)
    }
}
