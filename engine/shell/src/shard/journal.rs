//! The journal in a turn: one write, then word of it; syncs in the background and on demand.

use std::rc::Rc;

use rfs_core::consensus::api::Input;
use rfs_model::Index;
use rfs_model::config::Position;
use rfs_model::options::SyncMode;

use super::{Event, Inner, Shard, TreeState};
use crate::journal::JournalError;

/// What is being synced.
#[derive(Default)]
pub(crate) struct Syncing {
    busy: bool,
    /// Somebody asked while one was under way.
    again: bool,
    last_us: u64,
    /// Written and not yet told to the core.
    untold: bool,
    /// The disk was full when it was tried last.
    full: bool,
    /// Only what is synced counts as written.
    pub strict: bool,
}

impl Inner {
    /// Whether only what is synced counts as written: because the volume has it so, or because this brick alone holds what
    /// several mounts tell each other.
    ///
    /// What a brick alone loses with its power, its mounts send again, each in its own order: a lock that one gave to
    /// another, or a file that one closed and another opened, made an order between them that would be lost. With a second
    /// brick in sync, that has it.
    fn is_strict(&self) -> bool {
        let alone = || self.core.config().record.configs().any(|config| config.in_sync.len() == 1);
        let shared = || self.front.is_leading() && self.mounts.sessions() > 1;
        self.options.sync == SyncMode::Always || shared() && alone()
    }

    /// From here on it is as [`Inner::is_strict`] says.
    pub(super) fn review_sync(&mut self, shard: &Rc<Shard>) {
        let strict = self.is_strict();
        if std::mem::replace(&mut self.syncing.strict, strict) == strict {
            return;
        }
        self.core.retime(&self.timing());
        if strict {
            // That includes what was written before.
            self.sync_now(shard);
        } else {
            self.syncing.untold = true;
        }
    }

    /// Writes this turn's records: they survive the process from here on.
    pub(crate) fn flush_journal(&mut self, shard: &Rc<Shard>, _now_us: u64) {
        if self.batch.is_empty() {
            return;
        }
        self.review_sync(shard);
        let before = self.journal.last().index;
        let result = self.journal.append(&self.batch);
        let written = (self.journal.last().index.0 - before.0) as usize;
        self.batch.drain(..written);
        self.syncing.untold |= written > 0;
        match result {
            Ok(()) => self.syncing.full = false,
            Err(e) if e.is_full() => {
                // Nothing is lost: what is not written is not acknowledged, and is tried again at the next tick.
                if !std::mem::replace(&mut self.syncing.full, true) {
                    tracing::warn!("the log cannot grow: {e}");
                }
            }
            Err(e) => self.fail(format!("cannot write the log: {e}")),
        }
        if self.syncing.strict && written > 0 {
            self.sync_now(shard);
        }
    }

    /// Tells the core what was written.
    pub(super) fn report_journaled(&mut self, shard: &Rc<Shard>, now_us: u64) {
        if self.syncing.strict || !std::mem::take(&mut self.syncing.untold) {
            return;
        }
        let upto = self.written();
        self.step(shard, now_us, Input::Journaled { upto });
    }

    fn written(&self) -> Position {
        let last = self.journal.last();
        Position::new(last.term, last.index)
    }

    pub(super) fn tick_sync(&mut self, shard: &Rc<Shard>, now_us: u64) {
        let SyncMode::Interval(ms) = self.options.sync else { return };
        if !self.syncing.strict
            && self.journal.synced() < self.journal.last().index
            && now_us.saturating_sub(self.syncing.last_us) >= ms * 1000
        {
            self.syncing.last_us = now_us;
            self.sync_now(shard);
        }
    }

    pub(crate) fn sync_now(&mut self, shard: &Rc<Shard>) {
        if std::mem::replace(&mut self.syncing.busy, true) {
            self.syncing.again = true;
            return;
        }
        let sync = self.journal.sync_start();
        let inbox = Rc::clone(&shard.inbox);
        glommio::spawn_local(async move { inbox.push(Event::Synced(sync.await)) }).detach();
    }

    pub(super) fn synced(&mut self, shard: &Rc<Shard>, now_us: u64, result: Result<Index, JournalError>) {
        self.syncing.busy = false;
        let upto = match result {
            Ok(upto) => upto.min(self.journal.last().index),
            Err(e) => return self.fail(format!("cannot sync the log: {e}")),
        };
        if let Some(term) = self.journal.term_at(upto) {
            let upto = Position::new(term, upto);
            if self.syncing.strict {
                self.step(shard, now_us, Input::Journaled { upto });
            }
            self.step(shard, now_us, Input::Synced { upto });
        }
        self.checkpoint_log_synced(shard, upto);
        if std::mem::take(&mut self.converge_when_synced) && matches!(self.tree, TreeState::Torn(_)) {
            self.start_converge(shard);
        }
        if std::mem::take(&mut self.syncing.again) {
            self.sync_now(shard);
        }
    }
}
