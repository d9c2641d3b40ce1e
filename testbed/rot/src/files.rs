//! The damage itself.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rfs_cluster::damage::{segments, used_bytes};

/// The xattr that says who an inode is.
pub const IDENTITY: &str = "trusted.rfs.id";
/// Bytes of a segment's header, and where records begin behind it.
const SEGMENT_HEADER: u64 = 64;
const RECORD_HEADER: u64 = 40;

/// Flips one bit of one byte that is not zero, from `from` on and before `upto`. Returns where.
///
/// # Errors
/// When there is no such byte, or the file cannot be read or written.
pub fn flip_one(file: &Path, from: u64, upto: u64, dice: &mut fastrand::Rng) -> io::Result<u64> {
    let bytes = fs::read(file)?;
    let numbered = (0u64..).zip(&bytes).filter(|(at, byte)| (from..upto).contains(at) && **byte != 0);
    let used: Vec<u64> = numbered.map(|(at, _)| at).collect();
    let at = *dice.choice(&used).ok_or_else(|| io::Error::other(format!("{} is empty", file.display())))?;
    let byte = bytes[usize::try_from(at).unwrap_or_default()];
    let target = OpenOptions::new().write(true).open(file)?;
    let modified = target.metadata()?.modified()?;
    target.write_all_at(&[byte ^ (1 << dice.u8(0..8))], at)?;
    // A disk that rots does not tell the time.
    target.set_modified(modified)?;
    target.sync_all()?;
    Ok(at)
}

/// Where a file of that size may be cut: anywhere, at a block, in its last block, or all of it.
pub fn some_cut(size: u64, dice: &mut fastrand::Rng) -> u64 {
    match dice.u8(0..4) {
        0 => dice.u64(0..size),
        1 => dice.u64(0..size) / 4096 * 4096,
        2 => size - 1 - dice.u64(0..size.min(4096)),
        _ => 0,
    }
}

/// Makes a file shorter, as no program does: without a trace in its times.
///
/// # Errors
/// Of the file system.
pub fn cut(file: &Path, len: u64) -> io::Result<()> {
    let target = OpenOptions::new().write(true).open(file)?;
    let modified = target.metadata()?.modified()?;
    target.set_len(len)?;
    target.set_modified(modified)
}

/// Flips one bit in a part of a segment of the brick's log, and says of which file.
///
/// # Errors
/// Of the file system.
pub fn flip_in_segment(brick: &Path, part: Part, dice: &mut fastrand::Rng) -> io::Result<PathBuf> {
    let all = segments(brick)?;
    let used: Vec<PathBuf> = all.into_iter().filter(|s| used_bytes(s).is_ok_and(|n| n > 1000)).collect();
    let file = dice.choice(&used).ok_or_else(|| io::Error::other("the log has no records"))?.clone();
    let end = used_bytes(&file)?;
    let data = fs::read(&file)?;
    let first = data.iter().skip(SEGMENT_HEADER as usize).position(|b| *b != 0).unwrap_or_default() as u64;
    let first = SEGMENT_HEADER + first;
    let (from, upto) = match part {
        Part::Header => (0, SEGMENT_HEADER),
        Part::Record => (first, first + RECORD_HEADER),
        Part::Payload => (first + RECORD_HEADER, end),
        Part::Tail => (end.saturating_sub(40), end),
    };
    flip_one(&file, from, upto, dice)?;
    Ok(file)
}

/// A part of a segment.
#[derive(Clone, Copy, Debug)]
pub enum Part {
    Header,
    /// The first record's header.
    Record,
    Payload,
    /// The last bytes that were written.
    Tail,
}

/// The files of a folder with that suffix, sorted.
///
/// # Errors
/// Of the file system.
pub fn with_suffix(folder: &Path, suffix: &str) -> io::Result<Vec<PathBuf>> {
    let mut all: Vec<PathBuf> = fs::read_dir(folder)?.flatten().map(|e| e.path()).collect();
    all.retain(|p| p.to_string_lossy().ends_with(suffix));
    all.sort();
    Ok(all)
}

/// Who every name of the tree is, as the brick says on disk.
///
/// # Errors
/// Of the file system.
pub fn identities(brick: &Path) -> io::Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut out = BTreeMap::new();
    for folder in [brick.to_owned(), brick.join("d")] {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let mut value = [0; 256];
            let name = path.strip_prefix(brick).unwrap_or(&path).to_owned();
            match rustix::fs::getxattr(&path, IDENTITY, &mut value[..]) {
                Ok(len) => drop(out.insert(name, value[..len].to_vec())),
                // The brick's own folder.
                Err(rustix::io::Errno::NODATA) => {}
                Err(e) => return Err(e.into()),
            }
        }
    }
    Ok(out)
}

/// Another mode.
///
/// # Errors
/// Of the file system.
pub fn change_mode(file: &Path) -> io::Result<()> {
    let mode = fs::metadata(file)?.permissions().mode();
    fs::set_permissions(file, fs::Permissions::from_mode(mode ^ 0o022))
}

/// Flips a bit of an extended attribute's value.
///
/// # Errors
/// Of the file system.
pub fn flip_xattr(file: &Path, name: &str) -> io::Result<()> {
    let mut value = [0; 256];
    let len = rustix::fs::getxattr(file, name, &mut value[..])?;
    let value = &mut value[..len];
    let last = value.last_mut().ok_or_else(|| io::Error::other("an empty attribute"))?;
    *last ^= 1;
    Ok(rustix::fs::setxattr(file, name, value, rustix::fs::XattrFlags::REPLACE)?)
}
