//! A picture put on a disk, with plain system calls.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rfs_engine::tree::testing::{LIMBO, Node, ORPHANS, Picture, is_torn};
use rfs_model::{FileKind, InodeId, Timestamp};
use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, Timespec, Timestamps, UTIME_NOW, Uid, XattrFlags, chmodat, chownat,
    lsetxattr, mknodat, utimensat,
};

/// Builds a brick's directory, which must not exist, with `index` as its index.
///
/// # Errors
/// When the disk fails.
pub fn build(picture: &Picture, brick: &Path, index: &[u8]) -> io::Result<()> {
    let private = brick.join(".rfs");
    fs::create_dir(brick)?;
    for dir in ["", "limbo", "orphans"] {
        fs::create_dir(private.join(dir))?;
    }
    fs::write(private.join("index.redb"), index)?;
    let mut made: std::collections::BTreeMap<InodeId, PathBuf> = Default::default();
    made.insert(InodeId::ROOT, brick.to_owned());
    let mut todo = vec![
        (InodeId::ROOT, brick.to_owned()),
        (LIMBO, private.join("limbo")),
        (ORPHANS, private.join("orphans")),
    ];
    while let Some((dir, path)) = todo.pop() {
        let names =
            picture.slots.range((dir, bytes::Bytes::new())..).take_while(|((parent, _), _)| *parent == dir);
        for ((_, name), id) in names {
            let path = path.join(std::ffi::OsStr::from_bytes(name));
            if let Some(first) = made.get(id) {
                fs::hard_link(first, &path)?;
                continue;
            }
            let node = &picture.nodes[id];
            make(node, &path)?;
            if node.kind == FileKind::Dir {
                todo.push((*id, path.clone()));
            }
            made.insert(*id, path);
        }
    }
    for (id, path) in &made {
        dress(*id, &picture.nodes[id], path)?;
    }
    Ok(())
}

fn make(node: &Node, path: &Path) -> io::Result<()> {
    let special = |kind| Ok(mknodat(CWD, path, kind, Mode::from_raw_mode(0o600), node.rdev)?);
    match node.kind {
        FileKind::File => File::create_new(path)?.write_all(&node.data),
        FileKind::Dir => fs::create_dir(path),
        FileKind::Symlink => {
            std::os::unix::fs::symlink(std::ffi::OsString::from_vec(node.target.to_vec()), path)
        }
        FileKind::Fifo => special(FileType::Fifo),
        FileKind::Socket => special(FileType::Socket),
        FileKind::CharDevice => special(FileType::CharacterDevice),
        FileKind::BlockDevice => special(FileType::BlockDevice),
    }
}

/// Identity and attributes. The owner first: a file that changes hands loses modes and capabilities.
fn dress(id: InodeId, node: &Node, path: &Path) -> io::Result<()> {
    if !is_torn(id) {
        lsetxattr(path, "trusted.rfs.id", &id.to_bytes(), XattrFlags::empty())?;
    }
    let (uid, gid) = (Uid::from_raw(node.uid), Gid::from_raw(node.gid));
    chownat(CWD, path, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
    for (name, value) in &node.xattrs {
        lsetxattr(path, &name[..], value, XattrFlags::empty())?;
    }
    if node.kind != FileKind::Symlink {
        chmodat(CWD, path, Mode::from_raw_mode(node.mode), AtFlags::empty())?;
    }
    let times = Timestamps { last_access: spec(node.atime), last_modification: spec(node.mtime) };
    Ok(utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

/// A time of zero was never set: the kernel's clock.
fn spec(time: Timestamp) -> Timespec {
    if time == Timestamp::default() {
        return Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
    }
    Timespec { tv_sec: time.secs, tv_nsec: time.nanos.into() }
}
