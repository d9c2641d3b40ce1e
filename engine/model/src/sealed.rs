//! Small files that are replaced as a whole (written beside, fsynced, renamed, directory fsynced): a magic, a version, the
//! content, a checksum.
//!
//! ```text
//! offset  size  field
//!      0     4  magic
//!      4     2  version of the content's layout
//!      6     2  length of the content, bytes
//!      8     n  content
//!    8+n     4  CRC-32 of bytes 0..8+n
//! ```

use bytes::Bytes;

use crate::codec::{Decode, DecodeError, Encode};

const HEAD_BYTES: usize = 8;
const CRC_BYTES: usize = 4;

/// Why bytes are not such a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealProblem {
    #[error("it is cut short or too long")]
    Size,
    #[error("it is a file of another kind")]
    Magic,
    #[error("its version {0} is not known here")]
    Version(u16),
    #[error("its checksum is wrong")]
    Crc,
    #[error("it is not well formed: {0}")]
    Field(#[from] DecodeError),
    #[error("its content makes no sense")]
    Content,
}

/// # Panics
/// When the content is 64 KiB or longer: the types that are kept so are bounded.
pub fn seal(magic: [u8; 4], version: u16, content: &impl Encode) -> Vec<u8> {
    let content = content.encoded();
    let len = u16::try_from(content.len()).expect("a sealed file is shorter than 64 KiB");
    let mut out = Vec::with_capacity(HEAD_BYTES + content.len() + CRC_BYTES);
    out.extend_from_slice(&magic);
    out.extend_from_slice(&version.to_le_bytes());
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(&content);
    let crc = crc32fast::hash(&out);
    out.extend_from_slice(&crc.to_le_bytes());
    out
}

/// # Errors
/// [`SealProblem`].
pub fn unseal<T: Decode>(magic: [u8; 4], version: u16, bytes: &[u8]) -> Result<T, SealProblem> {
    let Some((covered, crc)) = bytes.split_last_chunk::<CRC_BYTES>() else { return Err(SealProblem::Size) };
    let Some((head, content)) = covered.split_first_chunk::<HEAD_BYTES>() else {
        return Err(SealProblem::Size);
    };
    if head[..4] != magic {
        return Err(SealProblem::Magic);
    }
    let got = u16::from_le_bytes([head[4], head[5]]);
    if got != version {
        return Err(SealProblem::Version(got));
    }
    if usize::from(u16::from_le_bytes([head[6], head[7]])) != content.len() {
        return Err(SealProblem::Size);
    }
    if crc32fast::hash(covered) != u32::from_le_bytes(*crc) {
        return Err(SealProblem::Crc);
    }
    Ok(T::from_all(&Bytes::copy_from_slice(content))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAGIC: [u8; 4] = *b"rfsx";

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let good = seal(MAGIC, 1, &7u64);
        assert_eq!(unseal::<u64>(MAGIC, 1, &good), Ok(7));
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(unseal::<u64>(MAGIC, 1, &bad).is_err(), "bit {bit}");
        }
        for len in 0..good.len() {
            assert!(unseal::<u64>(MAGIC, 1, &good[..len]).is_err(), "length {len}");
        }
    }

    #[test]
    fn another_kind_or_version_is_named() {
        let file = seal(MAGIC, 2, &7u64);
        assert_eq!(unseal::<u64>(*b"rfsy", 2, &file), Err(SealProblem::Magic));
        assert_eq!(unseal::<u64>(MAGIC, 1, &file), Err(SealProblem::Version(2)));
    }
}
