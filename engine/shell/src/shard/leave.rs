//! The end of a brick in good order: handed over, drained, synced, checkpointed, marked clean.

use std::rc::Rc;

use super::{End, Inner, Shard, life};

impl Inner {
    /// How the shard ended, once the leave is over and everything of it is on the disk.
    pub(super) fn closed(&mut self, shard: &Rc<Shard>) -> Option<End> {
        let (clean, last) = self.leave_done?;
        if !clean {
            return Some(End::Hasty);
        }
        if last {
            // All of S: nobody else takes what is on its way, so it is finished here.
            self.mounts.dismiss_all(&rfs_model::client::ToMount::NotLeader);
        }
        let log_synced = self.journal.synced() >= self.journal.last().index && self.batch.is_empty();
        if !log_synced {
            self.sync_now(shard);
            return None;
        }
        if self.applied() < self.committed {
            return None;
        }
        if !self.is_checkpointed() {
            self.want_checkpoint();
            return None;
        }
        match life::end_clean(&shard.path) {
            Ok(()) => Some(End::Clean),
            Err(e) => Some(End::Failed(e.to_string())),
        }
    }
}
