//! Damage done to files on purpose, while no daemon has them open.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Flips one bit of one byte in each `every` bytes from `from` on, where there is anything but zeroes. Returns how many
/// bytes it changed.
pub fn flip_bits(file: &Path, from: u64, every: usize) -> io::Result<usize> {
    let bytes = fs::read(file)?;
    let target = OpenOptions::new().write(true).open(file)?;
    let mut flipped = 0;
    for (offset, byte) in used(&bytes, from).step_by(every.max(1)) {
        target.write_all_at(&[byte ^ 0x10], offset)?;
        flipped += 1;
    }
    Ok(flipped)
}

fn used(bytes: &[u8], from: u64) -> impl Iterator<Item = (u64, u8)> {
    let numbered = (0u64..).zip(bytes.iter().copied());
    numbered.filter(move |(offset, byte)| *offset >= from && *byte != 0)
}

/// Cuts a file short.
pub fn truncate(file: &Path, bytes: u64) -> io::Result<()> {
    File::options().write(true).open(file)?.set_len(bytes)
}

/// The segments of a brick's log, in the order of their names.
pub fn segments(brick: &Path) -> io::Result<Vec<PathBuf>> {
    let log = brick.join(".rfs/log");
    let mut all: Vec<PathBuf> = fs::read_dir(log)?.flatten().map(|e| e.path()).collect();
    all.retain(|p| p.extension().is_some_and(|e| e == "seg"));
    all.sort();
    Ok(all)
}

/// Where the used part of a zeroed-ahead file ends.
pub fn used_bytes(file: &Path) -> io::Result<u64> {
    let bytes = fs::read(file)?;
    let last = bytes.iter().rposition(|b| *b != 0);
    Ok(last.map_or(0, |at| at as u64 + 1))
}

/// Zeroes the last `bytes` of the used part of a segment: what a loss of power does to records that were never synced.
pub fn lose_tail(segment: &Path, bytes: u64) -> io::Result<()> {
    let end = used_bytes(segment)?;
    let from = end.saturating_sub(bytes);
    let zeroes = vec![0; usize::try_from(end - from).unwrap_or(0)];
    OpenOptions::new().write(true).open(segment)?.write_all_at(&zeroes, from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_is_done_where_it_is_meant() {
        let file = std::env::temp_dir().join(format!("rfs-damage-{}", std::process::id()));
        fs::write(&file, [1, 2, 3, 4, 0, 0]).unwrap();
        assert_eq!(used_bytes(&file).unwrap(), 4);
        assert_eq!(flip_bits(&file, 1, 2).unwrap(), 2);
        assert_eq!(fs::read(&file).unwrap(), [1, 0x12, 3, 0x14, 0, 0]);
        lose_tail(&file, 2).unwrap();
        assert_eq!(fs::read(&file).unwrap(), [1, 0x12, 0, 0, 0, 0]);
        fs::remove_file(file).unwrap();
    }
}
