//! A frame: one message on a connection.
//!
//! ```text
//! offset  size  field
//!      0     4  magic "rfsf"
//!      4     1  version of the frame layout, 1
//!      5     1  kind
//!      6     2  zero
//!      8     4  payload length, bytes, at most FRAME_BYTES
//!     12     4  CRC-32 of the payload
//!     16     4  CRC-32 of bytes 0..16
//!     20     n  payload
//! ```
//!
//! The header has its own checksum so that a length is believed only when it was sent by one of us.

mod buffers;
mod deframer;

use bytes::Bytes;

use crate::codec::{Decode, DecodeError, Encode};
use crate::limits::FRAME_BYTES;
use crate::tagged;

pub use deframer::Deframer;

/// Who reads a frame's payload. A connection carries `Hello` frames first, then frames of the one kind agreed there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FrameKind {
    /// [`crate::hello`]: who is calling and what for, and the answers until both trust each other.
    Hello,
    /// [`crate::peer`]: brick to brick, of one replica set.
    Peer,
    /// [`crate::peer`]: brick to witness and back.
    Witness,
    /// [`crate::client`]: mount to brick and back.
    Client,
    /// [`crate::admin`]: command line to daemon, and daemon to daemon, as JSON.
    Admin,
}
tagged!(FrameKind, "a frame kind", { 1 => Hello {}, 2 => Peer {}, 3 => Witness {}, 4 => Client {}, 5 => Admin {} });

/// Size of a frame's header, bytes.
pub const HEADER_BYTES: usize = 20;
const MAGIC: [u8; 4] = *b"rfsf";
const VERSION: u8 = 1;

/// A header that has been believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    pub kind: FrameKind,
    /// Payload length, bytes.
    pub len: usize,
    crc: u32,
}

/// Why bytes are not a frame of ours. The connection they came on is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameProblem {
    #[error("this is not the rfs protocol")]
    Magic,
    #[error("frame version {0} is not known here (this is version {VERSION})")]
    Version(u8),
    #[error("a frame's header has a wrong checksum")]
    HeaderCrc,
    #[error("a frame's payload has a wrong checksum")]
    PayloadCrc,
    #[error("a frame is not well formed: {0}")]
    Field(#[from] DecodeError),
}

impl FrameHeader {
    /// # Errors
    /// [`FrameProblem`].
    pub fn parse(bytes: &[u8; HEADER_BYTES]) -> Result<Self, FrameProblem> {
        let field = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        if bytes[..4] != MAGIC {
            return Err(FrameProblem::Magic);
        }
        if bytes[4] != VERSION {
            return Err(FrameProblem::Version(bytes[4]));
        }
        if crc32fast::hash(&bytes[..16]) != field(16) {
            return Err(FrameProblem::HeaderCrc);
        }
        let kind = FrameKind::from_all(&Bytes::copy_from_slice(&bytes[5..6]))?;
        let len = field(8) as usize;
        if len > FRAME_BYTES {
            let (value, limit) = (len as u64, FRAME_BYTES as u64);
            return Err(DecodeError::TooLarge { what: "a frame", value, limit }.into());
        }
        Ok(Self { kind, len, crc: field(12) })
    }

    /// # Errors
    /// [`FrameProblem::PayloadCrc`].
    pub fn check(&self, payload: &[u8]) -> Result<(), FrameProblem> {
        let same = payload.len() == self.len && crc32fast::hash(payload) == self.crc;
        if same { Ok(()) } else { Err(FrameProblem::PayloadCrc) }
    }
}

/// Appends one frame whose payload `fill` writes: header and payload become contiguous without a second copy.
///
/// # Panics
/// When the payload is larger than [`FRAME_BYTES`]: whoever builds it bounds it.
pub fn put_frame(out: &mut Vec<u8>, kind: FrameKind, fill: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.resize(start + HEADER_BYTES, 0);
    fill(out);
    let len = out.len() - start - HEADER_BYTES;
    assert!(len <= FRAME_BYTES, "a frame of {len} bytes");
    let crc = crc32fast::hash(&out[start + HEADER_BYTES..]);
    let header = &mut out[start..start + HEADER_BYTES];
    header[..4].copy_from_slice(&MAGIC);
    header[4] = VERSION;
    header[5] = kind.encoded()[0];
    header[8..12].copy_from_slice(&(len as u32).to_le_bytes());
    header[12..16].copy_from_slice(&crc.to_le_bytes());
    let header_crc = crc32fast::hash(&header[..16]);
    header[16..].copy_from_slice(&header_crc.to_le_bytes());
}

/// One message as a frame of its own.
#[must_use]
pub fn frame(kind: FrameKind, message: &impl Encode) -> Vec<u8> {
    let mut out = Vec::with_capacity(128);
    put_frame(&mut out, kind, |out| message.encode(out));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_whole_however_they_came_in() {
        let mut stream = frame(FrameKind::Client, &7u64);
        stream.extend(frame(FrameKind::Peer, &Bytes::from_static(b"abc")));
        for step in 1..stream.len() {
            let (mut deframer, mut got) = (Deframer::new(), Vec::new());
            for piece in stream.chunks(step) {
                deframer.push(piece);
                while let Some((kind, payload)) = deframer.next_frame().unwrap() {
                    got.push((kind, payload.to_vec()));
                }
            }
            assert_eq!(
                got,
                [(FrameKind::Client, 7u64.encoded()), (FrameKind::Peer, b"\x03\0\0\0abc".to_vec())]
            );
        }
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let good = frame(FrameKind::Client, &7u64);
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let mut deframer = Deframer::new();
            deframer.push(&bad);
            assert!(deframer.next_frame().is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_foreign_protocol_is_named() {
        let mut deframer = Deframer::new();
        deframer.push(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(deframer.next_frame().unwrap_err(), FrameProblem::Magic);
    }
}
