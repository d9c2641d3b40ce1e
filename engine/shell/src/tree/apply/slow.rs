//! The parts of applying that may take long, as jobs for other threads.

use std::sync::Arc;

use rfs_model::op::{Allocate, Stamped};
use rfs_model::{FileKind, InodeId, Op};
use rustix::fs::{AtFlags, ftruncate, unlinkat};
use rustix::io::Errno;

use super::data::allocate_in;
use crate::tree::entry::{Entry, Place};
use crate::tree::handle::Handle;
use crate::tree::layout::LIMBO_DIR;
use crate::tree::{Fault, Tree};

/// Bytes that are freed or zeroed in place without a thought.
const BIG_BYTES: u64 = 64 * 1024 * 1024;

/// Something in limbo that nobody needs.
#[derive(Debug)]
#[must_use = "its blocks are freed by run()"]
pub struct Leftover {
    limbo: Arc<Handle>,
    name: Box<[u8]>,
    path: String,
    big: bool,
}

impl Leftover {
    /// Whether deleting it takes long.
    #[must_use]
    pub fn is_big(&self) -> bool {
        self.big
    }

    /// Deletes it; not durable. What is not run is found again by [`Tree::leftovers`] after the next start.
    ///
    /// # Errors
    /// [`Fault::System`].
    pub fn run(self) -> Result<(), Fault> {
        match unlinkat(self.limbo.fd(), &*self.name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(Errno::ISDIR) => {
                let gone = unlinkat(self.limbo.fd(), &*self.name, AtFlags::REMOVEDIR);
                gone.map_err(|e| Fault::system("remove", self.path, e))
            }
            Err(e) => Err(Fault::system("remove", self.path, e)),
        }
    }
}

#[derive(Debug)]
enum Slow {
    Truncate(u64),
    Allocate(Allocate),
}

/// The slow part of a record, to be run on a thread before the record is applied; nothing may be applied in between.
/// Applying then repeats it, which costs nothing any more.
#[derive(Debug)]
#[must_use = "it must run before the record is applied"]
pub struct Prelude {
    handle: Arc<Handle>,
    slow: Slow,
    path: String,
}

impl Prelude {
    /// # Errors
    /// [`Fault::System`]: as if the record could not be applied.
    pub fn run(self) -> Result<(), Fault> {
        match self.slow {
            Slow::Truncate(size) => ftruncate(self.handle.fd(), size),
            Slow::Allocate(range) => allocate_in(&self.handle, range),
        }
        .map_err(|e| Fault::system("resize", self.path, e))
    }
}

impl Tree {
    /// What of a record is better done on a thread, if anything: cutting a big file, allocating or zeroing a big range.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn prelude(&self, stamped: &Stamped) -> Result<Option<Prelude>, Fault> {
        let (id, slow) = match &stamped.op {
            Op::SetAttr { id, set } => match set.size {
                Some(size) if self.size_of(*id)? > size.saturating_add(BIG_BYTES) => {
                    (*id, Slow::Truncate(size))
                }
                _ => return Ok(None),
            },
            Op::Allocate { id, range } if range.len > BIG_BYTES => (*id, Slow::Allocate(*range)),
            _ => return Ok(None),
        };
        self.flush_of(id)?;
        let handle = self.file_for("resize", id)?;
        match slow {
            Slow::Truncate(size) => {
                self.touch(id, size, u64::MAX)?;
                self.note_size(id, size);
            }
            Slow::Allocate(range) => self.touch_allocated(id, range)?,
        }
        Ok(Some(Prelude { handle, slow, path: self.path_of(id) }))
    }

    fn size_of(&self, id: InodeId) -> Result<u64, Fault> {
        match self.index.get(id)? {
            Some(entry) if entry.kind == FileKind::File => Ok(self.stat(id, &entry)?.st_size as u64),
            _ => Ok(0),
        }
    }

    /// Whether deleting the inode takes long.
    pub(super) fn is_big(&self, id: InodeId, entry: &Entry) -> Result<bool, Fault> {
        Ok(entry.kind == FileKind::File && self.stat(id, entry)?.st_blocks as u64 * 512 > BIG_BYTES)
    }

    pub(in crate::tree) fn leftover(&self, limbo: &Place, big: bool) -> Leftover {
        let parts = (self.limbo.clone(), limbo.name.clone(), self.display(limbo));
        Leftover { limbo: parts.0, name: parts.1, path: parts.2, big }
    }

    /// What an earlier life of the brick left in limbo, to be deleted at leisure. Call it after recovery.
    ///
    /// # Errors
    /// [`Fault`], also when limbo has an inode that lives and is not where the index wants it.
    pub fn leftovers(&self) -> Result<Vec<Leftover>, Fault> {
        let wrong = |e| Fault::system("list", self.path_of(LIMBO_DIR), e);
        let names =
            crate::tree::listing::names_of(LIMBO_DIR, self.limbo.scan().map_err(wrong)?).map_err(wrong)?;
        let mut out = Vec::new();
        for name in names {
            let place = Place { parent: LIMBO_DIR, name: name.map_err(wrong)? };
            if let Some(Some(id)) = self.occupant(&place)?
                && let Some(entry) = self.index.get(id)?
            {
                self.check_place(&self.place_of(id, &entry), id)?;
            }
            out.push(self.leftover(&place, true));
        }
        Ok(out)
    }
}
