//! The sums of one chunk of a file: 32 blocks of 4 KiB.

use rfs_model::{DecodeError, Encode, Reader};

use crate::tree::entry::checked;

/// What one sum is of, bytes. Behind the end of the file a block counts as zeros.
pub(in crate::tree) const BLOCK: u64 = 4096;
/// Blocks of a chunk: the bits of a mask.
pub(in crate::tree) const BLOCKS: u64 = 32;
/// Bytes of a chunk.
pub const CHUNK: u64 = BLOCK * BLOCKS;

/// What is known of a chunk's blocks; a block without a sum is not checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::tree) struct ChunkSums {
    /// Blocks that have a sum.
    pub(in crate::tree) known: u32,
    /// Blocks that are known not to hold what was written, and must not be read.
    pub(in crate::tree) rotten: u32,
    sums: [u32; BLOCKS as usize],
}

impl ChunkSums {
    pub(in crate::tree) fn is_empty(&self) -> bool {
        self.known == 0 && self.rotten == 0
    }

    pub(in crate::tree) fn get(&self, block: u32) -> Option<u32> {
        (self.known >> block & 1 == 1).then(|| self.sums[block as usize])
    }

    pub(in crate::tree) fn set(&mut self, block: u32, sum: u32) {
        self.known |= 1 << block;
        self.sums[block as usize] = sum;
    }

    /// The blocks of the mask have been written.
    pub(in crate::tree) fn drop(&mut self, mask: u32) {
        self.known &= !mask;
        self.rotten &= !mask;
    }

    /// The value in the index: both masks, the sums of the known blocks, CRC-32 of all that.
    pub(in crate::tree) fn to_value(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(12 + 4 * self.known.count_ones() as usize);
        self.known.encode(&mut out);
        self.rotten.encode(&mut out);
        (0..BLOCKS as u32).filter_map(|block| self.get(block)).for_each(|sum| sum.encode(&mut out));
        crc32fast::hash(&out).encode(&mut out);
        out
    }

    pub(in crate::tree) fn from_value(value: &[u8]) -> Result<Self, DecodeError> {
        let body = bytes::Bytes::copy_from_slice(checked(value)?);
        let mut r = Reader::new(&body);
        let (known, rotten) = (r.u32()?, r.u32()?);
        let mut out = Self { known: 0, rotten, sums: [0; BLOCKS as usize] };
        for block in (0..BLOCKS as u32).filter(|block| known >> block & 1 == 1) {
            out.set(block, r.u32()?);
        }
        r.end()?;
        Ok(out)
    }
}

/// The sum of one block, of which `data` is the beginning: the rest lies behind the end of the file.
pub(in crate::tree) fn sum(data: &[u8]) -> u32 {
    const ZEROS: [u8; BLOCK as usize] = [0; BLOCK as usize];
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(data);
    hasher.update(&ZEROS[data.len().min(BLOCK as usize)..]);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> ChunkSums {
        let mut sums = ChunkSums { rotten: 1 << 7, ..ChunkSums::default() };
        sums.set(0, 0x0102_0304);
        sums.set(31, 0xa0b0_c0d0);
        sums
    }

    #[test]
    fn the_layout_is_frozen() {
        let hex: String = sample().to_value().iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, "01000080800000000403020 1d0c0b0a0".replace(' ', "") + &hex[32..]);
        assert_eq!(ChunkSums::from_value(&sample().to_value()), Ok(sample()));
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let good = sample().to_value();
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(ChunkSums::from_value(&bad).is_err(), "bit {bit}");
        }
        assert!(ChunkSums::from_value(b"").is_err());
    }

    #[test]
    fn a_short_block_is_as_one_of_zeros_behind() {
        let mut whole = [0; BLOCK as usize];
        whole[..3].copy_from_slice(b"end");
        assert_eq!(sum(b"end"), sum(&whole));
        assert_eq!(sum(&whole), crc32fast::hash(&whole));
        assert_ne!(sum(b"end"), sum(b"enD"));
    }
}
