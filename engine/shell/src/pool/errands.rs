//! What was decided here and others must still be told: delivered at once, or when the node is back.

use std::rc::Rc;

use rfs_model::admin::Request;
use rfs_model::ids::{NodeId, VolumeId};

use super::file::{Errand, Verdict};
use super::service::{Pool, WORK};

impl Pool {
    /// Delivers what waits for `node`, but for volumes that are being worked on. What fails is kept, and logged.
    pub(super) async fn run_errands(self: &Rc<Self>, node: NodeId) {
        let busy = self.busy.borrow().clone();
        let waiting: Vec<Errand> = self
            .file()
            .errands
            .iter()
            .filter(|e| e.to == node && !busy.contains(&e.volume))
            .copied()
            .collect();
        for errand in waiting {
            if let Err(why) = self.deliver(errand).await {
                tracing::warn!(%node, "{} has not been told yet ({:?}): {why}", self.name_of(node), errand.verdict);
            }
        }
    }

    /// Delivers all errands of one volume, and gives what went wrong, in one line each.
    pub(super) async fn run_errands_of(self: &Rc<Self>, volume: VolumeId) -> Vec<String> {
        let waiting: Vec<Errand> =
            self.file().errands.iter().filter(|e| e.volume == volume).copied().collect();
        let mut problems = Vec::new();
        for errand in waiting {
            problems.extend(self.deliver(errand).await.err());
        }
        problems
    }

    async fn deliver(self: &Rc<Self>, errand: Errand) -> Result<(), String> {
        let volume = errand.volume;
        let request = match errand.verdict {
            Verdict::Abort => Request::Abort { volume },
            Verdict::Delete => Request::DeleteBrick { volume },
            Verdict::Leave => Request::Leave,
            Verdict::Commit => {
                let entry = self.file().pool.volumes.get(&volume).cloned();
                Request::Commit { volume, entry: entry.ok_or("the volume is gone")? }
            }
        };
        self.tell_named(errand.to, request, WORK).await?;
        self.update(|file| file.errands.retain(|e| *e != errand)).await
    }
}

/// Marks a volume as being worked on, for as long as it lives.
pub(super) struct Busy {
    pool: Rc<Pool>,
    volume: VolumeId,
}

impl Busy {
    pub(super) fn new(pool: &Rc<Pool>, volume: VolumeId) -> Self {
        pool.busy.borrow_mut().insert(volume);
        Self { pool: Rc::clone(pool), volume }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.pool.busy.borrow_mut().remove(&self.volume);
    }
}
