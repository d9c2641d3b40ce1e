//! Answers about one inode at the applied index.

use std::sync::Arc;

use bytes::Bytes;
use rfs_model::attr::Bare;
use rfs_model::client::Statfs;
use rfs_model::limits::NAME_BYTES;
use rfs_model::{Attr, FileKind, Index, InodeId, Timestamp};
use rustix::fs::{AtFlags, SeekFrom, Stat, fstatvfs, seek, statat};
use rustix::io::{Errno, pread};

use super::entry::{Entry, Place};
use super::handle::{Access, Handle, kind_of};
use super::layout::is_private;
use super::sums::{Expected, Unread};
use super::{Fault, Tree};

/// What `stat` shows as the size of a directory: file systems disagree, and bricks must not.
const DIR_SIZE: u64 = 4096;

/// A file that is open for reading, for a thread of its own. It reads what is applied when it reads.
#[derive(Clone, Debug)]
pub struct Reader {
    id: InodeId,
    handle: Arc<Handle>,
    path: String,
    expected: Expected,
    offset: u64,
    len: usize,
}

impl Reader {
    /// Shorter than was asked for only at the end of the file.
    ///
    /// # Errors
    /// [`Fault::System`]; [`Fault::Rot`] when a block is not what was written, or was written just now: [`Tree::read`] tells.
    pub fn read(&self) -> Result<Bytes, Fault> {
        self.expected.read(&self.handle, self.offset, self.len).map_err(|unread| match unread {
            Unread::Errno(e) if e != Errno::IO => Fault::system("read", self.path.clone(), e),
            _ => Fault::Rot { id: self.id, path: self.path.clone(), offset: self.offset },
        })
    }
}

impl Tree {
    /// Attributes of an inode, orphans included; `None` when it does not exist. The size of a file that was cut is the one
    /// that it was given.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn attr(&self, id: InodeId) -> Result<Option<Attr>, Fault> {
        let Some(entry) = self.index.get(id)? else { return Ok(None) };
        self.flush_of(id)?;
        let stat = self.stat(id, &entry)?;
        if kind_of(&stat) != Some(entry.kind) {
            return Err(Fault::Kind { path: self.path_of(id) });
        }
        let times = self.times.borrow().get(&id).copied().unwrap_or_default();
        let time = |secs: i64, nanos: u64| Timestamp { secs, nanos: nanos as u32 };
        let size = match entry.kind {
            FileKind::Dir => DIR_SIZE,
            FileKind::File => self.whole_size(id, &entry, stat.st_size as u64)?,
            _ => stat.st_size as u64,
        };
        let device = matches!(entry.kind, FileKind::CharDevice | FileKind::BlockDevice);
        let dir = entry.kind == FileKind::Dir;
        Ok(Some(Attr {
            id,
            kind: entry.kind,
            mode: stat.st_mode & 0o7777,
            nlink: if dir { dir_links(id, &entry, &stat) } else { entry.places.len() as u32 },
            uid: stat.st_uid,
            gid: stat.st_gid,
            rdev: if device { stat.st_rdev } else { 0 },
            size,
            blocks: stat.st_blocks as u64,
            atime: times.atime.unwrap_or_else(|| time(stat.st_atime, stat.st_atime_nsec)),
            mtime: times.mtime.unwrap_or_else(|| time(stat.st_mtime, stat.st_mtime_nsec)),
            ctime: entry.ctime,
            version: entry.version,
            bare: Bare::Unknown,
        }))
    }

    /// As [`Tree::attr`], for mounts: with a look at which extended attributes there are. A file that is shorter than what has sums
    /// was cut by nobody's record.
    ///
    /// # Errors
    /// [`Fault::Rot`], [`Fault`].
    pub fn attr_checked(&self, id: InodeId) -> Result<Option<Attr>, Fault> {
        let Some(attr) = self.attr(id)? else { return Ok(None) };
        if attr.kind == FileKind::File {
            self.check_end(id, attr.size)?;
        }
        Ok(Some(Attr { bare: self.bare(id)?, ..attr }))
    }

    /// Index of the last record that changed an inode; `None` when it does not exist.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn version(&self, id: InodeId) -> Result<Option<Index>, Fault> {
        Ok(self.index.get(id)?.map(|entry| entry.version))
    }

    pub(super) fn stat(&self, id: InodeId, entry: &Entry) -> Result<Stat, Fault> {
        if let Some(handle) = self.cached(id) {
            return handle.stat().map_err(|e| Fault::system("stat", self.path_of(id), e));
        }
        let place = self.place_of(id, entry);
        statat(self.dir(place.parent)?.fd(), &*place.name, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|e| Fault::system("stat", self.display(&place), e))
    }

    /// Who has the name. `None` when nobody has, or when `parent` does not exist or is no directory.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn child(&self, parent: InodeId, name: &[u8]) -> Result<Option<InodeId>, Fault> {
        assert!(!name.is_empty() && !name.contains(&b'/') && name != b"." && name != b"..", "a bad name");
        if name.len() > NAME_BYTES || name.contains(&0) {
            return Ok(None);
        }
        if is_private(parent, name) || self.index.get(parent)?.is_none_or(|e| e.kind != FileKind::Dir) {
            return Ok(None);
        }
        if self.listings.borrow().has(parent, name) == Some(false) {
            return Ok(None);
        }
        self.identity_of(&Place::new(parent, name))
    }

    /// Who stands at a place, checked against the index. What somebody put there by hand is nobody.
    pub(super) fn identity_of(&self, place: &Place) -> Result<Option<InodeId>, Fault> {
        let Some(found) = self.occupant(place)? else { return Ok(None) };
        if let Some(id) = found
            && self.index.get(id)?.is_some_and(|entry| entry.has(place.parent, &place.name))
        {
            return Ok(Some(id));
        }
        if self.is_foreign(place, found)? {
            self.tell_foreign(place);
            return Ok(None);
        }
        let id = found.unwrap_or(InodeId::NIL);
        Err(Fault::Place { doing: "look up", id, path: self.display(place) })
    }

    /// Data of a file to be read on a thread; `None` when there is no such file. It ends where the file ends now: of what is
    /// appended meanwhile a part could be seen.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn reader(&self, id: InodeId, offset: u64, len: usize) -> Result<Option<Reader>, Fault> {
        let Some(entry) = self.index.get(id)?.filter(|e| e.kind == FileKind::File) else { return Ok(None) };
        self.flush_of(id)?;
        let handle = self.handle(id, &entry, Access::Read)?;
        let stat = handle.stat().map_err(|e| Fault::system("stat", self.path_of(id), e))?;
        // One that was cut short behind our back must be found to be so.
        let size = entry.size.unwrap_or(0).max(stat.st_size as u64);
        let left = size.saturating_sub(offset);
        let len = usize::try_from(left).map_or(len, |left| len.min(left));
        let expected = self.expected(id, offset, len)?;
        Ok(Some(Reader { id, handle, path: self.path_of(id), expected, offset, len }))
    }

    /// Data of a file: shorter than `len` only at its end. `None` when there is no such file.
    ///
    /// # Errors
    /// [`Fault::Rot`] when one of its blocks is not what was written; it is marked then. [`Fault`].
    pub fn read(&self, id: InodeId, offset: u64, len: usize) -> Result<Option<Bytes>, Fault> {
        let Some(entry) = self.index.get(id)?.filter(|e| e.kind == FileKind::File) else { return Ok(None) };
        self.flush_of(id)?;
        let handle = self.handle(id, &entry, Access::Read)?;
        self.read_checked(id, &handle, offset, len).map(Some)
    }

    /// The target of a symlink; `None` when there is no such symlink.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn readlink(&self, id: InodeId) -> Result<Option<Bytes>, Fault> {
        let Some(entry) = self.index.get(id)?.filter(|e| e.kind == FileKind::Symlink) else {
            return Ok(None);
        };
        let target = self.handle(id, &entry, Access::Read)?.read_link();
        target.map(|t| Some(t.into())).map_err(|e| Fault::system("read the link", self.path_of(id), e))
    }

    /// The next data (`data` true) or hole at or after `offset`. `None` at or behind the end of the file, when no data
    /// follows, and when there is no such file.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn seek(&self, id: InodeId, offset: u64, data: bool) -> Result<Option<u64>, Fault> {
        let Some(entry) = self.index.get(id)?.filter(|e| e.kind == FileKind::File) else { return Ok(None) };
        self.flush_of(id)?;
        let handle = self.handle(id, &entry, Access::Read)?;
        let found = handle.stat().map_err(|e| Fault::system("stat", self.path_of(id), e))?.st_size as u64;
        self.check_size(id, &entry, found)?;
        let whence = if data { SeekFrom::Data(offset) } else { SeekFrom::Hole(offset) };
        match seek(handle.fd(), whence) {
            Ok(at) => Ok(Some(at)),
            Err(Errno::NXIO | Errno::INVAL | Errno::OVERFLOW) => Ok(None),
            Err(e) => Err(Fault::system("seek in", self.path_of(id), e)),
        }
    }

    /// Sizes of the file system that the brick is on.
    ///
    /// # Errors
    /// [`Fault::System`].
    pub fn statfs(&self) -> Result<Statfs, Fault> {
        let s = fstatvfs(self.root.fd()).map_err(|e| Fault::system("statfs", "/", e))?;
        Ok(Statfs {
            block: u32::try_from(s.f_frsize).unwrap_or(4096),
            blocks: s.f_blocks,
            free: s.f_bfree,
            available: s.f_bavail,
            files: s.f_files,
            files_free: s.f_ffree,
            name_bytes: u32::try_from(s.f_namemax).unwrap_or(255),
        })
    }
}

/// Links of a directory: those of the brick's own directory in the root do not count; a nameless one has none.
fn dir_links(id: InodeId, entry: &Entry, stat: &Stat) -> u32 {
    let links = stat.st_nlink as u32;
    match id {
        InodeId::ROOT => links.saturating_sub(1).max(1),
        _ if entry.places.is_empty() => 0,
        _ => links,
    }
}

pub(super) fn read_at(handle: &Handle, offset: u64, len: usize) -> Result<Bytes, Errno> {
    // No file has anything behind the largest offset, and the kernel refuses to look there.
    let len = len.min(usize::try_from((i64::MAX as u64).saturating_sub(offset)).unwrap_or(usize::MAX));
    let mut out = Vec::with_capacity(len);
    while out.len() < len {
        let at = offset.saturating_add(out.len() as u64);
        match pread(handle.fd(), rustix::buffer::spare_capacity(&mut out), at) {
            Ok(0) => break,
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    out.truncate(len);
    Ok(out.into())
}
