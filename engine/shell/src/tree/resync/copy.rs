//! One inode, read piece by piece.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use rfs_model::resync::{Body, Item, PIECE_BYTES, PIECE_PLACES};
use rfs_model::{FileKind, InodeId, Timestamp};
use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

use crate::tree::handle::{Access, Handle, kind_of};
use crate::tree::layout::is_private_xattr;
use crate::tree::read::read_at;
use crate::tree::sums::BLOCK;
use crate::tree::{Entry, Fault, Tree};

/// An open inode, lent to a thread that copies it.
#[derive(Debug)]
pub struct Lent {
    handle: Arc<Handle>,
    path: String,
    /// Of a file that was cut: where it ends, and where it should.
    cut: Option<(u64, u64)>,
}

impl Tree {
    /// Lends an inode to a copy; `None` when it has died.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn lend(&self, id: InodeId) -> Result<Option<Lent>, Fault> {
        let Some(entry) = self.index.get(id)? else { return Ok(None) };
        let (handle, path) = (self.handle(id, &entry, Access::Read)?, self.path_of(id));
        self.flush_of(id)?;
        let mut cut = None;
        if entry.kind == FileKind::File {
            let found = handle.stat().map_err(|e| Fault::system("stat", &*path, e))?.st_size as u64;
            let whole = self.whole_size(id, &entry, found)?;
            cut = (found < whole).then_some((found, whole));
        }
        Ok(Some(Lent { handle, path, cut }))
    }
}

impl Lent {
    /// For people: where the inode is.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    fn wrong(&self, doing: &'static str) -> impl Fn(Errno) -> Fault + '_ {
        move |e| Fault::system(doing, self.path.clone(), e)
    }
}

/// One inode of a copy: an iterator over its items that may run on any thread. Fuzzy: it reads what it finds.
pub struct Copy {
    id: InodeId,
    lent: Option<Lent>,
    ready: VecDeque<Item>,
    /// Data that is still to be read: up to where the file ended when the copy began.
    at: u64,
    size: u64,
    bytes: u64,
    /// Blocks that the file should have and has not.
    lost: Range<u64>,
    xattrs: VecDeque<Vec<u8>>,
}

impl Copy {
    /// `entry` is the inode as of the checkpoint, `lent` as of now.
    ///
    /// # Errors
    /// [`Fault::System`], [`Fault::Kind`].
    pub fn new(id: InodeId, entry: &Entry, lent: Option<Lent>) -> Result<Self, Fault> {
        let body = lent.as_ref().map(|lent| body_of(entry.kind, lent)).transpose()?;
        let size = body.as_ref().map_or(0, |body| body.size);
        let xattrs = match &lent {
            Some(lent) => lent.handle.xattr_names().map_err(lent.wrong("list the attributes of"))?,
            None => Vec::new(),
        };
        let xattrs = xattrs.into_iter().filter(|name| !is_private_xattr(name)).collect();
        let ready = named(id, entry, body);
        let cut = lent.as_ref().and_then(|lent| lent.cut);
        let lost = cut.map_or(0..0, |(found, whole)| found / BLOCK..whole.div_ceil(BLOCK));
        Ok(Self { id, lent, ready, at: 0, size, bytes: 0, lost, xattrs })
    }

    /// Bytes of data read so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// `None` at the end.
    ///
    /// # Errors
    /// [`Fault::System`].
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Item>, Fault> {
        if let Some(item) = self.ready.pop_front() {
            return Ok(Some(item));
        }
        match self.next_data()? {
            Some(item) => Ok(Some(item)),
            None => match self.lost.next() {
                Some(block) => Ok(Some(Item::Rotten { id: self.id, block })),
                None => self.next_xattr(),
            },
        }
    }

    fn next_data(&mut self) -> Result<Option<Item>, Fault> {
        let Some(lent) = &self.lent else { return Ok(None) };
        if self.at >= self.size {
            return Ok(None);
        }
        let wrong = lent.wrong("read");
        let (start, end) = extent(&lent.handle, self.at, self.size).map_err(&wrong)?;
        let len = (end.saturating_sub(start)).min(PIECE_BYTES as u64) as usize;
        let data = read_at(&lent.handle, start, len).map_err(&wrong)?;
        // Nothing but a hole is left, or the file has shrunk since: then the log says so.
        if data.is_empty() {
            self.at = self.size;
            return Ok(None);
        }
        self.at = start + data.len() as u64;
        self.bytes += data.len() as u64;
        Ok(Some(Item::Data { id: self.id, offset: start, data }))
    }

    fn next_xattr(&mut self) -> Result<Option<Item>, Fault> {
        let Some(lent) = &self.lent else { return Ok(None) };
        while let Some(name) = self.xattrs.pop_front() {
            // One that has gone since: the log says so.
            if let Some(value) = lent.handle.xattr(&name).map_err(lent.wrong("read an attribute of"))? {
                return Ok(Some(Item::Xattr { id: self.id, name: name.into(), value: value.into() }));
            }
        }
        Ok(None)
    }
}

/// The next data at or after `at`: where it begins and ends, both at most `size`.
fn extent(handle: &Handle, at: u64, size: u64) -> Result<(u64, u64), Errno> {
    let start = match seek(handle.fd(), SeekFrom::Data(at)) {
        Ok(start) => start,
        Err(Errno::NXIO) => return Ok((size, size)),
        Err(Errno::INVAL | Errno::OPNOTSUPP) => return Ok((at, size)),
        Err(errno) => return Err(errno),
    };
    let end = match seek(handle.fd(), SeekFrom::Hole(start)) {
        Ok(end) => end,
        Err(Errno::NXIO) => size,
        Err(errno) => return Err(errno),
    };
    Ok((start.min(size), end.min(size)))
}

fn body_of(kind: FileKind, lent: &Lent) -> Result<Body, Fault> {
    let stat = lent.handle.stat().map_err(lent.wrong("stat"))?;
    if kind_of(&stat) != Some(kind) {
        return Err(Fault::Kind { path: lent.path.clone() });
    }
    let time = |secs: i64, nanos: u64| Timestamp { secs, nanos: nanos as u32 };
    let target = match kind {
        FileKind::Symlink => lent.handle.read_link().map_err(lent.wrong("read the link"))?,
        _ => Vec::new(),
    };
    Ok(Body {
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        rdev: stat.st_rdev,
        size: match lent.cut {
            Some((_, whole)) => whole,
            None if kind == FileKind::File => stat.st_size as u64,
            None => 0,
        },
        atime: time(stat.st_atime, stat.st_atime_nsec),
        mtime: time(stat.st_mtime, stat.st_mtime_nsec),
        target: target.into(),
    })
}

/// The inode with its names, in items that fit a frame.
fn named(id: InodeId, entry: &Entry, body: Option<Body>) -> VecDeque<Item> {
    let mut all = entry.places.iter().map(|p| (p.parent, Bytes::copy_from_slice(&p.name)));
    let places = all.by_ref().take(PIECE_PLACES).collect();
    let (kind, version, ctime) = (entry.kind, entry.version, entry.ctime);
    let mut out = VecDeque::from([Item::Inode { id, kind, version, ctime, places, body }]);
    loop {
        let places: Vec<_> = all.by_ref().take(PIECE_PLACES).collect();
        if places.is_empty() {
            return out;
        }
        out.push_back(Item::Places { id, places });
    }
}
