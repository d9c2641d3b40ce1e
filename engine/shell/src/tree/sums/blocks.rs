//! A set of block numbers, as ranges.

use std::ops::Range;

/// Ranges that one set keeps at the most: behind that the two nearest become one.
const RANGES: usize = 1024;

/// Sorted, none empty, no two that touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::tree) struct Blocks(Vec<Range<u64>>);

impl Blocks {
    pub(in crate::tree) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(in crate::tree) fn ranges(&self) -> &[Range<u64>] {
        &self.0
    }

    pub(in crate::tree) fn has(&self, block: u64) -> bool {
        let at = self.0.partition_point(|range| range.end <= block);
        self.0.get(at).is_some_and(|range| range.contains(&block))
    }

    /// Adds a range; what one set may hold too much of is made coarser, never lost.
    pub(in crate::tree) fn add(&mut self, new: Range<u64>) {
        if new.is_empty() {
            return;
        }
        let from = self.0.partition_point(|range| range.end < new.start);
        let to = self.0.partition_point(|range| range.start <= new.end);
        if from == to {
            self.0.insert(from, new);
            if self.0.len() > RANGES {
                self.join_nearest();
            }
            return;
        }
        self.0[from] = self.0[from].start.min(new.start)..self.0[to - 1].end.max(new.end);
        self.0.drain(from + 1..to);
    }

    pub(in crate::tree) fn remove(&mut self, old: Range<u64>) {
        let mut kept = Vec::with_capacity(self.0.len() + 1);
        for range in self.0.drain(..) {
            let parts = [range.start..range.end.min(old.start), range.start.max(old.end)..range.end];
            kept.extend(parts.into_iter().filter(|part| !part.is_empty()));
        }
        self.0 = kept;
    }

    fn join_nearest(&mut self) {
        let gap = |i: &usize| self.0[i + 1].start - self.0[*i].end;
        let Some(at) = (0..self.0.len().saturating_sub(1)).min_by_key(gap) else { return };
        self.0[at].end = self.0[at + 1].end;
        self.0.remove(at + 1);
    }

    /// Takes out up to `max` blocks from the lowest on, in one range; those from `end` on are forgotten.
    pub(in crate::tree) fn take_below(&mut self, end: u64, max: u64) -> Option<Range<u64>> {
        self.0.retain(|range| range.start < end);
        if let Some(last) = self.0.last_mut() {
            last.end = last.end.min(end);
        }
        let first = self.0.first_mut()?;
        if first.end - first.start <= max {
            return Some(self.0.remove(0));
        }
        let taken = first.start..first.start + max;
        first.start = taken.end;
        Some(taken)
    }

    /// The blocks of the 32 from `first` on that are in the set, as bits.
    pub(in crate::tree) fn mask(&self, first: u64) -> u32 {
        let end = first.saturating_add(32);
        let at = self.0.partition_point(|range| range.end <= first);
        let mut mask = 0;
        for range in self.0[at..].iter().take_while(|range| range.start < end) {
            mask |= bits(range.start.max(first) - first..range.end.min(end) - first);
        }
        mask
    }
}

/// A mask with the bits of the range set; at most 32.
pub(in crate::tree) fn bits(range: Range<u64>) -> u32 {
    let upto = |n: u64| if n >= 32 { u32::MAX } else { (1u32 << n) - 1 };
    upto(range.end) & !upto(range.start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks() {
        let table =
            [(0..0, 0), (0..1, 1), (0..32, u32::MAX), (31..32, 1 << 31), (4..6, 0x30), (0..99, u32::MAX)];
        for (range, want) in table {
            assert_eq!(bits(range.clone()), want, "{range:?}");
        }
    }

    #[test]
    fn a_set_is_the_union_of_what_was_added() {
        let mut blocks = Blocks::default();
        for range in [5..7, 9..10, 40..50, 7..9, 0..1, 45..60, 3..3] {
            blocks.add(range);
        }
        assert_eq!(blocks.ranges(), [0..1, 5..10, 40..60]);
        assert!(blocks.has(0) && !blocks.has(1) && blocks.has(9) && !blocks.has(10) && blocks.has(59));
        assert_eq!(blocks.mask(0), bits(0..1) | bits(5..10));
        assert_eq!(blocks.mask(32), bits(8..28));
        assert_eq!(blocks.mask(64), 0);
        let mut fewer = blocks.clone();
        fewer.remove(6..42);
        assert_eq!(fewer.ranges(), [0..1, 5..6, 42..60]);
        fewer.remove(0..99);
        assert!(fewer.is_empty());
        assert_eq!(blocks.take_below(50, 3), Some(0..1));
        assert_eq!(blocks.take_below(50, 3), Some(5..8));
        assert_eq!(blocks.ranges(), [8..10, 40..50]);
        assert_eq!(blocks.take_below(8, 3), None);
        assert!(blocks.is_empty());
    }

    #[test]
    fn a_full_set_grows_coarser_and_forgets_nothing() {
        let mut blocks = Blocks::default();
        for i in 0..3 * RANGES as u64 {
            blocks.add(i * 3..i * 3 + 1);
        }
        assert!(blocks.ranges().len() <= RANGES);
        assert!((0..3 * RANGES as u64).all(|i| blocks.has(i * 3)));
    }
}
