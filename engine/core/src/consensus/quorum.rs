//! Quorums: pure functions of a configuration and of who has said yes.
//!
//! | bricks in sync | commit quorum | election quorum |
//! |---|---|---|
//! | 1 | it | it |
//! | 2 | both | two of both and the witness |
//! | 3 | two | two |
//! | 4 | three | three of the four and the witness |
//!
//! Both sizes are ⌊|S|/2⌋ + 1; the difference is that a witness, which exists when |S| is even, counts for elections only. A
//! commit quorum and an election quorum of one configuration always have a *brick* in common: c + e = 2⌊|S|/2⌋ + 2 voters
//! out of |S| + w, and at most one of them is the witness.

use rfs_model::config::{Config, ConfigRecord};
use rfs_model::{Index, NodeId, SeatId};

/// Voters that a quorum of either kind needs.
pub(super) fn size(config: &Config) -> usize {
    config.in_sync.len() / 2 + 1
}

/// Whether the bricks of S that satisfy `yes` are a commit quorum.
pub(super) fn commits(config: &Config, yes: impl Fn(NodeId) -> bool) -> bool {
    config.in_sync.iter().filter(|brick| yes(**brick)).count() >= size(config)
}

/// The highest index that a commit quorum has reached.
pub(super) fn reached(config: &Config, mark: impl Fn(NodeId) -> Index) -> Index {
    let mut marks: [Index; rfs_model::limits::BRICKS] = Default::default();
    let count = config.in_sync.len();
    for (slot, brick) in marks.iter_mut().zip(&config.in_sync) {
        *slot = mark(*brick);
    }
    let marks = &mut marks[..count];
    marks.sort_unstable();
    marks[count - size(config)]
}

/// Whether the bricks and the seat that say yes are an election quorum.
pub(super) fn elects(config: &Config, brick: impl Fn(NodeId) -> bool, seat: impl Fn(SeatId) -> bool) -> bool {
    let bricks = config.in_sync.iter().filter(|id| brick(**id)).count();
    let seats = config.seat.as_ref().filter(|holder| config.wants_seat() && seat(holder.id)).map_or(0, |_| 1);
    bricks > 0 && bricks + seats >= size(config)
}

/// Whether they could elect a brick whose last configuration is `record`: a joint one needs both quorums.
pub(super) fn elects_all(
    record: &ConfigRecord,
    brick: impl Fn(NodeId) -> bool,
    seat: impl Fn(SeatId) -> bool,
) -> bool {
    record.configs().all(|config| elects(config, &brick, &seat))
}

/// Whether those that keep still (`brick`, `seat`) leave no election quorum free, under none of the configurations.
pub(super) fn blocks(
    record: &ConfigRecord,
    brick: impl Fn(NodeId) -> bool,
    seat: impl Fn(SeatId) -> bool,
) -> bool {
    record.configs().all(|config| !elects(config, |id| !brick(id), |id| !seat(id)))
}

#[cfg(test)]
mod tests {
    use rfs_model::config::Seat;
    use rfs_model::hello::SeatClass;

    use super::*;

    const W: SeatId = SeatId([9; 16]);

    fn node(n: usize) -> NodeId {
        NodeId([n as u8 + 1; 16])
    }

    fn set(bricks: usize, witness: bool) -> Config {
        let all: Vec<_> = (0..bricks).map(node).collect();
        let seat = witness.then(|| Seat { id: W, class: SeatClass::PoolNode, host: String::new() });
        Config { seat, ..Config::of(&all) }
    }

    /// Bits 0.. are bricks; bit 7 is the witness.
    fn brick(votes: u8) -> impl Fn(NodeId) -> bool + Copy {
        move |id| (0..4).any(|n| node(n) == id && votes >> n & 1 == 1)
    }

    fn seat(votes: u8) -> impl Fn(SeatId) -> bool + Copy {
        move |id| id == W && votes >> 7 == 1
    }

    const fn w(bricks: u8) -> u8 {
        bricks | 0x80
    }

    #[test]
    fn who_elects() {
        let table: &[(usize, bool, u8, bool)] = &[
            (1, false, 0b1, true),
            (1, false, 0b0, false),
            (2, false, 0b01, false),
            (2, false, 0b11, true),
            (2, false, w(0b01), false), // a stranger's vote
            (2, true, 0b01, false),
            (2, true, w(0b00), false),
            (2, true, w(0b01), true),
            (2, true, w(0b10), true),
            (2, true, 0b11, true),
            (3, false, 0b001, false),
            (3, false, 0b011, true),
            (3, false, 0b111, true),
            (4, false, 0b0011, false),
            (4, false, 0b0111, true),
            (4, true, 0b0011, false),
            (4, true, w(0b0001), false),
            (4, true, w(0b0011), true),
            (4, true, 0b0111, true),
        ];
        for (bricks, witness, votes, elected) in table {
            let config = set(*bricks, *witness);
            let got = elects(&config, brick(*votes), seat(*votes));
            assert_eq!(got, *elected, "{bricks} bricks, witness {witness}, votes {votes:08b}");
        }
    }

    #[test]
    fn who_commits() {
        let table: &[(usize, u8, bool)] = &[
            (1, 0b1, true),
            (2, 0b01, false),
            (2, w(0b01), false), // a witness never counts for a commit
            (2, 0b11, true),
            (3, 0b001, false),
            (3, 0b011, true),
            (4, 0b0011, false),
            (4, w(0b0011), false),
            (4, 0b0111, true),
        ];
        for (bricks, votes, committed) in table {
            assert_eq!(
                commits(&set(*bricks, true), brick(*votes)),
                *committed,
                "{bricks} bricks, {votes:08b}"
            );
        }
    }

    #[test]
    fn reached_is_the_mark_of_the_slowest_member_of_the_quickest_quorum() {
        let marks = [7u64, 5, 9, 3];
        let of = |id: NodeId| Index(marks[usize::from(id.0[0]) - 1]);
        let got: Vec<_> = (1..=4).map(|n| reached(&set(n, false), of).0).collect();
        assert_eq!(got, [7, 5, 7, 5]);
    }

    /// Every commit quorum meets every election quorum in a brick, and two election quorums meet in a voter.
    #[test]
    fn quorums_intersect() {
        for (bricks, witness) in [(1, false), (2, false), (2, true), (3, false), (4, false), (4, true)] {
            let config = set(bricks, witness);
            let votes = || (0..1u8 << bricks).flat_map(|v| [v, w(v)]);
            for (a, b) in votes().flat_map(|a| votes().map(move |b| (a, b))) {
                if !elects(&config, brick(a), seat(a)) {
                    continue;
                }
                if commits(&config, brick(b)) {
                    assert!(a & b & 0x7f != 0, "{config:?}: {a:08b} elects, {b:08b} commits");
                }
                if elects(&config, brick(b), seat(b)) {
                    assert!(a & b != 0, "{config:?}: {a:08b} and {b:08b} elect");
                }
            }
        }
    }

    #[test]
    fn a_joint_configuration_needs_both() {
        let (two, one) = (set(2, true), Config { in_sync: vec![node(0)], seat: None, ..set(2, true) });
        let shrink = ConfigRecord::Joint { old: two.clone(), new: one.clone() };
        let grow = ConfigRecord::Joint { old: one, new: two };
        let table: &[(&ConfigRecord, u8, bool)] = &[
            (&shrink, 0b01, false),
            (&shrink, w(0b10), false), // a quorum of the old, none of the new
            (&shrink, w(0b01), true),
            (&shrink, 0b11, true),
            (&grow, 0b01, false),
            (&grow, w(0b01), true),
            (&grow, w(0b10), false),
        ];
        for (record, votes, elected) in table {
            assert_eq!(elects_all(record, brick(*votes), seat(*votes)), *elected, "{record:?} {votes:08b}");
        }
    }

    #[test]
    fn a_lease_leaves_no_election_quorum_free() {
        let alone = |config: Config| ConfigRecord::Final { config };
        let table: &[(usize, bool, u8, bool)] = &[
            (1, false, 0b1, true),
            (2, false, 0b01, true), // without a witness nobody is elected without this brick
            (2, true, 0b01, false),
            (2, true, w(0b01), true),
            (2, true, 0b11, true),
            (3, false, 0b001, false),
            (3, false, 0b011, true),
            (4, true, 0b0011, false),
            (4, true, w(0b0011), true),
        ];
        for (bricks, witness, held, safe) in table {
            let record = alone(set(*bricks, *witness));
            assert_eq!(blocks(&record, brick(*held), seat(*held)), *safe, "{bricks}, {witness}, {held:08b}");
        }
    }
}
