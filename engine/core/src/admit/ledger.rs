//! How much room is left: each brick in sync reports what was free when its tree stood at an index; what was admitted after
//! that index is on its way there and counts as taken.

use std::collections::{BTreeMap, VecDeque};

use rfs_model::op::Allocate;
use rfs_model::{Index, NodeId, Op};

use super::scene::blocks;
use super::view::Room;

/// Charges that are kept one by one; older ones are merged in pairs, which only overstates what is taken.
const CHARGES: usize = 1 << 16;

#[derive(Clone, Copy, Debug)]
struct Charge {
    index: Index,
    /// Sums of this and all charges before it.
    bytes: u128,
    inodes: u128,
}

impl Charge {
    const NONE: Self = Self { index: Index::ZERO, bytes: 0, inodes: 0 };
}

#[derive(Clone, Debug)]
pub struct Ledger {
    reports: BTreeMap<NodeId, (Index, Room)>,
    charges: VecDeque<Charge>,
    /// The newest charge that all reports have seen.
    base: Charge,
}

impl Default for Ledger {
    fn default() -> Self {
        Self { reports: BTreeMap::new(), charges: VecDeque::new(), base: Charge::NONE }
    }
}

impl Ledger {
    /// A brick in sync has `free` left, its reserve taken off, with its tree at index `at`.
    pub fn report(&mut self, brick: NodeId, at: Index, free: Room) {
        self.reports.insert(brick, (at, free));
        let seen = self.reports.values().map(|(at, _)| *at).min().unwrap_or_default();
        while self.charges.front().is_some_and(|c| c.index <= seen) {
            self.base = self.charges.pop_front().unwrap_or(self.base);
        }
    }

    /// Only these bricks count from now on.
    pub fn retain(&mut self, in_sync: &[NodeId]) {
        self.reports.retain(|brick, _| in_sync.contains(brick));
    }

    /// The record at `index` takes this much.
    pub fn charge(&mut self, index: Index, taken: Room) {
        if taken == (Room { bytes: 0, inodes: 0 }) {
            return;
        }
        let last = self.charges.back().copied().unwrap_or(self.base);
        let bytes = last.bytes + u128::from(taken.bytes);
        let inodes = last.inodes + u128::from(taken.inodes);
        self.charges.push_back(Charge { index, bytes, inodes });
        if self.charges.len() > CHARGES {
            // The newest one holds the total and stays.
            let mut keep = self.charges.len().is_multiple_of(2);
            self.charges.retain(|_| {
                keep = !keep;
                keep
            });
        }
    }

    /// The smallest room over the bricks that have reported; unlimited before any has.
    #[must_use]
    pub fn room(&self) -> Room {
        self.reports.values().fold(Room::UNLIMITED, |least, (at, free)| {
            let taken = self.charged_after(*at);
            let left = |free: u64, taken: u128| free.saturating_sub(u64::try_from(taken).unwrap_or(u64::MAX));
            Room {
                bytes: least.bytes.min(left(free.bytes, taken.0)),
                inodes: least.inodes.min(left(free.inodes, taken.1)),
            }
        })
    }

    fn charged_after(&self, at: Index) -> (u128, u128) {
        let total = self.charges.back().unwrap_or(&self.base);
        let seen = match self.charges.partition_point(|c| c.index <= at) {
            0 => &self.base,
            n => self.charges.get(n - 1).unwrap_or(&self.base),
        };
        (total.bytes - seen.bytes, total.inodes - seen.inodes)
    }
}

/// What an outcome may take at the most, for bricks that did not admit it themselves.
#[must_use]
pub(super) fn cost(op: &Op) -> Room {
    match op {
        Op::Make { .. } => Room { inodes: 1, ..blocks(4096) },
        Op::Link { .. } => blocks(4096),
        Op::Write { data, .. } => blocks(data.len() as u64 + 4095),
        Op::Allocate { range: Allocate { mode, len, .. }, .. } if mode & 2 == 0 => {
            blocks(len.saturating_add(4095))
        }
        Op::SetXattr { value, .. } => blocks(value.len() as u64),
        _ => Room { bytes: 0, inodes: 0 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: NodeId = NodeId([1; 16]);
    const B: NodeId = NodeId([2; 16]);

    fn room(bytes: u64) -> Room {
        Room { bytes, inodes: 100 }
    }

    #[test]
    fn the_smallest_brick_counts_and_what_is_on_its_way_is_taken() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.room(), Room::UNLIMITED);
        ledger.report(A, Index(10), room(10_000));
        ledger.report(B, Index(8), room(9_000));
        assert_eq!(ledger.room(), room(9_000));
        ledger.charge(Index(9), room(0));
        ledger.charge(Index(11), Room { bytes: 4_000, inodes: 1 });
        assert_eq!(ledger.room(), Room { bytes: 5_000, inodes: 0 });
        ledger.report(B, Index(11), Room { bytes: 4_990, inodes: 99 });
        assert_eq!(ledger.room().bytes, 4_990);
        ledger.report(A, Index(11), room(100));
        assert_eq!(ledger.room(), Room { bytes: 100, inodes: 99 });
        ledger.retain(&[B]);
        assert_eq!(ledger.room().bytes, 4_990);
        ledger.charge(Index(12), Room { bytes: 5_000, inodes: 0 });
        assert_eq!(ledger.room().bytes, 0, "never below nothing");
    }

    #[test]
    fn merged_charges_are_never_forgotten() {
        let mut ledger = Ledger::default();
        ledger.report(A, Index(0), Room { bytes: 1 << 40, inodes: 1 << 40 });
        let n = 3 * CHARGES as u64 + 7;
        for i in 1..=n {
            ledger.charge(Index(i), Room { bytes: 10, inodes: 1 });
        }
        assert_eq!(ledger.room(), Room { bytes: (1 << 40) - 10 * n, inodes: (1 << 40) - n });
        let half = n / 2;
        ledger.report(A, Index(half), Room { bytes: 1 << 40, inodes: 1 << 40 });
        let left = (1u64 << 40) - ledger.room().bytes;
        assert!((10 * (n - half)..10 * (n - half) + 1000).contains(&left), "{left}");
    }
}
