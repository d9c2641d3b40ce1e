//! Leases that others wait for: see [`lease`](super::lease).

use std::collections::{BTreeMap, BTreeSet};

use rfs_model::limits::BELIEF_MS;
use rfs_model::{InodeId, SessionId};

/// What one tick adds to the sessions' clock at the most: a leader that was stopped itself has heard nobody.
pub(super) const TICK_MS: u64 = 1_000;

/// How long a holder has to give a lease back, by the sessions' clock. That moves by steps of up to [`TICK_MS`]: one of them may
/// have passed already when the recall was sent. Twice, since what was made at the end of belief is in doubt only after that time.
const PATIENCE_MS: u64 = 2 * BELIEF_MS + TICK_MS + 500;

/// What is wanted back of whom, and who waits for it. The leader's alone: a new one asks again, when it is asked.
#[derive(Clone, Debug, Default)]
pub(super) struct Recalls {
    by_dir: BTreeMap<InodeId, Recall>,
    /// Not told to the holder yet.
    untold: BTreeSet<(SessionId, InodeId)>,
}

#[derive(Clone, Debug)]
struct Recall {
    holder: SessionId,
    since_ms: u64,
    waiting: BTreeSet<SessionId>,
    /// The record that takes it away is on the way.
    revoked: bool,
}

impl Recalls {
    /// A session waits for the end of a lease.
    pub fn wait(&mut self, dir: InodeId, holder: SessionId, session: SessionId, now_ms: u64) {
        let new = || Recall { holder, since_ms: now_ms, waiting: BTreeSet::new(), revoked: false };
        let recall = self.by_dir.entry(dir).or_insert_with(|| {
            self.untold.insert((holder, dir));
            new()
        });
        recall.waiting.insert(session);
    }

    /// The holder calls again: it may not have heard.
    pub fn attached(&mut self, holder: SessionId) {
        let wanted = self.by_dir.iter().filter(|(_, recall)| recall.holder == holder);
        self.untold.extend(wanted.map(|(dir, _)| (holder, *dir)));
    }

    /// Holders that are to be told now, and of what.
    pub fn take_untold(&mut self) -> BTreeSet<(SessionId, InodeId)> {
        std::mem::take(&mut self.untold)
    }

    /// Leases that are to end now, whether or not their holders are heard of: each once.
    pub fn overdue(&mut self, now_ms: u64) -> Vec<(InodeId, SessionId)> {
        let late = |recall: &&mut Recall| now_ms.saturating_sub(recall.since_ms) >= PATIENCE_MS;
        let overdue = self.by_dir.iter_mut().map(|(dir, recall)| (*dir, recall));
        let overdue = overdue.filter(|(_, recall)| !recall.revoked && late(recall));
        let revoke = |(dir, recall): (InodeId, &mut Recall)| {
            recall.revoked = true;
            (dir, recall.holder)
        };
        overdue.map(revoke).collect()
    }

    /// The directory has no lease any more. Returns who waited for that.
    pub fn ended(&mut self, dir: InodeId) -> BTreeSet<SessionId> {
        self.by_dir.remove(&dir).map(|recall| recall.waiting).unwrap_or_default()
    }
}
