//! What the core shows.

use rfs_model::config::{ConfigEntry, ConfigRecord};
use rfs_model::hard::{HardState, Trust};
use rfs_model::peer::Verdict;
use rfs_model::{Index, NodeId, Term};

use super::Consensus;
use super::api::{PeerView, RoleView, TailLoss, WaitReason, Waiting, Watermarks};
use super::role::{Mode, Role};

/// Attempts to be elected after which a brick says that it is blocked.
const PATIENT_ATTEMPTS: u64 = 5;

impl Consensus {
    #[must_use]
    pub fn me(&self) -> NodeId {
        self.me
    }

    #[must_use]
    pub fn role(&self) -> RoleView {
        match self.role {
            Role::Leader(_) => RoleView::Leader,
            Role::Candidate(_) => RoleView::Candidate,
            Role::Follower(_) if self.in_sync() => RoleView::Follower,
            Role::Follower(_) => RoleView::Learner,
        }
    }

    #[must_use]
    pub fn leader(&self) -> Option<NodeId> {
        match &self.role {
            Role::Leader(_) => Some(self.me),
            Role::Candidate(_) => None,
            Role::Follower(follower) => follower.leader,
        }
    }

    #[must_use]
    pub fn term(&self) -> Term {
        self.hard.term
    }

    /// The term and index of the next record to propose: only while this brick leads, has committed a record of its own (so
    /// that it knows everything that was committed before), and is not handing leadership over. The tree must have applied
    /// everything committed before the first request is admitted.
    #[must_use]
    pub fn leading(&self) -> Option<(Term, Index)> {
        let Role::Leader(lead) = &self.role else { return None };
        let ready = self.marks.committed >= lead.first && lead.handing.is_none();
        ready.then(|| (self.hard.term, self.log.last().next()))
    }

    #[must_use]
    pub fn watermarks(&self) -> Watermarks {
        self.marks
    }

    /// The configuration record in force, committed or not.
    #[must_use]
    pub fn config(&self) -> &ConfigEntry {
        &self.hard.config
    }

    /// The configuration record that was the newest at `index`: what goes with a full copy of that index. The one in force may
    /// be waiting for the copy. `None` where the log no longer knows.
    #[must_use]
    pub fn config_upto(&self, index: Index) -> Option<&ConfigEntry> {
        self.log.config_upto(index)
    }

    #[must_use]
    pub fn hard_state(&self) -> &HardState {
        &self.hard
    }

    #[must_use]
    pub fn trust(&self) -> Trust {
        self.hard.trust
    }

    /// All bricks are in S, and no change is pending.
    #[must_use]
    pub fn healthy(&self) -> bool {
        let ConfigRecord::Final { config } = self.record() else { return false };
        self.leader().is_some() && config.is_full() && self.marks.committed >= self.entry().at.index
    }

    /// What is known of each other brick of the set.
    #[must_use]
    pub fn bricks(&self) -> Vec<PeerView> {
        let config = self.record().target();
        let others = config.bricks.iter().copied().filter(|brick| *brick != self.me);
        others.map(|brick| self.peer_view(brick, config.has(brick))).collect()
    }

    fn peer_view(&self, brick: NodeId, in_sync: bool) -> PeerView {
        let peer = self.peers.get(&brick);
        let progress = match &self.role {
            Role::Leader(lead) => lead.progress.get(&brick),
            Role::Follower(_) | Role::Candidate(_) => None,
        };
        PeerView {
            brick,
            in_sync,
            up: peer.is_some_and(|peer| peer.up),
            matched: progress.map_or(Index::ZERO, |progress| progress.journaled),
            applied: progress.map_or(Index::ZERO, |progress| progress.applied),
            lag_us: self.known_lag_us(brick),
            heard_us: peer.and_then(|peer| peer.heard_us),
            trust: progress.map_or(Trust::Sound, |progress| progress.trust),
            resync: progress.is_some_and(|progress| progress.mode == Mode::Resync),
        }
    }

    /// How long a brick of the set, this one included, has been behind, microseconds; 0 where another brick leads.
    #[must_use]
    pub fn known_lag_us(&self, brick: NodeId) -> u64 {
        match &self.role {
            Role::Leader(lead) if brick == self.me => self.own_lag_us(lead),
            Role::Leader(lead) => self.lag_us(lead, brick),
            Role::Follower(_) | Role::Candidate(_) => 0,
        }
    }

    /// Whether something keeps this brick from deciding, and whom it waits for.
    #[must_use]
    pub fn waiting_for(&self) -> Waiting {
        match &self.role {
            Role::Follower(follower) if follower.leader.is_some() => Waiting::nobody(WaitReason::None),
            Role::Follower(_) if self.is_abandoned() || self.lacks_config() => Waiting {
                reason: WaitReason::Behind,
                bricks: self.record().target().bricks.iter().copied().filter(|b| *b != self.me).collect(),
                seat: false,
            },
            Role::Follower(_) if self.can_stand() => Waiting::nobody(WaitReason::Election),
            Role::Follower(_) => self.wait_for_all(WaitReason::Behind),
            Role::Candidate(campaign) => self.wait_for_votes(campaign),
            Role::Leader(lead) => self.wait_for_acks(lead),
        }
    }

    fn wait_for_all(&self, reason: WaitReason) -> Waiting {
        let entry = self.newer.as_ref().unwrap_or(self.entry());
        let target = &entry.record.target().in_sync;
        let bricks = target.iter().copied().filter(|brick| *brick != self.me).collect();
        Waiting { reason, bricks, seat: false }
    }

    fn wait_for_votes(&self, campaign: &super::role::Campaign) -> Waiting {
        if self.newer.is_some() {
            return self.wait_for_all(WaitReason::Behind);
        }
        let ahead = campaign.votes.iter().filter(|(_, vote)| vote.behind).map(|(brick, _)| *brick);
        let bricks: Vec<_> = ahead.collect();
        if !bricks.is_empty() {
            return Waiting { reason: WaitReason::Behind, bricks, seat: false };
        }
        if campaign.attempt < PATIENT_ATTEMPTS {
            return Waiting::nobody(WaitReason::Election);
        }
        let reason = if self.hard.trust == Trust::Sound { WaitReason::Votes } else { WaitReason::Suspect };
        let granted =
            |brick: &NodeId| campaign.votes.get(brick).is_some_and(|v| v.verdict == Verdict::Granted);
        let bricks = self.wait_for_all(reason).bricks.into_iter().filter(|brick| !granted(brick)).collect();
        let silent = |id| campaign.seats.get(&id) != Some(&Verdict::Granted);
        let seat = self.hard.trust == Trust::Sound && self.voting_seats().into_iter().any(silent);
        Waiting { reason, bricks, seat }
    }

    /// Whether this brick could go on without the bricks of S that do not answer, and what that means.
    #[must_use]
    pub fn tail_loss(&self) -> TailLoss {
        let campaign = match &self.role {
            _ if self.hard.trust != Trust::Suspect || !self.can_stand() => return TailLoss::NotNeeded,
            Role::Leader(_) => return TailLoss::NotNeeded,
            Role::Follower(follower) if follower.leader.is_some() => return TailLoss::NotNeeded,
            Role::Follower(_) => return TailLoss::Unknown,
            Role::Candidate(campaign) => campaign,
        };
        match self.wait_for_votes(campaign).reason {
            WaitReason::Suspect => {}
            WaitReason::Election => return TailLoss::Unknown,
            _ => return TailLoss::NotNeeded,
        }
        let in_sync = &self.record().target().in_sync;
        let up = |brick: &NodeId| self.peers.get(brick).is_some_and(|peer| peer.up);
        let verdict = |brick: &NodeId| campaign.votes.get(brick).map(|vote| vote.verdict);
        let others = || in_sync.iter().filter(|brick| **brick != self.me);
        if let Some(better) = others().find(|brick| verdict(brick) == Some(Verdict::OldLog)) {
            return TailLoss::Better(*better);
        }
        if others().any(|brick| up(brick) && verdict(brick).is_none()) {
            return TailLoss::Unknown;
        }
        let granted = others().filter(|brick| verdict(brick) == Some(Verdict::Granted)).count();
        TailLoss::Best { present: granted + 1, of: in_sync.len() }
    }

    fn wait_for_acks(&self, lead: &super::role::Lead) -> Waiting {
        let marks = self.marks;
        let absent = |brick: &NodeId| *brick != self.me && !self.is_there(lead, *brick);
        let bricks: Vec<_> =
            self.record().configs().flat_map(|c| &c.in_sync).copied().filter(absent).collect();
        if marks.committed == marks.last || bricks.is_empty() {
            return Waiting::nobody(WaitReason::None);
        }
        Waiting { reason: WaitReason::Commit, bricks, seat: false }
    }

    /// When a `Tick` is worth it.
    #[must_use]
    pub fn next_wake_us(&self) -> u64 {
        let next = match &self.role {
            Role::Leader(lead) => {
                let notice = lead.news_us.map_or(u64::MAX, |since| since + self.timing.notice_us);
                lead.beat_us.min(if notice > self.now_us { notice } else { u64::MAX })
            }
            Role::Candidate(campaign) => campaign.retry_us,
            Role::Follower(_) => self.election_us.max(self.now_us),
        };
        next.min(self.now_us + 25_000)
    }
}

impl Waiting {
    fn nobody(reason: WaitReason) -> Self {
        Self { reason, bricks: vec![], seat: false }
    }
}
