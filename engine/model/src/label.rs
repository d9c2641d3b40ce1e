//! A brick's label: whose directory this is, and whether its tree may be believed. One file of 64 bytes, replaced as a
//! whole.
//!
//! ```text
//! offset  size  field
//!      0     4  magic "rfsl"
//!      4     2  version of this layout, 1
//!      6     1  state: 1 creating, 2 live, 3 resyncing
//!      7     1  zero
//!      8    16  volume id
//!     24    16  node id
//!     40     4  number of the replica set within the volume, from 0
//!     44    16  identity of the brick: zero as `volume create` made it, random where `brick replace` did
//!     60     4  CRC-32 of bytes 0..60
//! ```

use crate::codec::{Decode, DecodeError, Encode, Reader};
use crate::ids::{BrickId, NodeId, VolumeId};
use crate::tagged;

/// What the directory beside the label is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BrickState {
    /// `volume create` has prepared it and not yet committed: on restart it is removed.
    Creating,
    /// A tree, an index of it with a checkpoint, and a log from there on.
    Live,
    /// A full copy from another brick is under way: neither tree nor index mean anything, the copy starts over.
    Resyncing,
}
tagged!(BrickState, "a brick's state", { 1 => Creating {}, 2 => Live {}, 3 => Resyncing {} });

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label {
    pub state: BrickState,
    pub volume: VolumeId,
    pub node: NodeId,
    /// Number of the replica set within the volume.
    pub set: u32,
    /// Tells a disk that took another one's place from that other one, should it return.
    pub brick: BrickId,
}

/// Size of a label, bytes.
pub const LABEL_BYTES: usize = 64;
const MAGIC: [u8; 4] = *b"rfsl";
const VERSION: u16 = 1;
const CRC_AT: usize = LABEL_BYTES - 4;

/// Why bytes are not a label of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LabelProblem {
    #[error("it is {0} bytes long, not {LABEL_BYTES}")]
    Size(usize),
    #[error("it is no brick label")]
    Magic,
    #[error("its version {0} is not known here (this is version {VERSION})")]
    Version(u16),
    #[error("its checksum is wrong")]
    Crc,
    #[error("its reserved bytes are not zero")]
    Reserved,
    #[error("it is not well formed: {0}")]
    Field(#[from] DecodeError),
}

impl Label {
    #[must_use]
    pub fn to_bytes(&self) -> [u8; LABEL_BYTES] {
        let mut out = Vec::with_capacity(LABEL_BYTES);
        out.extend_from_slice(&MAGIC);
        VERSION.encode(&mut out);
        self.state.encode(&mut out);
        out.push(0);
        self.volume.encode(&mut out);
        self.node.encode(&mut out);
        self.set.encode(&mut out);
        self.brick.encode(&mut out);
        out.resize(CRC_AT, 0);
        crc32fast::hash(&out).encode(&mut out);
        let mut label = [0; LABEL_BYTES];
        label.copy_from_slice(&out);
        label
    }

    /// # Errors
    /// [`LabelProblem`] names what is wrong with the bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, LabelProblem> {
        if bytes.len() != LABEL_BYTES {
            return Err(LabelProblem::Size(bytes.len()));
        }
        let source = bytes::Bytes::copy_from_slice(bytes);
        let mut r = Reader::new(&source);
        if r.array::<4>()? != MAGIC {
            return Err(LabelProblem::Magic);
        }
        let version = r.u16()?;
        if version != VERSION {
            return Err(LabelProblem::Version(version));
        }
        let crc = Reader::new(&source.slice(CRC_AT..)).u32()?;
        if crc != crc32fast::hash(&source[..CRC_AT]) {
            return Err(LabelProblem::Crc);
        }
        let state = BrickState::decode(&mut r)?;
        let pad = r.u8()?;
        let (volume, node) = (VolumeId::decode(&mut r)?, NodeId::decode(&mut r)?);
        let label = Self { state, volume, node, set: r.u32()?, brick: BrickId::decode(&mut r)? };
        if pad != 0 {
            return Err(LabelProblem::Reserved);
        }
        Ok(label)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Label {
        let (volume, node) = (VolumeId([0x11; 16]), NodeId([0x22; 16]));
        Label { state: BrickState::Live, volume, node, set: 3, brick: BrickId::NIL }
    }

    #[test]
    fn the_layout_is_frozen() {
        let golden = "7266736c0100020011111111111111111111111111111111222222222222222222222222222222220300000000000000\
                      000000000000000000000000184a57ec";
        let hex: String = sample().to_bytes().iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, golden);
        assert_eq!(Label::from_bytes(&sample().to_bytes()), Ok(sample()));
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let good = sample().to_bytes();
        for bit in 0..good.len() * 8 {
            let mut bad = good;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(Label::from_bytes(&bad).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn reserved_bytes_are_zero_and_sizes_exact() {
        let mut bad = sample().to_bytes();
        bad[7] = 1;
        let crc = crc32fast::hash(&bad[..CRC_AT]);
        bad[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(Label::from_bytes(&bad), Err(LabelProblem::Reserved));
        assert_eq!(Label::from_bytes(&bad[..63]), Err(LabelProblem::Size(63)));
        assert_eq!(Label::from_bytes(b""), Err(LabelProblem::Size(0)));
    }
}
