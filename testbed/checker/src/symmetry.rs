//! No rule looks at a name, so states that differ in the names of bricks and witnesses only are one state.

use crate::config::{BRICKS, Config, Record, SEATS, Voters};
use crate::state::{Brick, Register, State, Witness};

/// Another naming.
struct Renaming {
    /// New number of each brick.
    bricks: [usize; BRICKS],
    seats: [usize; SEATS],
    voters: [Voters; 32],
    configs: [u8; 32],
}

/// All namings of a replica set.
pub struct Symmetry {
    namings: Vec<Renaming>,
    bricks: usize,
    seats: usize,
}

impl Symmetry {
    #[must_use]
    pub fn new(bricks: usize, seats: usize) -> Self {
        let mut all = Vec::new();
        for brick in permutations(bricks) {
            for seat in permutations(seats) {
                all.push(Renaming::new(&brick, &seat));
            }
        }
        Self { namings: all, bricks, seats }
    }

    /// The one of the equivalent states that stands for them all.
    #[must_use]
    pub fn canonical(&self, state: &State) -> State {
        let (bricks, seats) =
            (state.bricks.map(|brick| key(&brick)), state.witnesses.map(|w| (w.lost, w.register)));
        let fits = |names: &&Renaming| {
            let (mut b, mut s) = (bricks, seats);
            for i in 0..BRICKS {
                b[names.bricks[i]] = bricks[i];
            }
            for i in 0..SEATS {
                s[names.seats[i]] = seats[i];
            }
            // The votes that registers hold bear names: they are no part of the order.
            let by_register = |(lost, r): &(bool, Register)| (*lost, r.term, r.config, r.stored_in);
            b[..self.bricks].is_sorted() && s[..self.seats].is_sorted_by_key(by_register)
        };
        let renamed = self.namings.iter().filter(fits).map(|names| names.state(state));
        renamed.min().expect("one of all orders is the sorted one")
    }
}

/// What of a brick bears no name.
fn key(brick: &Brick) -> (u8, u8, u64) {
    let lead = &brick.lead;
    let marks = [
        brick.journaled,
        brick.synced,
        brick.agreed,
        brick.vouched,
        lead.committed,
        lead.first,
        brick.role as u8 * 3 + brick.trust as u8,
        u8::from(brick.holds) << 3 | u8::from(lead.own_joint) << 2 | u8::from(brick.voted > 0),
    ];
    (brick.term, brick.len, u64::from_be_bytes(marks))
}

/// Numbers that stand for the first `count`, the others fixed: new number of each.
fn permutations<const N: usize>(count: usize) -> Vec<[usize; N]> {
    let fixed = std::array::from_fn(|i| i);
    let mut all = vec![fixed];
    for place in 1..count {
        let longer = all.iter().flat_map(|p| {
            (0..=place).map(move |other| {
                let mut p = *p;
                p.swap(place, other);
                p
            })
        });
        all = longer.collect();
    }
    all
}

impl Renaming {
    fn new(bricks: &[usize; BRICKS], seats: &[usize; SEATS]) -> Self {
        let bit = |i: usize| if i < BRICKS { bricks[i] } else { BRICKS + seats[i - BRICKS] };
        let voters: [u8; 32] = std::array::from_fn(|mask| {
            (0..BRICKS + SEATS).filter(|i| mask >> i & 1 == 1).fold(0, |all, i| all | 1 << bit(i))
        });
        let configs = std::array::from_fn(|packed| {
            let config = Config(packed as u8);
            let seat = config.seat().map(|s| seats.get(s).copied().unwrap_or(s));
            Config::new(voters[usize::from(config.in_sync())], seat).0
        });
        Self { bricks: *bricks, seats: *seats, voters, configs }
    }

    fn state(&self, from: &State) -> State {
        let mut to = *from;
        for i in 0..BRICKS {
            to.bricks[self.bricks[i]] = self.brick(&from.bricks[i]);
        }
        for s in 0..SEATS {
            to.witnesses[self.seats[s]] = self.witness(&from.witnesses[s]);
        }
        self.log(&mut to.promised.log);
        to
    }

    fn brick(&self, from: &Brick) -> Brick {
        let mut to = *from;
        self.log(&mut to.log);
        to.ahead = self.record(from.ahead);
        to.voted = self.vote(from.voted);
        to.saved.1 = self.vote(from.saved.1);
        to.votes = self.voters[usize::from(from.votes)];
        to.suspects = self.voters[usize::from(from.suspects)];
        let lead = &mut to.lead;
        for i in 0..BRICKS {
            lead.ended[self.bricks[i]] = from.lead.ended[i];
            lead.journaled[self.bricks[i]] = from.lead.journaled[i];
            lead.synced[self.bricks[i]] = from.lead.synced[i];
        }
        lead.stored = self.voters[usize::from(from.lead.stored)];
        lead.lease = self.voters[usize::from(from.lead.lease)];
        lead.round = self.voters[usize::from(from.lead.round)];
        to
    }

    fn witness(&self, from: &Witness) -> Witness {
        let register = |r: Register| Register { voted: self.vote(r.voted), ..r };
        Witness { register: register(from.register), saved: register(from.saved), ..*from }
    }

    fn vote(&self, voted: u8) -> u8 {
        if voted == 0 { 0 } else { self.bricks[usize::from(voted) - 1] as u8 + 1 }
    }

    fn log(&self, log: &mut [Record]) {
        for record in log {
            *record = self.record(*record);
        }
    }

    fn record(&self, from: Record) -> Record {
        if !from.is_config() {
            return from;
        }
        let [old, new] = [from.old(), from.target()].map(|c| u16::from(self.configs[usize::from(c.0)]));
        Record(from.0 & 0x3f | old << 6 | new << 11)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{brick, witness};

    #[test]
    fn there_are_as_many_namings_as_permutations() {
        for (bricks, seats, namings) in [(2, 1, 2), (2, 2, 4), (3, 1, 6), (3, 2, 12)] {
            assert_eq!(Symmetry::new(bricks, seats).namings.len(), namings);
        }
    }

    #[test]
    fn names_do_not_matter() {
        let symmetry = Symmetry::new(3, 2);
        let mut state = State::genesis(3, 2, false);
        state.bricks[1].voted = 3;
        state.bricks[1].term = 2;
        state.bricks[2].lead.journaled[1] = 1;
        state.bricks[2].votes = brick(1) | witness(1);
        state.witnesses[1].register.voted = 3;
        let wanted = symmetry.canonical(&state);
        for names in &symmetry.namings {
            let renamed = names.state(&state);
            assert!(symmetry.canonical(&renamed) == wanted);
        }
        assert!(symmetry.canonical(&wanted) == wanted);
    }
}
