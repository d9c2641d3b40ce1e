//! The states that were seen: a fingerprint and the state before, for each; in parts, so that threads seldom wait.

use std::sync::{Mutex, MutexGuard, PoisonError};

const PART_BITS: u32 = 6;
const LOCAL_BITS: u32 = 32 - PART_BITS;

/// Names a state: part and place in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Id(u32);

/// About 27 bytes a state.
#[derive(Default)]
struct Part {
    prints: Vec<u128>,
    before: Vec<u32>,
    /// Open addressing, places plus 1; its length is a power of two.
    table: Vec<u32>,
}

pub struct Visited(Vec<Mutex<Part>>);

impl Default for Visited {
    fn default() -> Self {
        Self((0..1 << PART_BITS).map(|_| Mutex::default()).collect())
    }
}

impl Visited {
    fn part(&self, number: usize) -> MutexGuard<'_, Part> {
        self.0[number].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a state that was reached from another one; `None` when it is known.
    pub fn insert(&self, print: u128, before: Option<Id>) -> Option<Id> {
        let part = (print >> (128 - PART_BITS)) as usize;
        let local = self.part(part).insert(print, before.map_or(u32::MAX, |id| id.0))?;
        Some(Id((part as u32) << LOCAL_BITS | local))
    }

    pub fn len(&self) -> usize {
        (0..self.0.len()).map(|number| self.part(number).prints.len()).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The fingerprints on the way to a state, the first one first.
    pub fn way(&self, to: Id) -> Vec<u128> {
        let mut way = Vec::new();
        let mut next = to.0;
        while next != u32::MAX {
            let part = self.part((next >> LOCAL_BITS) as usize);
            let local = (next & ((1 << LOCAL_BITS) - 1)) as usize;
            way.push(part.prints[local]);
            next = part.before[local];
        }
        way.reverse();
        way
    }
}

impl Part {
    fn insert(&mut self, print: u128, before: u32) -> Option<u32> {
        if (self.prints.len() + 1) * 5 > self.table.len() * 3 {
            self.grow();
        }
        let place = self.find(print);
        if self.table[place] != 0 {
            return None;
        }
        let local = self.prints.len() as u32;
        assert!(local < 1 << LOCAL_BITS, "more states than a part can name");
        self.prints.push(print);
        self.before.push(before);
        self.table[place] = local + 1;
        Some(local)
    }

    fn find(&self, print: u128) -> usize {
        let mask = self.table.len() - 1;
        let mut place = print as usize & mask;
        while let Some(local) = self.table[place].checked_sub(1) {
            if self.prints[local as usize] == print {
                break;
            }
            place = (place + 1) & mask;
        }
        place
    }

    fn grow(&mut self) {
        self.table = vec![0; (self.table.len() * 2).max(64)];
        for local in 0..self.prints.len() {
            let place = self.find(self.prints[local]);
            self.table[place] = local as u32 + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_new_once_and_its_way_is_kept() {
        let visited = Visited::default();
        let spread = |n: u128| (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        let mut last = None;
        for n in 0..10_000 {
            last = visited.insert(spread(n), last);
            assert!(last.is_some());
        }
        assert_eq!((0..10_000).find(|n| visited.insert(spread(*n), None).is_some()), None);
        assert_eq!(visited.len(), 10_000);
        let way = visited.way(last.expect("the last one was new"));
        assert_eq!(way, (0..10_000).map(spread).collect::<Vec<_>>());
    }
}
