//! How a replica set is doing: what `volume status` and `heal-status` show.

use serde::{Deserialize, Serialize};

use crate::ids::{NodeId, VolumeId};

/// The one word about a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HealState {
    /// All bricks are in sync, and no configuration change or seat move is pending.
    Healthy,
    /// All bricks are there; at least one is catching up, or a change is pending.
    Healing,
    /// A brick is missing; the others serve.
    Degraded,
    /// Nobody can lead.
    Blocked,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BrickRole {
    Leader,
    InSync,
    Learner,
    /// Back after a power loss; it has no vote until a leader has vouched for its log.
    Suspect,
    /// It stopped itself: the disk failed, or an apply did.
    Failed,
    /// Not connected to whoever made the report.
    Offline,
}

/// One brick, as the maker of the report knows it. Indexes are positions in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrickReport {
    /// `host:/path`
    pub brick: String,
    pub node: NodeId,
    pub state: BrickRole,
    pub online: bool,
    pub pid: Option<u32>,
    /// The leader's committed index, as far as this brick has been told.
    pub committed: Option<u64>,
    pub applied: Option<u64>,
    /// Records between the leader's committed index and this brick's applied one.
    pub behind_ops: u64,
    pub behind_bytes: u64,
    pub rate_bytes_per_s: u64,
    /// `None`: cannot be told.
    pub eta_s: Option<u64>,
    /// For how long the leader has waited for it to write and apply what it was sent, as far as the leader knows.
    #[serde(default)]
    pub lag_ms: u64,
    /// Files that it has yet to compare with the leader's, after its kernel died.
    #[serde(default)]
    pub doubts: u64,
    /// Why it is closed, in one line.
    pub fault: Option<String>,
    /// `None`: nothing to tell.
    #[serde(default)]
    pub scrub: Option<ScrubReport>,
}

/// Whether a brick's scrub runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScrubPhase {
    /// Not since the brick was started.
    Never,
    Running,
    Done,
    Stopped,
}

/// What a brick has found of rot since it was started, and how its scrub stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScrubReport {
    pub phase: ScrubPhase,
    pub inodes: u64,
    pub inodes_total: u64,
    /// Read from the disk.
    pub bytes: u64,
    pub bytes_per_s: u64,
    /// Blocks of 4 KiB that were found to be rotten.
    pub rotten: u64,
    /// Blocks, names and attributes that were put right.
    pub repaired: u64,
    /// Files that were written a short while ago, and have no sums yet.
    #[serde(default)]
    pub unsummed_files: u64,
    /// What was not, by path.
    pub unrepaired: Vec<String>,
}

/// Who holds the witness seat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WitnessReport {
    pub host: String,
    /// `pool node`, `mount` or `brick machine`.
    pub class: String,
    pub online: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeReport {
    pub volume: String,
    pub id: VolumeId,
    pub started: bool,
    /// Set by [`VolumeReport::judge`].
    pub state: HealState,
    pub leader: Option<NodeId>,
    /// The leader's committed index when it made the report: all is healed when every brick has applied it. `None`
    /// without a leader.
    pub target: Option<u64>,
    /// A configuration change or seat move is under way.
    pub pending: bool,
    pub witness: Option<WitnessReport>,
    /// Bricks (`host:/path`) that the volume cannot go on without.
    pub waits_for: Vec<String>,
    /// What is being healed at the moment: a path inside the volume.
    pub now: Option<String>,
    /// Milliseconds since 1970 of the newest record known, where no leader vouches for the report.
    pub as_of_ms: Option<u64>,
    /// In the order of `volume create`.
    pub bricks: Vec<BrickReport>,
}

impl VolumeReport {
    /// The one word that follows from the rest.
    #[must_use]
    pub fn judge(&self) -> HealState {
        if self.leader.is_none() {
            return HealState::Blocked;
        }
        let missing =
            |b: &BrickReport| !b.online || matches!(b.state, BrickRole::Failed | BrickRole::Offline);
        if self.bricks.iter().any(missing) {
            return HealState::Degraded;
        }
        let in_sync = |b: &BrickReport| matches!(b.state, BrickRole::Leader | BrickRole::InSync);
        let doubts = self.bricks.iter().any(|b| b.doubts > 0);
        if self.pending || doubts || !self.bricks.iter().all(in_sync) {
            return HealState::Healing;
        }
        HealState::Healthy
    }

    /// True when every brick has applied the log up to `target`, and doubts nothing of what it has.
    #[must_use]
    pub fn reached(&self, target: u64) -> bool {
        self.bricks
            .iter()
            .all(|b| b.online && b.doubts == 0 && b.applied.is_some_and(|applied| applied >= target))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(leader: bool, pending: bool, roles: &[BrickRole]) -> VolumeReport {
        let bricks = roles.iter().map(|state| BrickReport {
            brick: "server1:/data".into(),
            node: NodeId::NIL,
            state: *state,
            online: *state != BrickRole::Offline,
            pid: None,
            committed: Some(7),
            applied: Some(6),
            behind_ops: 1,
            behind_bytes: 0,
            rate_bytes_per_s: 0,
            eta_s: None,
            lag_ms: 0,
            doubts: 0,
            fault: None,
            scrub: None,
        });
        VolumeReport {
            volume: "v".into(),
            id: VolumeId::NIL,
            started: true,
            state: HealState::Blocked,
            leader: leader.then_some(NodeId::NIL),
            target: leader.then_some(7),
            pending,
            witness: None,
            waits_for: vec![],
            now: None,
            as_of_ms: None,
            bricks: bricks.collect(),
        }
    }

    #[test]
    fn one_word_follows_from_the_rest() {
        use BrickRole::{Failed, InSync, Leader, Learner, Offline, Suspect};
        let table = [
            (true, false, vec![Leader, InSync], HealState::Healthy),
            (true, true, vec![Leader, InSync], HealState::Healing),
            (true, false, vec![Leader, Learner], HealState::Healing),
            (true, false, vec![Leader, Suspect], HealState::Healing),
            (true, false, vec![Leader, Offline], HealState::Degraded),
            (true, false, vec![Leader, Failed], HealState::Degraded),
            (true, false, vec![Leader, Learner, Offline], HealState::Degraded),
            (false, false, vec![InSync, Offline], HealState::Blocked),
            (false, false, vec![InSync, InSync], HealState::Blocked),
        ];
        for (leader, pending, roles, want) in table {
            assert_eq!(report(leader, pending, &roles).judge(), want, "{roles:?}");
        }
    }

    #[test]
    fn a_brick_that_is_away_has_not_reached_anything() {
        let mut r = report(true, false, &[BrickRole::Leader, BrickRole::Offline]);
        assert!(!r.reached(6));
        r.bricks[1].online = true;
        assert!(r.reached(6) && !r.reached(7));
    }
}
