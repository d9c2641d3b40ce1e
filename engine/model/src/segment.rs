//! A segment: one file of the journal, a header and then records; and the header copy, its companion file.
//!
//! ```text
//! offset  size  field
//!      0     8  magic "rfs-seg1"; in the header copy "rfs-hdr1"
//!      8     8  generation: counted up by one each time that a file is put to use
//!     16     8  first index
//!     24     8  term of the record before the first (0 before index 1)
//!     32     8  floor: the log was once synced up to here, and is damaged as long as it ends below; 0: none
//!     40     8  size of the segment file, bytes
//!     48     4  chain: header CRC of the record before the first (0 before index 1)
//!     52     1  start: 1 continue, 2 cut, 3 reset
//!     53     7  zero
//!     60     4  CRC-32 of bytes 0..60
//! ```
//!
//! Records begin at [`DATA_OFFSET`] and lie without gaps. In the header copy, the header of the record with the index
//! `first + k` lies at `DATA_OFFSET + 40 k`, written only once the record itself was synced. A file whose first 64 bytes
//! are zero is a spare.

use crate::codec::{Decode, DecodeError, Encode, Reader};
use crate::ids::{Index, Term};
use crate::limits::RECORD_BYTES;
use crate::record::HEADER_BYTES;
use crate::tagged;
use bytes::Bytes;

/// Size of a segment's header, bytes. It lies in one sector, so it is written whole or not at all.
pub const SEGMENT_HEADER_BYTES: usize = 64;
/// Where the first record lies, and in the header copy the first record header.
pub const DATA_OFFSET: u64 = 4096;
/// Smallest segment, bytes: tests use it. Not every record fits: those that do not are refused.
pub const SEGMENT_BYTES_MIN: u64 = 1024 * 1024;
/// Largest segment, bytes: offsets inside it are kept in 32 bits.
pub const SEGMENT_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// Highest generation of a segment: a thousand files a second for 36 million years. It is counted on from there.
const GENERATION_MAX: u64 = 1 << 60;

const CRC_AT: usize = SEGMENT_HEADER_BYTES - 4;
const _: () = assert!(DATA_OFFSET.is_multiple_of(8) && SEGMENT_HEADER_BYTES <= 512);
const _: () =
    assert!(RECORD_BYTES as u64 + DATA_OFFSET + (HEADER_BYTES as u64) < crate::limits::SEGMENT_BYTES);
const _: () = assert!(SEGMENT_BYTES_MAX <= u32::MAX as u64);

/// How a segment relates to those of lower generations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// It goes on where the one before it was full.
    Continue,
    /// It begins at an index at which the log was cut: what earlier segments hold from there on is void.
    Cut,
    /// The log begins here: everything earlier is void.
    Reset,
}
tagged!(Start, "a segment's start", { 1 => Continue {}, 2 => Cut {}, 3 => Reset {} });

/// Which of the two files a header stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Segment,
    Copy,
}

impl Side {
    fn magic(self) -> [u8; 8] {
        match self {
            Self::Segment => *b"rfs-seg1",
            Self::Copy => *b"rfs-hdr1",
        }
    }
}

/// The header of a segment and of its header copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    pub generation: u64,
    pub first: Index,
    /// Term of the record before the first.
    pub before_term: Term,
    /// Header CRC of the record before the first.
    pub before_chain: u32,
    pub start: Start,
    pub floor: Index,
    /// Size of the segment file, bytes.
    pub bytes: u64,
}

/// Why 64 bytes are not a segment header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SegmentProblem {
    #[error("the header is empty")]
    Blank,
    #[error("this is not a journal file")]
    Magic,
    #[error("the header's checksum is wrong")]
    Crc,
    #[error("the header is not well formed: {0}")]
    Field(DecodeError),
    #[error("a size of {0} bytes is out of bounds")]
    Size(u64),
    #[error("the record before the first makes no sense")]
    Before,
}

impl SegmentHeader {
    #[must_use]
    pub fn to_bytes(&self, side: Side) -> [u8; SEGMENT_HEADER_BYTES] {
        let mut out = [0; SEGMENT_HEADER_BYTES];
        out[..8].copy_from_slice(&side.magic());
        let words = [self.generation, self.first.0, self.before_term.0, self.floor.0, self.bytes];
        for (slot, word) in out[8..48].chunks_exact_mut(8).zip(words) {
            slot.copy_from_slice(&word.to_le_bytes());
        }
        out[48..52].copy_from_slice(&self.before_chain.to_le_bytes());
        out[52] = self.start.encoded()[0];
        let crc = crc32fast::hash(&out[..CRC_AT]);
        out[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// # Errors
    /// [`SegmentProblem`]; [`SegmentProblem::Blank`] for a spare.
    pub fn from_bytes(bytes: &[u8; SEGMENT_HEADER_BYTES], side: Side) -> Result<Self, SegmentProblem> {
        if bytes.iter().all(|b| *b == 0) {
            return Err(SegmentProblem::Blank);
        }
        if bytes[..8] != side.magic() {
            return Err(SegmentProblem::Magic);
        }
        if crc32fast::hash(&bytes[..CRC_AT]).to_le_bytes() != bytes[CRC_AT..] {
            return Err(SegmentProblem::Crc);
        }
        let body = Bytes::copy_from_slice(&bytes[8..]);
        let header = Self::fields(&mut Reader::new(&body)).map_err(SegmentProblem::Field)?;
        header.problem().map_or(Ok(header), Err)
    }

    fn fields(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (generation, first, before_term) = (r.u64()?, Index(r.u64()?), Term(r.u64()?));
        let (floor, bytes) = (Index(r.u64()?), r.u64()?);
        let (before_chain, start) = (r.u32()?, Start::decode(r)?);
        Ok(Self { generation, first, before_term, before_chain, start, floor, bytes })
    }

    /// What is wrong with the values, if anything.
    #[must_use]
    pub fn problem(&self) -> Option<SegmentProblem> {
        let fits = (SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX).contains(&self.bytes);
        let indexes = self.first > Index::ZERO && self.first <= Index::LIMIT && self.floor <= Index::LIMIT;
        let known = indexes && (1..=GENERATION_MAX).contains(&self.generation);
        // Before the first record of all there is none.
        let nothing = self.before_term == Term(0) && self.before_chain == 0;
        if !self.before_term.is_believable() || (self.first == Index(1) && !nothing) {
            return Some(SegmentProblem::Before);
        }
        (!fits || !known || !self.bytes.is_multiple_of(DATA_OFFSET))
            .then_some(SegmentProblem::Size(self.bytes))
    }
}

/// Where the header copy of `first` keeps the header of `index`, bytes from the file's start.
#[must_use]
pub fn copy_offset(first: Index, index: Index) -> u64 {
    DATA_OFFSET + (index.0 - first.0) * HEADER_BYTES as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> SegmentHeader {
        SegmentHeader {
            generation: 3,
            first: Index(100),
            before_term: Term(7),
            before_chain: 0xdead_beef,
            start: Start::Cut,
            floor: Index(120),
            bytes: 64 << 20,
        }
    }

    #[test]
    fn the_layout_is_frozen() {
        let hex: String = sample().to_bytes(Side::Segment).iter().map(|b| format!("{b:02x}")).collect();
        let golden = "7266732d73656731030000000000000064000000000000000700000000000000\
                      78000000000000000000000400000000efbeadde020000000000000087cb85f4";
        assert_eq!(hex, golden);
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        for side in [Side::Segment, Side::Copy] {
            let good = sample().to_bytes(side);
            assert_eq!(SegmentHeader::from_bytes(&good, side), Ok(sample()));
            for bit in 0..good.len() * 8 {
                let mut bad = good;
                bad[bit / 8] ^= 1 << (bit % 8);
                assert!(SegmentHeader::from_bytes(&bad, side).is_err(), "bit {bit}");
            }
        }
    }

    #[test]
    fn the_two_files_are_not_mistaken_for_each_other() {
        let bytes = sample().to_bytes(Side::Copy);
        assert_eq!(SegmentHeader::from_bytes(&bytes, Side::Segment), Err(SegmentProblem::Magic));
        assert_eq!(SegmentHeader::from_bytes(&[0; 64], Side::Segment), Err(SegmentProblem::Blank));
    }

    #[test]
    fn before_the_first_record_of_all_there_is_none() {
        let header = |first, term, chain| {
            let before = SegmentHeader { before_term: Term(term), before_chain: chain, ..sample() };
            SegmentHeader { first: Index(first), ..before }.problem()
        };
        assert_eq!(header(1, 0, 0), None);
        assert_eq!(header(1, 1, 0), Some(SegmentProblem::Before));
        assert_eq!(header(1, 0, 7), Some(SegmentProblem::Before));
        assert_eq!(header(2, 1, 7), None);
        assert_eq!(header(2, u64::MAX, 7), Some(SegmentProblem::Before));
    }
}
