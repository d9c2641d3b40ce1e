//! What a shard tells the pool service: its state, its report, and the doors for changes.

use rfs_core::consensus::api::{PeerView, RoleView, Trust, WaitReason};
use rfs_model::admin::{BrickReport, BrickRole, HealState, Operation, VolumeReport, WitnessReport};
use rfs_model::hello::{BrickPlace, SeatClass};
use rfs_model::volume::VolumeState;
use rfs_model::{Index, NodeId};

use super::operate::Promise;
use super::{Event, Inner, Shard, TreeState};
use crate::pool::{LocalBoxFuture, ProposeError, ReplicaSet};

impl ReplicaSet for Shard {
    fn state(&self) -> VolumeState {
        self.inner.borrow().state.clone()
    }

    fn as_of_ms(&self) -> u64 {
        let time = self.inner.borrow().front.state().time();
        u64::try_from(time.secs).unwrap_or(0) * 1000 + u64::from(time.nanos) / 1_000_000
    }

    fn leader(&self) -> Option<NodeId> {
        let inner = self.inner.borrow();
        match inner.core.role() {
            RoleView::Leader => inner.front.is_leading().then_some(inner.me),
            _ => inner.core.leader(),
        }
    }

    fn report(&self) -> VolumeReport {
        self.inner.borrow().report()
    }

    fn propose(&self, state: VolumeState) -> LocalBoxFuture<'_, Result<(), ProposeError>> {
        let answer = Promise::new();
        if let Some(end) = self.end() {
            return Box::pin(
                async move { Err(ProposeError::NoLeader(format!("the brick is closed: {end:?}"))) },
            );
        }
        self.inbox.push(Event::Propose { state, answer: answer.clone() });
        Box::pin(answer.wait())
    }

    fn operate(&self, operation: Operation) -> LocalBoxFuture<'_, Result<Vec<String>, ProposeError>> {
        let answer = Promise::new();
        if let Some(end) = self.end() {
            return Box::pin(
                async move { Err(ProposeError::NoLeader(format!("the brick is closed: {end:?}"))) },
            );
        }
        self.inbox.push(Event::Operate { operation, answer: answer.clone() });
        Box::pin(answer.wait())
    }
}

impl Inner {
    fn report(&self) -> VolumeReport {
        let waiting = self.core.waiting_for();
        let leads = self.core.role() == RoleView::Leader && self.front.is_leading();
        let leader = if leads { Some(self.me) } else { self.core.leader().filter(|l| *l != self.me) };
        let peers = self.core.bricks();
        let blocked = !matches!(waiting.reason, WaitReason::None | WaitReason::Election);
        VolumeReport {
            volume: self.state.name.clone(),
            id: self.state.id,
            started: self.state.started,
            state: HealState::Blocked,
            leader: leader.filter(|_| self.failed.is_none() && waiting.reason != WaitReason::Commit),
            target: leads.then_some(self.committed.0),
            pending: leads && (self.core.config().record.is_joint() || self.core.seat_move_due()),
            witness: self.witness_report(),
            waits_for: if blocked {
                waiting.bricks.iter().map(|b| self.brick_name(*b)).collect()
            } else {
                vec![]
            },
            now: self.copying_now(),
            as_of_ms: None,
            bricks: self.state.bricks.iter().map(|place| self.brick_report(place, leads, &peers)).collect(),
        }
    }

    /// Path of the file that is being copied to another brick.
    fn copying_now(&self) -> Option<String> {
        match (&self.tree, self.resync.now()) {
            (TreeState::Ready(tree), Some(id)) => Some(tree.path_of(id)),
            _ => None,
        }
    }

    fn witness_report(&self) -> Option<WitnessReport> {
        let seat = self.core.config().record.target().seat.clone()?;
        let class = match seat.class {
            SeatClass::PoolNode => "pool node",
            SeatClass::Mount => "mount",
            SeatClass::BrickMachine => "brick machine",
        };
        Some(WitnessReport { host: seat.host, class: class.into(), online: self.is_seat_up(seat.id) })
    }

    fn brick_report(&self, place: &BrickPlace, leads: bool, peers: &[PeerView]) -> BrickReport {
        let brick = format!("{}:{}", place.host, place.path);
        let in_sync = self.core.config().record.target().has(place.node);
        if place.node == self.me {
            return self.own_report(brick, in_sync, leads);
        }
        let peer = peers.iter().find(|p| p.brick == place.node);
        let info = self.infos.of(place.node);
        let online = peer.is_some_and(|p| p.up) && info.is_some();
        let state = match peer {
            _ if !online => BrickRole::Offline,
            _ if self.core.leader() == Some(place.node) => BrickRole::Leader,
            Some(p) if p.trust != Trust::Sound => BrickRole::Suspect,
            _ if in_sync => BrickRole::InSync,
            _ => BrickRole::Learner,
        };
        // A leader hears of progress with each acknowledgement, anybody else once a second.
        let applied = if leads { peer.map(|p| p.applied) } else { info.map(|i| i.applied) };
        let committed = self.committed.0;
        let applied = applied.filter(|_| online);
        let behind_ops = applied.map_or(0, |a| committed.saturating_sub(a.0));
        let (rate, behind_bytes) = self.heal_rate(place.node, applied, behind_ops);
        BrickReport {
            brick,
            node: place.node,
            state,
            online,
            pid: info.filter(|_| online).map(|i| i.pid),
            committed: Some(committed),
            applied: applied.map(|a| a.0),
            behind_ops,
            behind_bytes,
            rate_bytes_per_s: rate,
            eta_s: (rate > 0).then(|| behind_bytes.div_ceil(rate)),
            lag_ms: self.core.known_lag_us(place.node) / 1000,
            doubts: info.filter(|_| online).map_or(0, |i| i.doubts),
            fault: None,
            scrub: self.scrub_report(place.node),
        }
    }

    fn own_report(&self, brick: String, in_sync: bool, leads: bool) -> BrickReport {
        let state = if self.failed.is_some() {
            BrickRole::Failed
        } else if leads {
            // One that was elected and serves nobody yet is none.
            BrickRole::Leader
        } else if self.core.trust() != Trust::Sound {
            BrickRole::Suspect
        } else if in_sync {
            BrickRole::InSync
        } else {
            BrickRole::Learner
        };
        let applied = self.applied();
        let behind_ops = self.committed.0.saturating_sub(applied.0);
        let (rate, behind_bytes) = self.heal_rate(self.me, Some(applied), behind_ops);
        BrickReport {
            brick,
            node: self.me,
            state,
            online: self.failed.is_none(),
            pid: Some(std::process::id()),
            committed: Some(self.committed.0),
            applied: Some(applied.0),
            behind_ops,
            behind_bytes,
            rate_bytes_per_s: rate,
            eta_s: (rate > 0).then(|| behind_bytes.div_ceil(rate)),
            lag_ms: self.core.known_lag_us(self.me) / 1000,
            doubts: match &self.tree {
                TreeState::Ready(tree) => tree.doubts() as u64,
                _ => 0,
            },
            fault: self.failed.clone(),
            scrub: self.scrub_report(self.me),
        }
    }

    /// Bytes per second at which a brick catches up, and what it still lacks: of the log, or about, while it is copied.
    fn heal_rate(&self, node: NodeId, applied: Option<Index>, behind_ops: u64) -> (u64, u64) {
        if let Some(copy) = self.resync.progress(node).filter(|_| behind_ops > 0) {
            return copy.rate_and_left();
        }
        match applied {
            Some(applied) if behind_ops > 0 => {
                (self.infos.bytes_per_s(node), self.journal.bytes_after(applied))
            }
            _ => (0, 0),
        }
    }
}
