//! The journal in a turn, syncs in the background, checkpoints.

use bytes::Bytes;
use rfs_core::consensus::api::Input;
use rfs_model::Index;
use rfs_model::config::Position;

use super::Running;
use crate::disk::Checkpoint;
use crate::outside::Item;

impl Running<'_> {
    /// Writes this turn's records: they survive the process from here on.
    pub fn flush_journal(&mut self) {
        if self.out.now < self.machine.full_until {
            return;
        }
        let batch = std::mem::take(&mut self.p.batch);
        let mut left = batch.into_iter();
        while let Some(record) = left.next() {
            if self.dies() {
                self.p.batch = std::iter::once(record).chain(left).collect();
                return;
            }
            self.out.history.number(u64::from(record.meta.crc()));
            self.disk.append(record);
            self.p.untold = true;
        }
    }

    pub fn report_journaled(&mut self) {
        if std::mem::take(&mut self.p.untold) {
            let upto = self.disk.last_position();
            self.step(Input::Journaled { upto });
        }
    }

    /// Of a record in the journal, or in this turn's batch.
    pub fn crc_at(&self, index: Index) -> Option<u32> {
        let waiting = || self.p.batch.iter().find(|record| record.meta.index == index);
        self.disk.crc_at(index).or_else(|| waiting().map(|record| record.meta.crc()))
    }

    pub fn sync_now(&mut self) {
        if std::mem::replace(&mut self.p.sync_busy, true) {
            self.p.sync_again = true;
            return;
        }
        let slow = self.out.now < self.machine.slow_until;
        let takes = self.out.rng.within(300, if slow { 400_000 } else { 4_000 });
        self.p.syncing = self.disk.last();
        self.out.item(takes, self.n, Item::Synced);
        let driver = self.out.setup.mutants.driver;
        if driver.synced_too_early || driver.impatient_sync && takes > 50_000 {
            self.p.inbox.push_back(Item::SyncedTooEarly { upto: self.disk.last() });
        }
    }

    pub fn synced(&mut self) {
        self.p.sync_busy = false;
        let upto = self.p.syncing;
        if let Some(term) = self.disk.term_at(upto) {
            self.disk.synced = self.disk.synced.max(upto);
            self.step(Input::Synced { upto: Position::new(term, upto) });
        }
        if std::mem::take(&mut self.p.sync_again) {
            self.sync_now();
        }
    }

    /// A planted fault: the report comes before the platter has it.
    pub fn synced_too_early(&mut self, upto: Index) {
        let upto = upto.min(self.disk.last());
        if let Some(term) = self.disk.term_at(upto) {
            self.step(Input::Synced { upto: Position::new(term, upto) });
        }
    }

    /// Begins a checkpoint at the applied index, unless one is under way.
    pub fn begin_checkpoint(&mut self) {
        let index = self.p.applied();
        let behind = self.p.torn || self.disk.tree_at != index || index <= self.disk.checkpoint.index;
        if self.p.checkpoint_busy || behind {
            return;
        }
        if self.disk.synced < index {
            return self.sync_now();
        }
        (self.p.checkpoint_busy, self.p.checkpoint_wanted) = (true, false);
        self.p.checkpoint_us = self.p.now;
        let state = Bytes::from(self.p.front.snapshot());
        let checkpoint = Box::new(Checkpoint { index, tree: self.disk.tree.clone(), state });
        let takes = self.out.rng.within(1_000, 60_000);
        let copies = self.p.copies;
        self.out.item(takes, self.n, Item::Checkpointed { checkpoint, copies });
    }

    pub fn checkpointed(&mut self, checkpoint: Checkpoint, copies: u64) {
        if copies != self.p.copies {
            return;
        }
        self.p.checkpoint_busy = false;
        if checkpoint.index <= self.disk.checkpoint.index {
            return;
        }
        self.disk.checkpoint = checkpoint;
        if let Some((least, most)) = self.out.setup.trims {
            let kept = self.out.rng.within(least, most);
            let base = Index(self.disk.checkpoint.index.0.saturating_sub(kept));
            // What a quorum may lose with its power, this brick may have to give it again.
            let base = base.min(self.p.core.watermarks().durable);
            self.disk.trim(base);
            let base = self.disk.base;
            self.step(Input::Trimmed { base });
        }
    }
}
