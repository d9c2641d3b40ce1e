//! The log's part of a scrub, and what is done about a log that has rotted behind the checkpoint.
//!
//! A start reads no segment that a checkpoint has passed: its records are there for followers only. So a scrub reads all of
//! them. One that is damaged is let go with those before it, and a follower that would need them gets a copy.

use std::rc::Rc;

use rfs_model::{Index, InodeId, Record};

use super::{Event, Inner, Shard};
use crate::journal::JournalError;

/// Read at once, bytes.
const STRETCH_BYTES: usize = 1024 * 1024;

impl Inner {
    /// Reads the next records of the log from the disk; false when all have been read.
    pub(super) fn scrub_log(&mut self, shard: &Rc<Shard>) -> bool {
        let from = self.scrub.log.max(self.journal.base().index).next();
        // What is younger is read at the next start.
        if from > self.checkpoint.index {
            return false;
        }
        self.scrub.busy = true;
        let read = self.journal.read_disk(from, STRETCH_BYTES);
        let inbox = Rc::clone(&shard.inbox);
        glommio::spawn_local(async move {
            inbox.push(Event::LogScrubbed(read.await));
        })
        .detach();
        true
    }

    pub(super) fn log_scrubbed(
        &mut self,
        shard: &Rc<Shard>,
        now_us: u64,
        read: Result<Vec<Record>, JournalError>,
    ) {
        self.scrub.busy = false;
        match read {
            Ok(records) => {
                let bytes = records.iter().map(|record| record.meta.stored_bytes() as u64).sum::<u64>();
                self.scrub.log = records.last().map_or(Index(u64::MAX - 1), |record| record.meta.index);
                self.scrub.spent(now_us, bytes, self.options.scrub_rate_bytes);
            }
            // It has been let go of meanwhile.
            Err(JournalError::NotHeld { .. }) => {}
            Err(e) if self.let_go_of_log(shard, now_us, &e) => {}
            Err(e) => {
                tracing::error!("rot: {e}");
                self.scrub.note(InodeId::NIL, e.to_string());
                self.scrub.log = Index(u64::MAX - 1);
            }
        }
    }

    /// Whether the log goes on without the records that are damaged.
    pub(super) fn let_go_of_log(&mut self, shard: &Rc<Shard>, now_us: u64, e: &JournalError) -> bool {
        let JournalError::Damaged { index, .. } = e else { return false };
        let before = self.journal.base().index;
        self.journal.give_up(*index);
        let now = self.journal.base();
        if now.index > before {
            let base = rfs_model::config::Position::new(now.term, now.index);
            self.step(shard, now_us, rfs_core::consensus::api::Input::Trimmed { base });
        }
        if now.index < *index {
            return false;
        }
        tracing::error!("rot: {e}: the log is let go of up to record {}, which the tree has", now.index);
        true
    }
}
