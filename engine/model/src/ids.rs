//! Identities. Each noun is its own type, so that a log index can never be passed where a term is wanted.

use std::fmt;

use crate::codec::{Decode, DecodeError, Encode, Reader};

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl $name {
            pub const ZERO: Self = Self(0);

            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0 + 1)
            }

            #[must_use]
            pub const fn prev(self) -> Self {
                Self(self.0.saturating_sub(1))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl Encode for $name {
            fn encode(&self, out: &mut Vec<u8>) {
                self.0.encode(out);
            }
        }

        impl Decode for $name {
            fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Ok(Self(r.u64()?))
            }
        }
    };
}

number!(
    /// Position of a record in the log of a replica set. The first record has index 1; 0 means "before the log".
    Index
);
number!(
    /// Number of a session's request, counted from 1 by the mount, without gaps, in the order of submission.
    Seq
);

/// How often an operator has overruled the votes of a volume. It sorts above every term.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lineage(pub u32);

/// An election term: the lineage in the upper half, Raft's term number in the lower, so that one comparison orders both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Term(pub u64);

impl Index {
    /// No log gets so long: a million records a second for 36,000 years. Whoever names a higher one lies.
    pub const LIMIT: Self = Self(1 << 60);
}

impl Seq {
    /// No mount asks for so much, for the same reason.
    pub const LIMIT: Self = Self(1 << 60);
}

impl Term {
    pub const ZERO: Self = Self(0);
    /// Numbers of terms end here: an election a second for 136 years.
    const LIMIT: u32 = u32::MAX - 0xffff;
    /// The highest lineage that is believed of others: an operator can begin 4,096 more.
    const LINEAGE_LIMIT: u32 = 0xf000_0000;

    /// Whether a brick of ours can be in this term.
    #[must_use]
    pub const fn is_believable(self) -> bool {
        self.number() <= Self::LIMIT && self.lineage().0 <= Self::LINEAGE_LIMIT
    }

    /// Whether there is another term in this lineage. Without one only an operator's new lineage helps.
    #[must_use]
    pub const fn has_next(self) -> bool {
        self.number() < Self::LIMIT
    }

    #[must_use]
    pub const fn new(lineage: Lineage, number: u32) -> Self {
        Self((lineage.0 as u64) << 32 | number as u64)
    }

    #[must_use]
    pub const fn lineage(self) -> Lineage {
        Lineage((self.0 >> 32) as u32)
    }

    #[must_use]
    pub const fn number(self) -> u32 {
        self.0 as u32
    }

    /// The next term of the same lineage.
    ///
    /// # Panics
    /// When 2^32 - 1 elections have been held in one lineage.
    #[must_use]
    pub fn next(self) -> Self {
        assert!(self.number() < u32::MAX, "term numbers of lineage {} are used up", self.lineage().0);
        Self(self.0 + 1)
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.lineage().0 {
            0 => self.number().fmt(f),
            lineage => write!(f, "{lineage}.{}", self.number()),
        }
    }
}

impl Encode for Term {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
}

impl Decode for Term {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(r.u64()?))
    }
}

macro_rules! uuid {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 16]);

        impl $name {
            pub const NIL: Self = Self([0; 16]);

            #[must_use]
            pub fn is_nil(self) -> bool {
                self.0 == [0; 16]
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                for (i, byte) in self.0.iter().enumerate() {
                    if matches!(i, 4 | 6 | 8 | 10) {
                        f.write_str("-")?;
                    }
                    write!(f, "{byte:02x}")?;
                }
                Ok(())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl std::str::FromStr for $name {
            type Err = DecodeError;

            fn from_str(text: &str) -> Result<Self, DecodeError> {
                parse_uuid(text).map(Self).ok_or(DecodeError::Text("uuid"))
            }
        }

        impl Encode for $name {
            fn encode(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.0);
            }
        }

        impl Decode for $name {
            fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Ok(Self(r.array()?))
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
                text.parse().map_err(|_| serde::de::Error::custom("not a uuid"))
            }
        }
    };
}

uuid!(
    /// A machine that runs a daemon. Names and addresses are hints; this is who it is. A brick is named by its node's id,
    /// since a replica set never has two bricks on one node.
    NodeId
);
uuid!(
    /// A volume, for ever: a volume that is deleted and made again under the same name is another one.
    VolumeId
);
uuid!(
    /// A witness register. A register that is lost and made anew is a new seat, hence a stranger.
    SeatId
);
uuid!(
    /// One mount's life.
    SessionId
);

uuid!(
    /// A brick's directory, where `brick replace` made it; nil for one that `volume create` made.
    BrickId
);

fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let digits: Vec<u8> = text.bytes().filter(|b| *b != b'-').collect();
    if digits.len() != 32 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let mut out = [0; 16];
    for (byte, pair) in out.iter_mut().zip(digits.chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(out)
}

/// Who an inode is: the term and index of the record that created it. Never used again, not even when a tail of the log
/// was lost and its indexes are given out a second time (the term differs then).
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InodeId {
    pub term: Term,
    pub index: Index,
}

impl InodeId {
    /// Size of the encoded identity, which is also the value of the xattr `trusted.rfs.id`.
    pub const BYTES: usize = 16;
    /// The root directory of every volume.
    pub const ROOT: Self = Self { term: Term::ZERO, index: Index(1) };
    /// Nobody.
    pub const NIL: Self = Self { term: Term::ZERO, index: Index::ZERO };

    const INDEX_BITS: u32 = 42;

    /// Whether a record of any log can have created it.
    #[must_use]
    pub fn is_believable(&self) -> bool {
        self.term.is_believable() && self.index <= Index::LIMIT
    }

    /// The 64-bit inode number that programs see: stable across failover and remount, 1 for the root.
    ///
    /// It folds the lower 22 bits of the term over a 42-bit index. Two inodes collide only when more than 4 * 10^12
    /// records or 4 million elections lie between them and they were never alive in one log.
    #[must_use]
    pub const fn number(self) -> u64 {
        let index = self.index.0 & ((1 << Self::INDEX_BITS) - 1);
        let term = self.term.number() as u64 + ((self.term.lineage().0 as u64) << 16);
        index | term << Self::INDEX_BITS
    }

    #[must_use]
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut out = [0; Self::BYTES];
        out[..8].copy_from_slice(&self.term.0.to_be_bytes());
        out[8..].copy_from_slice(&self.index.0.to_be_bytes());
        out
    }

    #[must_use]
    pub fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        let (term, index) = bytes.split_at(8);
        let number = |half: &[u8]| half.iter().fold(0u64, |n, b| n << 8 | u64::from(*b));
        Self { term: Term(number(term)), index: Index(number(index)) }
    }
}

impl fmt::Display for InodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{:x}", self.term.0, self.index.0)
    }
}

impl fmt::Debug for InodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InodeId({self})")
    }
}

impl std::str::FromStr for InodeId {
    type Err = DecodeError;

    fn from_str(text: &str) -> Result<Self, DecodeError> {
        let wrong = DecodeError::Text("inode id");
        let (term, index) = text.split_once('-').ok_or(wrong)?;
        let hex = |s| u64::from_str_radix(s, 16).map_err(|_| wrong);
        Ok(Self { term: Term(hex(term)?), index: Index(hex(index)?) })
    }
}

impl Encode for InodeId {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_bytes());
    }
}

impl Decode for InodeId {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self::from_bytes(r.array()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lineage_sorts_above_every_term() {
        assert!(Term::new(Lineage(1), 0) > Term::new(Lineage(0), u32::MAX));
        assert_eq!(Term::new(Lineage(2), 7).to_string(), "2.7");
    }

    #[test]
    fn identities_survive_their_text_and_bytes() {
        let id = InodeId { term: Term::new(Lineage(1), 9), index: Index(0xabc) };
        assert_eq!(InodeId::from_bytes(id.to_bytes()), id);
        assert_eq!(id.to_string().parse::<InodeId>(), Ok(id));
        let volume = VolumeId([7; 16]);
        assert_eq!(volume.to_string().parse::<VolumeId>(), Ok(volume));
        assert!("7".parse::<VolumeId>().is_err());
    }

    #[test]
    fn the_root_is_inode_one() {
        assert_eq!(InodeId::ROOT.number(), 1);
    }
}
