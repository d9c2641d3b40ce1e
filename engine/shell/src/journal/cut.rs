//! Shortening the log: an uncommitted tail goes, or everything does.

use rfs_model::segment::Start;
use rfs_model::{Index, Term};

use super::Journal;
use super::disk::Result;
use super::error::JournalError;
use super::keeper::Job;
use super::log::Log;
use super::position::Position;
use super::runs::Runs;

impl Journal {
    /// Makes `index` the last record. On return the records behind it never come back, not after a power cut either.
    /// Those up to `index` are as durable as they were. Blocks for one or two small synchronous writes, and some more
    /// when no spare segment is ready: for a change of leaders, not for the way of a write.
    ///
    /// Also the way to accept a loss: cutting at [`Journal::last`] ends the state that [`super::Recovered::rot`] showed.
    ///
    /// # Errors
    /// [`super::JournalError::NotHeld`] below the base or behind the end. [`super::JournalError::Io`]; a full disk leaves
    /// all as it was.
    ///
    /// # Panics
    /// When the index was released: what is in a checkpoint was committed, and is never cut.
    pub fn truncate_after(&mut self, index: Index) -> Result<()> {
        let mut log = self.log.borrow_mut();
        log.usable()?;
        if index < log.base.index || index > log.last.index {
            return Err(log.not_held(index));
        }
        if index == log.last.index && log.floor <= index {
            return Ok(());
        }
        assert!(index >= log.released.min(log.last.index), "cut at {index}, released up to {}", log.released);
        let at = log.position(index)?;
        let blank = log.take_blank()?;
        log.floor = Index::ZERO;
        log.begin(Start::Cut, at, blank)?;
        log.drop_aside();
        log.top_up();
        Ok(())
    }

    /// Drops the whole log: the next record is `index + 1` and chains to `chain`. For a learner whose tree was copied as
    /// a whole. Durable on return; a crash in between leaves the old log or the new, empty one. Blocks for some
    /// fdatasyncs.
    ///
    /// # Errors
    /// [`super::JournalError::Io`]; a full disk leaves all as it was. [`JournalError::NoSuchBase`]: nothing has changed.
    pub fn set_base(&mut self, index: Index, term: Term, chain: u32) -> Result<()> {
        // A header that says so would be taken for a damaged one at the next start.
        if !term.is_believable() || (index == Index::ZERO && (term, chain) != (Term::ZERO, 0)) {
            return Err(JournalError::NoSuchBase { index, term, chain });
        }
        let mut log = self.log.borrow_mut();
        log.usable()?;
        let at = Position { index, term, chain };
        // A new file, since records in a spare may have indexes that are still to come in this log.
        let blank = log.first_blank()?;
        log.floor = Index::ZERO;
        log.begin(Start::Reset, at, blank)?;
        log.base = at;
        log.last = at;
        log.synced = index;
        log.released = index;
        log.runs = Runs::starting(index, term);
        log.top_up();
        Ok(())
    }
}

impl Log {
    fn position(&self, index: Index) -> Result<Position> {
        if index == self.last.index {
            return Ok(self.last);
        }
        if index == self.base.index {
            return Ok(self.base);
        }
        if let Some(record) = self.cache.get(index) {
            return Ok(Position::of(&record.meta));
        }
        let holder = self.holder(index).ok_or_else(|| self.not_held(index))?;
        holder.find(index).map(|(meta, _)| Position::of(&meta))
    }

    /// Where the record `index` ends in the segment that holds it; 0 when that is the base.
    pub(super) fn end_of(&self, index: Index) -> Result<u64> {
        let Some(holder) = self.holder(index) else { return Ok(0) };
        if holder.last() == index {
            return Ok(holder.state.borrow().end);
        }
        holder.find(index).map(|(meta, offset)| offset + meta.stored_bytes() as u64)
    }

    /// A durable header says that the log was cut at `at`, whose record ends at `end`.
    pub(super) fn void_after(&mut self, at: Position, end: u64) {
        while self.segments.back().is_some_and(|s| s.header.first > at.index) {
            let Some(segment) = self.segments.pop_back() else { break };
            let keep = self.floor > self.synced;
            if keep {
                let copy_path = segment.copy.borrow().path().to_owned();
                self.aside.push((segment.path.clone(), copy_path));
            } else {
                self.retire(segment, true);
            }
        }
        if let Some(holder) = self.segments.back() {
            holder.cut(at.index, end);
        }
        self.last = at;
        self.synced = self.synced.min(at.index);
        self.runs.truncate_after(at.index);
        self.cache.truncate_after(at.index);
        self.syncs.cut(at.index);
        self.cuts += 1;
    }

    /// A durable header says that the log begins anew.
    pub(super) fn void_all(&mut self) {
        self.resets += 1;
        self.cuts += 1;
        self.drop_aside();
        self.retired.iter_mut().for_each(|(_, zero)| *zero = true);
        for segment in std::mem::take(&mut self.segments) {
            self.retire(segment, true);
        }
        for spare in std::mem::take(&mut self.spares) {
            let slot = Box::new(spare.slot);
            self.keeper.send(Job::Recycle { slot, zero: true, resets: self.resets });
        }
        self.cache.clear();
        self.syncs.cut(Index::ZERO);
    }

    /// What was kept because of damage is not needed any more.
    pub(super) fn drop_aside(&mut self) {
        for (path, copy_path) in std::mem::take(&mut self.aside) {
            self.keeper.send(Job::Remove { path, copy_path });
        }
    }
}
