//! The summer: files that have not changed for a while get sums, in the background.

use std::rc::Rc;

use super::{Event, Inner, Shard, TreeState};
use crate::tree::{Fault, Summed};

/// Bytes a second that are read for sums at the most: mostly from memory, since they were written seconds ago.
const RATE: u64 = 64 * 1024 * 1024;

#[derive(Default)]
pub(crate) struct Summing {
    /// When the next job may begin.
    free_us: u64,
}

impl Inner {
    pub(super) fn tick_sums(&mut self, shard: &Rc<Shard>, now_us: u64) {
        let TreeState::Ready(tree) = &self.tree else { return };
        tree.tell_time(now_us, self.options.checksums);
        // While the slow part of a record runs on a thread, the file that it changes holds neither the old nor the new.
        if now_us < self.summing.free_us || self.feed.is_busy() || self.leaving {
            return;
        }
        let job = match tree.sum_job() {
            Ok(Some(job)) => job,
            Ok(None) => return,
            Err(e) => return self.fail(e.to_string()),
        };
        self.summing.free_us = now_us + job.bytes() * 1_000_000 / RATE;
        let inbox = Rc::clone(&shard.inbox);
        glommio::spawn_local(async move {
            inbox.push(Event::Summed(glommio::executor().spawn_blocking(move || job.run()).await));
        })
        .detach();
    }

    pub(super) fn summed(&mut self, result: Result<Summed, Fault>) {
        let TreeState::Ready(tree) = &self.tree else { return };
        let done = match result {
            Ok(done) => tree.sums_done(Some(done)),
            Err(e) => {
                tracing::warn!("a file gets no sums: {e}");
                tree.sums_done(None)
            }
        };
        if let Err(e) = done {
            self.fail(e.to_string());
        }
    }
}
