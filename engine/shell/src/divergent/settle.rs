//! What was set aside, compared with what the volume has: only what differs is kept.

use std::fs::{self, File, Metadata};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rfs_model::Index;
use rfs_model::Term;
use rfs_model::config::Position;

use super::list::{Did, Entry, Kind, List, homes};
use super::{FILES, LIST};
use crate::tree::is_private_xattr;

/// Bytes compared at once.
const CHUNK: usize = 128 * 1024;

/// Compares what was set aside and not compared yet with the brick's tree, which has caught up with the volume since. Drops
/// what is the same there. `replaced` says of a tail's last record whether it is still in the brick's log: then the tree is
/// the old one. Returns how many paths are kept, of how many. Blocks; durable on return.
///
/// The tree may be at work meanwhile: what is being written just now may be kept though it is the same a moment later.
///
/// # Errors
/// One line that names the file; what was not compared is kept.
pub fn settle(brick: &Path, held: impl Fn(Position) -> bool) -> Result<(usize, usize), String> {
    let (mut kept, mut all) = (0, 0);
    for home in homes(brick)?.iter().filter(|home| home.join(LIST).exists()) {
        let mut list = List::load(home)?;
        if list.settled || held(Position::new(Term(list.term), Index(list.index))) {
            continue;
        }
        let wrong = |e: io::Error| format!("{}: {e}", home.display());
        let files = home.join(FILES);
        let mut left = Vec::new();
        all += list.entries.len();
        for entry in &list.entries {
            if same(brick, &files, entry).map_err(wrong)? {
                drop_copy(&files, entry).map_err(wrong)?;
            } else {
                plain(&files, entry).map_err(wrong)?;
                left.push(entry.clone());
            }
        }
        kept += left.len();
        if left.is_empty() {
            fs::remove_dir_all(home).map_err(wrong)?;
            continue;
        }
        prune(&files, &files, &left).map_err(wrong)?;
        (list.entries, list.settled) = (left, true);
        list.save(home).map_err(wrong)?;
    }
    Ok((kept, all))
}

/// Whether the volume has what the tail had.
fn same(brick: &Path, files: &Path, entry: &Entry) -> io::Result<bool> {
    let (here, there) = (files.join(entry.place()), brick.join(entry.place()));
    let now = match fs::symlink_metadata(&there) {
        Ok(meta) => Some(meta),
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => None,
        Err(e) => return Err(e),
    };
    let (Some(now), false) = (&now, entry.did == Did::Removed) else {
        return Ok(now.is_none() && entry.did == Did::Removed);
    };
    let then = fs::symlink_metadata(&here)?;
    let alike = (then.mode(), then.uid(), then.gid()) == (now.mode(), now.uid(), now.gid());
    Ok(alike && content_is_same(&here, &then, &there, now, entry.kind)?)
}

fn content_is_same(
    here: &Path,
    then: &Metadata,
    there: &Path,
    now: &Metadata,
    kind: Kind,
) -> io::Result<bool> {
    match kind {
        Kind::Dir => Ok(true),
        Kind::Symlink => Ok(fs::read_link(here)? == fs::read_link(there)?),
        Kind::Special => Ok(then.rdev() == now.rdev()),
        Kind::File => Ok(then.len() == now.len() && bytes_are_same(here, there)?),
    }
}

fn bytes_are_same(a: &Path, b: &Path) -> io::Result<bool> {
    let (mut a, mut b) = (BufReader::with_capacity(CHUNK, File::open(a)?), File::open(b)?);
    let (mut left, mut right) = (vec![0; CHUNK], vec![0; CHUNK]);
    loop {
        let n = a.read(&mut left)?;
        if n == 0 {
            return Ok(b.read(&mut right[..1])? == 0);
        }
        match b.read_exact(&mut right[..n]) {
            Ok(()) if left[..n] == right[..n] => {}
            Ok(()) => return Ok(false),
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(e) => return Err(e),
        }
    }
}

fn drop_copy(files: &Path, entry: &Entry) -> io::Result<()> {
    if entry.did == Did::Removed || entry.kind == Kind::Dir {
        return Ok(());
    }
    match fs::remove_file(files.join(entry.place())) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// A kept file is no inode of the volume any more.
fn plain(files: &Path, entry: &Entry) -> io::Result<()> {
    if entry.did == Did::Removed || entry.kind == Kind::Dir {
        return Ok(());
    }
    let path = files.join(entry.place());
    let mut names = vec![0; 64 * 1024];
    let used = rustix::fs::llistxattr(&path, &mut names[..])?;
    for name in names[..used].split(|byte| *byte == 0).filter(|name| is_private_xattr(name)) {
        match rustix::fs::lremovexattr(&path, name) {
            // Another path of the same file was here before.
            Err(rustix::io::Errno::NODATA) | Ok(()) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}

/// Removes directories that hold nothing and are not listed themselves.
fn prune(files: &Path, dir: &Path, kept: &[Entry]) -> io::Result<()> {
    for sub in fs::read_dir(dir)? {
        let sub = sub?;
        if sub.file_type()?.is_dir() {
            prune(files, &sub.path(), kept)?;
        }
    }
    let listed = dir == files || kept.iter().any(|entry| files.join(entry.place()) == dir);
    if !listed && fs::read_dir(dir)?.next().is_none() {
        fs::remove_dir(dir)?;
    }
    Ok(())
}
