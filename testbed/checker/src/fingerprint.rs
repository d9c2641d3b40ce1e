//! 128 bits for a state. Of n states, two have the same fingerprint with a probability of about n²/2¹²⁹: for 10⁸ states,
//! 1.5 · 10⁻²³.

use std::hash::{Hash, Hasher};

/// Two lanes of folded multiplication, in the manner of wyhash.
struct Lanes {
    lanes: [u64; 2],
    word: u64,
    bits: u32,
}

const KEYS: [u64; 4] =
    [0xa076_1d64_78bd_642f, 0xe703_7ed1_a0b4_28db, 0x8ebc_6af0_9c88_c6e3, 0x5899_65cc_7537_4cc3];

fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product >> 64) as u64 ^ product as u64
}

impl Lanes {
    fn word(&mut self, word: u64) {
        self.lanes[0] = fold(self.lanes[0] ^ word ^ KEYS[0], KEYS[1]);
        self.lanes[1] = fold(self.lanes[1].rotate_left(23) ^ word ^ KEYS[2], KEYS[3]).wrapping_add(word);
    }

    fn push(&mut self, value: u64, bits: u32) {
        if self.bits + bits > 64 {
            self.word(self.word);
            (self.word, self.bits) = (0, 0);
        }
        self.word |= value << self.bits;
        self.bits += bits;
    }
}

impl Hasher for Lanes {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u8(*byte));
    }

    fn write_u8(&mut self, value: u8) {
        self.push(u64::from(value), 8);
    }

    fn write_u16(&mut self, value: u16) {
        self.push(u64::from(value), 16);
    }

    /// The lengths of arrays, which are the same in all states.
    fn write_usize(&mut self, _: usize) {}

    /// Discriminants.
    fn write_isize(&mut self, value: isize) {
        self.push(value as u64 & 0xff, 8);
    }

    fn finish(&self) -> u64 {
        self.lanes[0]
    }
}

/// The fingerprint of a state of fixed size.
#[must_use]
pub fn of(state: &impl Hash) -> u128 {
    let mut hasher = Lanes { lanes: [KEYS[1], KEYS[3]], word: 0, bits: 0 };
    state.hash(&mut hasher);
    hasher.word(hasher.word);
    let [a, b] = hasher.lanes;
    let (a, b) = (fold(a ^ KEYS[2], b ^ KEYS[0]), fold(b ^ KEYS[3], a.rotate_left(31) ^ KEYS[1]));
    u128::from(a) << 64 | u128::from(b)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::state::State;

    #[test]
    fn each_byte_matters_in_both_halves() {
        let mut halves = [BTreeSet::new(), BTreeSet::new()];
        let mut count = 0;
        for brick in 0..3 {
            for value in 0..=255 {
                let mut state = State::genesis(3, 1, false);
                state.bricks[brick].term = value;
                state.bricks[brick].lead.synced[2] = 7;
                let print = of(&state);
                halves[0].insert((print >> 64) as u64);
                halves[1].insert(print as u64);
                count += 1;
            }
        }
        // The state in which the term is what it was is counted once for each brick, but differs by its mark.
        assert_eq!(halves.map(|half| half.len()), [count, count]);
    }
}
