//! The network between any two parties: delay, loss, repetition, and directions that are cut.

use std::collections::{BTreeMap, BTreeSet};

use crate::rng::Rng;

/// Whoever has an address: bricks from 0, witnesses from [`SEATS`], clients from [`CLIENTS`].
pub type Party = usize;

pub const SEATS: Party = 8;
pub const CLIENTS: Party = 16;

/// A slow way takes so long at the most, microseconds: longer than a lease lasts.
const SLOW_US: u64 = 250_000;

/// How a direction between two parties fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Everything disappears.
    Silent,
    /// New connections are refused, what is under way disappears.
    Reject,
}

#[derive(Debug, Default)]
pub struct Net {
    cuts: BTreeMap<(Party, Party), Cut>,
    /// Percent of datagrams lost, and repeated.
    pub loss: u64,
    pub repeats: u64,
    /// Largest delay, microseconds.
    pub delay_us: u64,
    /// Slow ways, from one party to another.
    pub slow: BTreeSet<(Party, Party)>,
}

impl Net {
    pub fn cut(&mut self, from: Party, to: Party, how: Cut) {
        self.cuts.insert((from, to), how);
    }

    pub fn heal(&mut self) {
        *self = Self::default();
    }

    /// How the way there and back is cut.
    #[must_use]
    pub fn both(&self, a: Party, b: Party) -> Option<Cut> {
        self.cuts.get(&(a, b)).or(self.cuts.get(&(b, a))).copied()
    }

    #[must_use]
    pub fn passes(&self, from: Party, to: Party) -> bool {
        !self.cuts.contains_key(&(from, to))
    }

    /// The delays of a datagram's copies, microseconds: none when it is lost.
    pub fn carry(&self, rng: &mut Rng, from: Party, to: Party) -> Vec<u64> {
        if !self.passes(from, to) || rng.below(100) < self.loss {
            return Vec::new();
        }
        let mut copies = vec![self.delay(rng, from, to)];
        if rng.below(100) < self.repeats {
            copies.push(rng.within(1_000, 400_000));
        }
        copies
    }

    /// Whether datagrams arrive, and in order, as over TCP.
    #[must_use]
    pub fn is_orderly(&self) -> bool {
        self.loss == 0 && self.repeats == 0 && self.delay_us == 0
    }

    pub fn delay(&self, rng: &mut Rng, from: Party, to: Party) -> u64 {
        let most = if self.slow.contains(&(from, to)) { SLOW_US } else { self.delay_us.max(400) };
        rng.within(150, most)
    }
}
