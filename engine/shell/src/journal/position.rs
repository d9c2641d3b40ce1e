//! A place in the log.

use rfs_model::record::HEADER_BYTES;
use rfs_model::segment::SegmentHeader;
use rfs_model::{Index, Meta, Term};

/// A record's index, term and header checksum. The zero position is the one before the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    pub index: Index,
    pub term: Term,
    /// [`Meta::crc`] of the record: the identity of the log up to here.
    pub chain: u32,
}

impl Position {
    pub(super) fn of(meta: &Meta) -> Self {
        Self { index: meta.index, term: meta.term, chain: meta.crc() }
    }

    /// Of a record whose header has been made already, so that its checksum need not be computed again.
    pub(super) fn of_header(meta: &Meta, header: &[u8; HEADER_BYTES]) -> Self {
        let [.., a, b, c, d] = *header;
        Self { index: meta.index, term: meta.term, chain: u32::from_le_bytes([a, b, c, d]) }
    }

    /// Before the first record of a segment.
    pub(super) fn before(header: &SegmentHeader) -> Self {
        Self { index: header.first.prev(), term: header.before_term, chain: header.before_chain }
    }
}
