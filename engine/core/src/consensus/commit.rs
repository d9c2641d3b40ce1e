//! What is committed and what is durable, and the own journal's part in it.

use rfs_model::config::ConfigRecord;
use rfs_model::hard::Trust;
use rfs_model::{Index, NodeId, SeatId};

use super::api::Effect;
use super::role::{Lead, Role};
use super::{Consensus, quorum};

impl Consensus {
    /// Moves the leader's commit and durable indexes as far as they go. A joint configuration that is committed is followed
    /// by its final one.
    pub(super) fn advance(&mut self) {
        let Role::Leader(lead) = &self.role else { return };
        let target = self.committable(lead);
        if target > self.marks.committed && (target >= lead.first || self.mutations.commit_old_terms) {
            self.set_committed(target);
            self.note_news();
        }
        if self.marks.committed >= self.entry().at.index
            && let ConfigRecord::Joint { new, .. } = self.record()
        {
            let config = new.clone();
            if let Role::Leader(lead) = &mut self.role {
                lead.own_joint = false;
            }
            self.append_config(ConfigRecord::Final { config });
            return self.advance();
        }
        self.advance_durable();
    }

    pub(super) fn set_committed(&mut self, upto: Index) {
        let config = self.entry().at.index;
        let reached = config > self.marks.committed && config <= upto;
        self.marks.committed = upto;
        // The first word was said. Not before: a leader that steps down without a commit is again one that must wait for it.
        self.gate = Index::ZERO;
        self.out.push(Effect::Committed { upto });
        if reached {
            self.review = true;
            self.out.push(Effect::ConfigCommitted);
            self.tell_released_seats();
        }
    }

    /// Followers shall hear soon of what moved.
    fn note_news(&mut self) {
        let now = self.now_us;
        if let Role::Leader(lead) = &mut self.role {
            lead.news_us = lead.news_us.or(Some(now));
        }
    }

    fn committable(&self, lead: &Lead) -> Index {
        let journaled = |brick: NodeId| self.journaled_by(lead, brick);
        match self.record() {
            ConfigRecord::Final { config } if self.mutations.witness_commits && config.seat.is_some() => {
                config.in_sync.iter().map(|brick| journaled(*brick)).max().unwrap_or_default()
            }
            ConfigRecord::Final { config } => quorum::reached(config, journaled),
            ConfigRecord::Joint { old, new } => {
                if self.joint_stored(lead) {
                    return quorum::reached(new, journaled);
                }
                // Behind another joint record that is not committed nothing is, either.
                let at = self.entry().at;
                let settled = self.log.config_before(at).is_none_or(|entry| !entry.record.is_joint());
                if settled { quorum::reached(old, journaled).min(at.index.prev()) } else { Index::ZERO }
            }
        }
    }

    /// Whether an election quorum of the old configuration and a commit quorum of the new one have the joint record, safe
    /// from a power loss.
    fn joint_stored(&self, lead: &Lead) -> bool {
        let entry = self.entry();
        let ConfigRecord::Joint { old, new } = &entry.record else { return false };
        let brick = |id: NodeId| self.synced_by(lead, id) >= entry.at.index;
        let seat = |id: SeatId| lead.seats.get(&id).is_some_and(|seat| seat.stored == Some(entry.at));
        let by_old = quorum::elects(old, brick, seat) || self.mutations.joint_by_new_alone;
        by_old && quorum::commits(new, brick)
    }

    /// How much of the log a brick is known to have journaled. The configuration counts with the hard state only.
    fn journaled_by(&self, lead: &Lead, brick: NodeId) -> Index {
        if brick == self.me {
            let marks = self.marks;
            let own = if self.mutations.count_before_journaled { marks.last } else { marks.journaled };
            return self.with_config(own);
        }
        let sound = lead.progress.get(&brick).filter(|progress| progress.trust == Trust::Sound);
        sound.map_or(Index::ZERO, |progress| progress.journaled)
    }

    fn synced_by(&self, lead: &Lead, brick: NodeId) -> Index {
        if self.mutations.durable_before_synced {
            return self.journaled_by(lead, brick);
        }
        if brick == self.me {
            return self.with_config(self.marks.synced);
        }
        let sound = lead.progress.get(&brick).filter(|progress| progress.trust == Trust::Sound);
        sound.map_or(Index::ZERO, |progress| progress.synced)
    }

    fn with_config(&self, own: Index) -> Index {
        if self.config_saved() { own } else { own.min(self.entry().at.index.prev()) }
    }

    fn advance_durable(&mut self) {
        let Role::Leader(lead) = &self.role else { return };
        let synced = |brick: NodeId| self.synced_by(lead, brick);
        let reached = match self.record() {
            ConfigRecord::Final { config } => quorum::reached(config, synced),
            ConfigRecord::Joint { old, .. } => quorum::reached(old, synced).min(self.entry().at.index.prev()),
        };
        let durable = reached.min(self.marks.committed);
        if durable > self.marks.durable {
            self.marks.durable = durable;
            self.out.push(Effect::Durable { upto: durable });
            self.note_news();
        }
    }

    pub(super) fn want_durable(&mut self, upto: Index) {
        if matches!(self.role, Role::Leader(_)) {
            self.want_sync = self.want_sync.max(upto.min(self.marks.last));
        }
    }

    /// Syncs the own journal as soon as it holds what somebody waits for.
    pub(super) fn sync_wanted(&mut self) {
        if self.want_sync.min(self.marks.journaled) > self.sync_issued && self.timing.sync_us.is_some() {
            self.sync();
        }
    }

    /// The background sync.
    pub(super) fn sync_tick(&mut self) {
        let Some(pause) = self.timing.sync_us else { return };
        if self.marks.journaled > self.sync_issued && self.now_us >= self.last_sync_us + pause {
            self.sync();
        }
    }

    fn sync(&mut self) {
        (self.sync_issued, self.last_sync_us) = (self.marks.journaled, self.now_us);
        self.out.push(Effect::Sync);
    }
}
