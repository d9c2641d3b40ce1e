//! Who decides: the configuration of a replica set, as it stands in the log (records of kind
//! [`Config`](crate::record::RecordKind::Config)), in each brick's [`hard state`](crate::hard) and in the witness's
//! [`register`](crate::register).
//!
//! A configuration changes in two records: [`ConfigRecord::Joint`], then [`ConfigRecord::Final`].

use crate::hello::SeatClass;
use crate::ids::{Index, Lineage, NodeId, SeatId, Term};
use crate::limits::BRICKS;
use crate::{layout, tagged};

/// Which record stands at an index. Ordered as Raft compares logs: by term, then by index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    pub term: Term,
    pub index: Index,
}
layout!(Position { term, index });

impl Position {
    /// Before the first record.
    pub const ZERO: Self = Self { term: Term::ZERO, index: Index::ZERO };

    #[must_use]
    pub const fn new(term: Term, index: Index) -> Self {
        Self { term, index }
    }
}

/// The holder of the witness seat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seat {
    pub id: SeatId,
    pub class: SeatClass,
    /// Host name for people, at most [`HOST_BYTES`].
    pub host: String,
}
layout!(Seat { id, class, host });

impl Seat {
    /// What is wrong with it: no configuration may have it then.
    #[must_use]
    pub fn problem(&self) -> Option<ConfigProblem> {
        (self.id.is_nil() || self.host.len() > HOST_BYTES).then_some(ConfigProblem::Seat)
    }
}

/// Longest host name in a configuration, bytes (that of the domain name system).
pub const HOST_BYTES: usize = 253;

/// Who decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// All bricks of the replica set, ascending.
    pub bricks: Vec<NodeId>,
    /// S, the bricks in sync, ascending. The others are learners: they receive the log and have no say.
    pub in_sync: Vec<NodeId>,
    /// w, the witness seat. It exists only when |S| is even, and may be vacant then.
    pub seat: Option<Seat>,
}
layout!(Config { bricks, in_sync, seat });

/// Why a configuration makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigProblem {
    #[error("a replica set has 1 to {BRICKS} bricks")]
    Size,
    #[error("bricks are not in ascending order, or one is there twice, or one is nil")]
    Order,
    #[error("no brick is in sync")]
    NobodyInSync,
    #[error("a brick in sync is none of the set's")]
    Stranger,
    #[error("an odd number of bricks has no witness")]
    OddSeat,
    #[error("the witness is nil or its host name too long")]
    Seat,
}

fn ascending(ids: &[NodeId]) -> bool {
    ids.is_sorted_by(|a, b| a < b) && ids.iter().all(|id| !id.is_nil())
}

impl Config {
    /// S = these bricks, seat vacant: what `volume create` writes.
    #[must_use]
    pub fn of(bricks: &[NodeId]) -> Self {
        let mut bricks = bricks.to_vec();
        bricks.sort_unstable();
        Self { in_sync: bricks.clone(), bricks, seat: None }
    }

    #[must_use]
    pub fn has(&self, brick: NodeId) -> bool {
        self.in_sync.contains(&brick)
    }

    /// Whether |S| is even, so that a witness has a say.
    #[must_use]
    pub fn wants_seat(&self) -> bool {
        self.in_sync.len().is_multiple_of(2)
    }

    /// Whether every brick is in sync.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.in_sync == self.bricks
    }

    /// What is wrong with it; called before every write and after every read.
    #[must_use]
    pub fn problem(&self) -> Option<ConfigProblem> {
        if !(1..=BRICKS).contains(&self.bricks.len()) {
            return Some(ConfigProblem::Size);
        }
        if !ascending(&self.bricks) || !ascending(&self.in_sync) {
            return Some(ConfigProblem::Order);
        }
        if self.in_sync.is_empty() {
            return Some(ConfigProblem::NobodyInSync);
        }
        if !self.in_sync.iter().all(|brick| self.bricks.contains(brick)) {
            return Some(ConfigProblem::Stranger);
        }
        let seat = self.seat.as_ref()?;
        if !self.wants_seat() {
            return Some(ConfigProblem::OddSeat);
        }
        seat.problem()
    }
}

/// The payload of a configuration record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigRecord {
    /// On the way from `old` to `new`: whoever has this as its last configuration needs both to be elected.
    Joint { old: Config, new: Config },
    /// Arrived (or turned back): only `config` counts.
    Final { config: Config },
}
tagged!(ConfigRecord, "a configuration record", { 1 => Joint { old, new }, 2 => Final { config } });

impl ConfigRecord {
    /// The configuration that is in force or being entered.
    #[must_use]
    pub fn target(&self) -> &Config {
        match self {
            Self::Joint { new, .. } => new,
            Self::Final { config } => config,
        }
    }

    #[must_use]
    pub fn is_joint(&self) -> bool {
        matches!(self, Self::Joint { .. })
    }

    /// One configuration, or both of a joint one, the old one first.
    pub fn configs(&self) -> impl Iterator<Item = &Config> {
        let (first, second) = match self {
            Self::Joint { old, new } => (old, Some(new)),
            Self::Final { config } => (config, None),
        };
        std::iter::once(first).chain(second)
    }

    #[must_use]
    pub fn problem(&self) -> Option<ConfigProblem> {
        self.configs().find_map(Config::problem)
    }
}

/// A configuration record and where in the log it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigEntry {
    pub at: Position,
    pub record: ConfigRecord,
}
layout!(ConfigEntry { at, record });

/// The term of the records that `volume create` writes.
pub const GENESIS_TERM: Term = Term::new(Lineage(0), 1);
/// The first record: the configuration with all bricks in sync and no witness.
pub const GENESIS_CONFIG: Index = Index(1);
/// The second record: the volume's first state. Both are the same on every brick and committed from birth.
pub const GENESIS_LAST: Index = Index(2);

impl ConfigEntry {
    /// The first record of a new replica set's log.
    #[must_use]
    pub fn genesis(bricks: &[NodeId]) -> Self {
        let record = ConfigRecord::Final { config: Config::of(bricks) };
        Self { at: Position::new(GENESIS_TERM, GENESIS_CONFIG), record }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::codec::{Decode, Encode};

    fn node(n: u8) -> NodeId {
        NodeId([n; 16])
    }

    fn seat() -> Seat {
        Seat { id: SeatId([9; 16]), class: SeatClass::Mount, host: "c".into() }
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let good = Config { seat: Some(seat()), ..Config::of(&[node(2), node(1)]) };
        assert_eq!(good.problem(), None);
        let cases = [
            (Config { bricks: vec![], ..good.clone() }, ConfigProblem::Size),
            (Config { bricks: vec![node(2), node(1)], ..good.clone() }, ConfigProblem::Order),
            (Config { in_sync: vec![node(1), node(1)], ..good.clone() }, ConfigProblem::Order),
            (Config { bricks: vec![NodeId::NIL, node(1)], ..good.clone() }, ConfigProblem::Order),
            (Config { in_sync: vec![], ..good.clone() }, ConfigProblem::NobodyInSync),
            (Config { in_sync: vec![node(3)], ..good.clone() }, ConfigProblem::Stranger),
            (Config { in_sync: vec![node(1)], ..good.clone() }, ConfigProblem::OddSeat),
            (Config { seat: Some(Seat { id: SeatId::NIL, ..seat() }), ..good.clone() }, ConfigProblem::Seat),
            (
                Config { seat: Some(Seat { host: "x".repeat(254), ..seat() }), ..good.clone() },
                ConfigProblem::Seat,
            ),
        ];
        for (config, problem) in cases {
            assert_eq!(config.problem(), Some(problem), "{config:?}");
        }
    }

    #[test]
    fn the_layout_is_frozen() {
        let old = Config { seat: Some(seat()), ..Config::of(&[node(1), node(2)]) };
        let new = Config { in_sync: vec![node(2)], seat: None, ..old.clone() };
        let entry = ConfigEntry {
            at: Position::new(Term::new(Lineage(1), 2), Index(3)),
            record: ConfigRecord::Joint { old, new },
        };
        let bytes = entry.encoded();
        let (n1, n2, n9) = ("01".repeat(16), "02".repeat(16), "09".repeat(16));
        let golden = format!(
            "02000000010000000300000000000000\
             01\
             02000000{n1}{n2}02000000{n1}{n2}01{n9}020100000063\
             02000000{n1}{n2}01000000{n2}00"
        );
        assert_eq!(bytes.iter().map(|b| format!("{b:02x}")).collect::<String>(), golden);
        assert_eq!(ConfigEntry::from_all(&Bytes::from(bytes)), Ok(entry));
    }

    #[test]
    fn positions_compare_like_logs() {
        let at = |term, index| Position::new(Term(term), Index(index));
        assert!(at(2, 1) > at(1, 9));
        assert!(at(2, 2) > at(2, 1));
    }
}
