//! A record: one entry of the log. Its bytes are the same in the journal, on the wire and in memory.
//!
//! ```text
//! offset  size  field
//!      0     4  magic "rfs1"
//!      4     4  payload length, bytes
//!      8     8  index
//!     16     8  term (lineage in the upper half)
//!     24     1  kind
//!     25     3  zero
//!     28     4  CRC-32 of the payload
//!     32     4  chain: header CRC of the record before it (0 for index 1)
//!     36     4  CRC-32 of bytes 0..36
//!     40     n  payload, then zeros up to a multiple of 8
//! ```
//!
//! The chain tells the live end of a log from stale records behind it that an earlier life of the segment, or a tail that
//! was cut off, left there: they never chain to the record that now stands before them.

use bytes::Bytes;

use crate::codec::{Decode, DecodeError, Encode, Reader};
use crate::ids::{Index, Term};
use crate::limits::RECORD_BYTES;
use crate::tagged;

/// Who reads a record's payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecordKind {
    /// A new leader's first record; empty.
    Noop,
    /// A configuration of the replica set, read by the consensus core.
    Config,
    /// The state of the volume: name, status, options ([`crate::volume::VolumeState`]).
    Volume,
    /// An outcome ([`crate::op::Stamped`]).
    Op,
}
tagged!(RecordKind, "a record kind", { 1 => Noop {}, 2 => Config {}, 3 => Volume {}, 4 => Op {} });

/// What the consensus core sees of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta {
    pub index: Index,
    pub term: Term,
    pub kind: RecordKind,
    /// Payload length, bytes.
    pub len: u32,
    /// CRC-32 of the payload.
    pub payload_crc: u32,
    /// [`Meta::crc`] of the record before this one; 0 for index 1.
    pub chain: u32,
}

/// Size of a record's header, bytes.
pub const HEADER_BYTES: usize = 40;
const MAGIC: [u8; 4] = *b"rfs1";

/// Why 40 bytes are not a record header, or a payload not that header's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordProblem {
    #[error("no record starts here")]
    Magic,
    #[error("the header's checksum is wrong")]
    HeaderCrc,
    #[error("the payload's checksum is wrong")]
    PayloadCrc,
    #[error("the payload is cut short")]
    Short,
    #[error("the header is not well formed: {0}")]
    Field(DecodeError),
}

impl Meta {
    fn prefix(&self) -> [u8; 36] {
        let mut out = [0; 36];
        out[0..4].copy_from_slice(&MAGIC);
        out[4..8].copy_from_slice(&self.len.to_le_bytes());
        out[8..16].copy_from_slice(&self.index.0.to_le_bytes());
        out[16..24].copy_from_slice(&self.term.0.to_le_bytes());
        out[24] = self.kind.encoded()[0];
        out[28..32].copy_from_slice(&self.payload_crc.to_le_bytes());
        out[32..36].copy_from_slice(&self.chain.to_le_bytes());
        out
    }

    /// The header's checksum: the identity of this record, and of the whole log up to it by way of the chain.
    #[must_use]
    pub fn crc(&self) -> u32 {
        crc32fast::hash(&self.prefix())
    }

    #[must_use]
    pub fn header(&self) -> [u8; HEADER_BYTES] {
        let prefix = self.prefix();
        let mut out = [0; HEADER_BYTES];
        out[..36].copy_from_slice(&prefix);
        out[36..].copy_from_slice(&crc32fast::hash(&prefix).to_le_bytes());
        out
    }

    /// # Errors
    /// [`RecordProblem`] when these bytes are not a header of ours. The payload is not looked at.
    pub fn from_header(bytes: &[u8; HEADER_BYTES]) -> Result<Self, RecordProblem> {
        let field = |at: usize| {
            let mut b = [0; 4];
            b.copy_from_slice(&bytes[at..at + 4]);
            u32::from_le_bytes(b)
        };
        let wide = |at: usize| u64::from(field(at)) | u64::from(field(at + 4)) << 32;
        if bytes[..4] != MAGIC {
            return Err(RecordProblem::Magic);
        }
        if crc32fast::hash(&bytes[..36]) != field(36) {
            return Err(RecordProblem::HeaderCrc);
        }
        let kind = Bytes::copy_from_slice(&bytes[24..25]);
        let kind = RecordKind::from_all(&kind).map_err(RecordProblem::Field)?;
        let len = field(4);
        if len as usize > RECORD_BYTES {
            let (value, limit) = (len.into(), RECORD_BYTES as u64);
            return Err(RecordProblem::Field(DecodeError::TooLarge { what: "a record", value, limit }));
        }
        let (index, term) = (Index(wide(8)), Term(wide(16)));
        if index > Index::LIMIT {
            let (value, limit) = (index.0, Index::LIMIT.0);
            return Err(RecordProblem::Field(DecodeError::TooLarge { what: "an index", value, limit }));
        }
        Ok(Self { index, term, kind, len, payload_crc: field(28), chain: field(32) })
    }

    /// Bytes that the record takes in a segment or a frame, padding included.
    #[must_use]
    pub fn stored_bytes(&self) -> usize {
        HEADER_BYTES + (self.len as usize).next_multiple_of(8)
    }
}

/// A record with its payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub meta: Meta,
    pub payload: Bytes,
}

impl Record {
    /// Makes the record that follows one with the header checksum `chain`.
    ///
    /// # Panics
    /// When the payload is larger than [`RECORD_BYTES`]: requests are bounded before they get here.
    #[must_use]
    pub fn new(index: Index, term: Term, kind: RecordKind, chain: u32, payload: Bytes) -> Self {
        assert!(payload.len() <= RECORD_BYTES, "a record of {} bytes", payload.len());
        let payload_crc = crc32fast::hash(&payload);
        let meta = Meta { index, term, kind, len: payload.len() as u32, payload_crc, chain };
        Self { meta, payload }
    }

    /// # Errors
    /// [`RecordProblem::PayloadCrc`] when the payload is not the one that the header was made for.
    pub fn verify(&self) -> Result<(), RecordProblem> {
        let same = self.payload.len() == self.meta.len as usize
            && crc32fast::hash(&self.payload) == self.meta.payload_crc;
        if same { Ok(()) } else { Err(RecordProblem::PayloadCrc) }
    }
}

impl Encode for Record {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.meta.header());
        out.extend_from_slice(&self.payload);
        out.resize(out.len() + self.payload.len().next_multiple_of(8) - self.payload.len(), 0);
    }
}

impl Record {
    /// Reads one record and checks both checksums. The payload shares the reader's buffer.
    ///
    /// # Errors
    /// [`RecordProblem`].
    pub fn read(r: &mut Reader<'_>) -> Result<Self, RecordProblem> {
        let header = r.array::<HEADER_BYTES>().map_err(|_| RecordProblem::Short)?;
        let meta = Meta::from_header(&header)?;
        let padded = meta.stored_bytes() - HEADER_BYTES;
        if r.remaining() < padded {
            return Err(RecordProblem::Short);
        }
        let payload = r.take(padded).map_err(RecordProblem::Field)?.slice(..meta.len as usize);
        let record = Self { meta, payload };
        record.verify()?;
        Ok(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Record {
        Record::new(Index(7), Term(3), RecordKind::Op, 0x55, Bytes::from_static(b"payload"))
    }

    #[test]
    fn the_layout_is_frozen() {
        let bytes = sample().encoded();
        assert_eq!(bytes.len(), 48);
        let golden = "72667331070000000700000000000000030000000000000004000000156a2c4255000000557ab2507061796c6f616400";
        let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, golden);
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let good = sample().encoded();
        for bit in 0..(good.len() - 1) * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let bad = Bytes::from(bad);
            assert!(Record::read(&mut Reader::new(&bad)).is_err(), "bit {bit}");
        }
        let good = Bytes::from(good);
        assert_eq!(Record::read(&mut Reader::new(&good)), Ok(sample()));
    }

    #[test]
    fn a_short_record_is_short() {
        let good = Bytes::from(sample().encoded());
        for len in 0..good.len() {
            assert_eq!(Record::read(&mut Reader::new(&good.slice(..len))), Err(RecordProblem::Short));
        }
    }
}
