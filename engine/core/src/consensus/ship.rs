//! Sending the log to followers: find the common point, then stream, everything of a turn in one frame each.

use rfs_model::config::Position;
use rfs_model::peer::{Ack, AppendHeader, PeerMessage, Pulse};
use rfs_model::{Index, NodeId};

use super::Consensus;
use super::api::Effect;
use super::role::{Mode, Progress, Role};

/// Appends under way to one follower.
const PIPELINE: usize = 16;

impl Consensus {
    /// At the end of a turn: what each follower still needs.
    pub(super) fn ship_all(&mut self) {
        let Role::Leader(lead) = &self.role else { return };
        if !self.vote_saved() {
            return;
        }
        if lead.round_due {
            self.beat();
        }
        let Role::Leader(lead) = &self.role else { return };
        let up = |brick: &NodeId| self.peers.get(brick).is_some_and(|peer| peer.up);
        let bricks: Vec<_> = lead.progress.keys().copied().filter(up).collect();
        for brick in bricks {
            self.ship(brick);
        }
        self.forget_news();
    }

    fn forget_news(&mut self) {
        let Role::Leader(lead) = &self.role else { return };
        let pulse = self.pulse(lead);
        let known = lead.progress.iter().all(|(brick, progress)| !self.lacks_news(*brick, progress, pulse));
        if let (true, Role::Leader(lead)) = (known, &mut self.role) {
            lead.news_us = None;
        }
    }

    fn ship(&mut self, to: NodeId) {
        let Role::Leader(lead) = &self.role else { return };
        let Some(progress) = lead.progress.get(&to) else { return };
        let pulse = self.pulse(lead);
        let now = self.now_us;
        match progress.mode {
            Mode::Probe { asked_us } if asked_us.is_none_or(|at| now >= at + self.timing.resend_us) => {
                self.probe(to, progress.next.prev(), pulse);
            }
            Mode::Stream if self.stalled(progress) => {
                let next = progress.agreed.next();
                self.change(to, |progress| progress.probe(next));
                self.ship(to);
            }
            Mode::Stream if progress.next <= self.marks.last && progress.ready() => {
                self.stream(to, progress.next, pulse);
            }
            Mode::Probe { .. } | Mode::Stream | Mode::Resync => self.tell_news(to, pulse),
        }
    }

    /// Whether what was sent has gone unanswered too long.
    fn stalled(&self, progress: &Progress) -> bool {
        !progress.in_flight.is_empty() && self.now_us >= progress.moved_us + self.timing.resend_us
    }

    fn probe(&mut self, to: NodeId, prev: Index, pulse: Pulse) {
        let Some(prev) = self.log.position_at(prev) else { return self.needs_resync(to) };
        let now = self.now_us;
        self.change(to, |progress| progress.mode = Mode::Probe { asked_us: Some(now) });
        self.told(to, pulse);
        self.send(to, PeerMessage::Append { header: AppendHeader { pulse, prev } });
    }

    fn stream(&mut self, to: NodeId, from: Index, pulse: Pulse) {
        let Some(prev) = self.log.position_at(from.prev()) else { return self.needs_resync(to) };
        let upto = self.marks.last;
        self.change(to, |progress| progress.shipping = Some((from, upto)));
        self.told(to, pulse);
        self.out.push(Effect::Ship { to, header: AppendHeader { pulse, prev }, from, upto });
    }

    /// Sends what moved by itself when no append has carried it for a while, and a wanted sync at once.
    fn tell_news(&mut self, to: NodeId, pulse: Pulse) {
        let Role::Leader(lead) = &self.role else { return };
        let Some(progress) = lead.progress.get(&to) else { return };
        let late = lead.news_us.is_some_and(|since| self.now_us >= since + self.timing.notice_us);
        if pulse.sync_to > progress.told_sync || (late && self.lacks_news(to, progress, pulse)) {
            self.send_pulse(to);
        }
    }

    /// The commit index is news to all, the durable one to learners, who follow it.
    fn lacks_news(&self, brick: NodeId, progress: &Progress, pulse: Pulse) -> bool {
        let learner = !self.record().configs().all(|config| config.has(brick));
        pulse.committed > progress.told_committed || (learner && pulse.durable > progress.told_durable)
    }

    /// Notes what a frame carries.
    pub(super) fn told(&mut self, to: NodeId, pulse: Pulse) {
        self.change(to, |progress| {
            progress.told_committed = progress.told_committed.max(pulse.committed);
            progress.told_durable = progress.told_durable.max(pulse.durable);
            progress.told_sync = progress.told_sync.max(pulse.sync_to);
        });
    }

    fn change(&mut self, brick: NodeId, how: impl FnOnce(&mut Progress)) {
        if let Role::Leader(lead) = &mut self.role
            && let Some(progress) = lead.progress.get_mut(&brick)
        {
            how(progress);
        }
    }

    pub(super) fn shipped(&mut self, to: NodeId, from: Index, upto: Index) {
        let now = self.now_us;
        self.change(to, |progress| {
            let Some((first, last)) = progress.shipping.filter(|(first, _)| *first == from) else { return };
            assert!(
                upto >= first.prev() && upto <= last,
                "shipped {from} to {upto}, asked for {first} to {last}"
            );
            progress.shipping = None;
            if upto >= first {
                if progress.in_flight.is_empty() {
                    progress.moved_us = now;
                }
                progress.in_flight.push_back(upto);
                progress.next = upto.next();
            }
        });
    }

    /// Decides by an acknowledgement what to send next.
    pub(super) fn steer(&mut self, from: NodeId, ack: Ack) {
        if ack.diverged {
            return self.needs_resync(from);
        }
        if let Some(hint) = ack.rejected {
            return self.step_back(from, hint, ack.committed);
        }
        let back = self.log.has(ack.last);
        let (now, resend_us) = (self.now_us, self.timing.resend_us);
        self.change(from, |progress| match progress.mode {
            Mode::Probe { .. } if ack.agreed.next() >= progress.next => {
                progress.mode = Mode::Stream;
                progress.next = ack.agreed.next();
            }
            // It has lost sight of where it was: it was restarted.
            Mode::Stream if ack.agreed < progress.agreed && progress.idle(now, resend_us) => {
                progress.probe(progress.next);
            }
            Mode::Resync if back => progress.probe(ack.last.index.next()),
            Mode::Probe { .. } | Mode::Stream | Mode::Resync => {}
        });
    }

    fn step_back(&mut self, from: NodeId, hint: Position, committed: Index) {
        let Role::Leader(lead) = &self.role else { return };
        if lead.progress.get(&from).is_some_and(|progress| progress.mode == Mode::Resync) {
            return;
        }
        let foreign = hint.index <= committed && hint.index > self.log.base().index && !self.log.has(hint);
        match self.log.common_with(hint) {
            Some(common) if !foreign => self.change(from, |progress| progress.probe(common.index.next())),
            _ => self.needs_resync(from),
        }
    }

    fn needs_resync(&mut self, to: NodeId) {
        let Role::Leader(lead) = &mut self.role else { return };
        let Some(progress) = lead.progress.get_mut(&to) else { return };
        if progress.mode != Mode::Resync {
            progress.probe(Index::ZERO);
            progress.mode = Mode::Resync;
            self.out.push(Effect::NeedsResync { to });
        }
    }
}

impl Progress {
    fn ready(&self) -> bool {
        self.shipping.is_none() && self.in_flight.len() < PIPELINE
    }

    fn idle(&self, now_us: u64, for_us: u64) -> bool {
        self.ready() && self.in_flight.is_empty() && now_us >= self.moved_us + for_us
    }
}
