//! Configurations and records, packed into a byte and two, and quorums of them.

use std::fmt;

/// Bricks of a model, at most.
pub const BRICKS: usize = 3;
/// Witnesses of a model, at most.
pub const SEATS: usize = 2;

/// A set of voters: bit `i` is brick `i`, bit `3 + s` witness `s`.
pub type Voters = u8;

#[must_use]
pub const fn brick(i: usize) -> Voters {
    1 << i
}

#[must_use]
pub const fn witness(s: usize) -> Voters {
    1 << (BRICKS + s)
}

/// S (bits 0-2) and the seat (bits 3-4: none, witness 0, witness 1).
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Config(pub u8);

impl Config {
    #[must_use]
    pub const fn new(in_sync: Voters, seat: Option<usize>) -> Self {
        let seat = match seat {
            None => 0,
            Some(s) => s as u8 + 1,
        };
        Self(in_sync | seat << 3)
    }

    #[must_use]
    pub const fn in_sync(self) -> Voters {
        self.0 & 7
    }

    #[must_use]
    pub const fn seat(self) -> Option<usize> {
        (self.0 as usize >> 3).checked_sub(1)
    }

    /// The seat's bit.
    #[must_use]
    pub fn seat_bit(self) -> Voters {
        self.seat().map_or(0, witness)
    }

    #[must_use]
    pub const fn has(self, i: usize) -> bool {
        self.in_sync() & brick(i) != 0
    }

    /// Voters that a quorum of either kind needs: ⌊|S|/2⌋ + 1.
    #[must_use]
    pub const fn size(self) -> u32 {
        self.in_sync().count_ones() / 2 + 1
    }

    #[must_use]
    pub const fn is_even(self) -> bool {
        self.in_sync().count_ones().is_multiple_of(2)
    }

    /// The brick as all of S.
    #[must_use]
    pub const fn is_alone(self, i: usize) -> bool {
        self.in_sync() == brick(i)
    }
}

/// What a record is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Data,
    Noop,
    Joint,
    Final,
}

/// A record without its index: term (bits 0-3), kind (4-5), old configuration (6-10), new one (11-15). Zero is none.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Record(pub u16);

impl Record {
    #[must_use]
    pub const fn data(term: u8) -> Self {
        Self(term as u16)
    }

    #[must_use]
    pub const fn noop(term: u8) -> Self {
        Self(term as u16 | 1 << 4)
    }

    #[must_use]
    pub const fn joint(term: u8, old: Config, new: Config) -> Self {
        Self(term as u16 | 2 << 4 | (old.0 as u16) << 6 | (new.0 as u16) << 11)
    }

    #[must_use]
    pub const fn last(term: u8, config: Config) -> Self {
        Self(term as u16 | 3 << 4 | (config.0 as u16) << 11)
    }

    #[must_use]
    pub const fn term(self) -> u8 {
        (self.0 & 15) as u8
    }

    #[must_use]
    pub const fn kind(self) -> Kind {
        match self.0 >> 4 & 3 {
            0 => Kind::Data,
            1 => Kind::Noop,
            2 => Kind::Joint,
            _ => Kind::Final,
        }
    }

    #[must_use]
    pub const fn is_config(self) -> bool {
        self.0 >> 5 & 1 == 1
    }

    #[must_use]
    pub const fn is_joint(self) -> bool {
        self.0 >> 4 & 3 == 2
    }

    #[must_use]
    pub const fn old(self) -> Config {
        Config((self.0 >> 6 & 31) as u8)
    }

    /// The configuration in force, or being entered.
    #[must_use]
    pub const fn target(self) -> Config {
        Config((self.0 >> 11) as u8)
    }

    /// The same configuration, as a record of another term.
    #[must_use]
    pub const fn again(self, term: u8) -> Self {
        Self(self.0 & !15 | term as u16)
    }

    /// One configuration, or both of a joint one.
    pub fn configs(self) -> impl Iterator<Item = Config> {
        let old = self.is_joint().then(|| self.old());
        old.into_iter().chain([self.target()])
    }

    #[must_use]
    pub fn has(self, i: usize) -> bool {
        self.configs().any(|config| config.has(i))
    }

    /// The witnesses that have a say.
    #[must_use]
    pub fn seats(self) -> Voters {
        self.configs().fold(0, |seats, config| seats | config.seat_bit())
    }

    /// The bricks that have one.
    #[must_use]
    pub fn bricks(self) -> Voters {
        self.configs().fold(0, |bricks, config| bricks | config.in_sync())
    }
}

/// A configuration record and where it stands; ordered as logs are compared.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    pub index: u8,
    pub record: Record,
}

impl Placed {
    /// Term, then index.
    #[must_use]
    pub const fn at(self) -> (u8, u8) {
        (self.record.term(), self.index)
    }
}

impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for i in (0..BRICKS).filter(|i| self.has(*i)) {
            write!(f, "{}", name(i))?;
        }
        self.seat().map_or(Ok(()), |s| write!(f, "+w{s}"))
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let term = self.term();
        match self.kind() {
            Kind::Data => write!(f, "{term}:data"),
            Kind::Noop => write!(f, "{term}:noop"),
            Kind::Joint => write!(f, "{term}:joint({} to {})", self.old(), self.target()),
            Kind::Final => write!(f, "{term}:final({})", self.target()),
        }
    }
}

/// What a trace calls a brick.
#[must_use]
pub fn name(i: usize) -> char {
    ['A', 'B', 'C'][i]
}
