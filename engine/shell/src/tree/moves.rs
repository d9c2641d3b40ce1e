//! The system calls that change names, each with its bookkeeping in the listings. Records and recovery share them.

use std::sync::Arc;

use rfs_model::{FileKind, InodeId};
use rustix::fs::{
    AtFlags, Dev, FileType, Mode, RenameFlags, linkat, mkdirat, mknodat, renameat, renameat_with, symlinkat,
    unlinkat,
};
use rustix::io::Errno;

use super::entry::Place;
use super::handle::{Access, Handle};
use super::{Fault, Tree};

/// What a new inode is made of, beside its attributes.
#[derive(Clone, Copy, Debug)]
pub(super) struct NewNode<'a> {
    pub(super) id: InodeId,
    pub(super) kind: FileKind,
    pub(super) mode: u32,
    pub(super) rdev: u64,
    /// A symlink's target.
    pub(super) target: &'a [u8],
}

impl Tree {
    /// Makes an inode under a name that nobody has, and gives it its identity. A crash in between leaves a *torn create*:
    /// an empty inode without identity, which recovery removes.
    pub(super) fn make_node(&self, place: &Place, new: &NewNode<'_>) -> Result<Arc<Handle>, Fault> {
        let dir = self.dir(place.parent)?;
        self.step()?;
        let handle = match make(&dir, &place.name, new) {
            Err(Errno::EXIST) if self.clear_foreign(place)? => make(&dir, &place.name, new),
            other => other,
        }
        .map_err(|e| Fault::system("create", self.display(place), e))?;
        self.step()?;
        handle
            .set_identity(new.id)
            .map_err(|e| Fault::system("set the identity of", self.display(place), e))?;
        self.listings.borrow_mut().add(place, new.id);
        let handle = Arc::new(handle);
        let cache = if new.kind == FileKind::Dir { &self.dirs } else { &self.files };
        cache.borrow_mut().put(new.id, handle.clone());
        Ok(handle)
    }

    /// Moves whoever is at `from`; with `replace`, over whoever is at `to`.
    pub(super) fn move_entry(
        &self,
        id: InodeId,
        from: &Place,
        to: &Place,
        replace: bool,
    ) -> Result<(), Fault> {
        let (old, new) = (self.dir(from.parent)?, self.dir(to.parent)?);
        self.step()?;
        let flags = if replace { RenameFlags::empty() } else { RenameFlags::NOREPLACE };
        let rename = || match renameat_with(old.fd(), &*from.name, new.fd(), &*to.name, flags) {
            // A file system without NOREPLACE: nobody else changes the tree, so looking first is as good.
            Err(Errno::INVAL | Errno::NOSYS) if !replace => match self.occupant(to)? {
                None => Ok(renameat(old.fd(), &*from.name, new.fd(), &*to.name)),
                Some(_) => Ok(Err(Errno::EXIST)),
            },
            other => Ok(other),
        };
        let moved = match rename()? {
            Err(Errno::EXIST) if !replace && self.clear_foreign(to)? => rename()?,
            Err(Errno::NOTEMPTY | Errno::EXIST) if replace && self.clear_foreign_in(to)? => rename()?,
            other => other,
        };
        moved.map_err(|e| {
            Fault::system("move", format!("{} to {}", self.display(from), self.display(to)), e)
        })?;
        let mut listings = self.listings.borrow_mut();
        listings.remove(from);
        listings.add(to, id);
        Ok(())
    }

    /// Two names change places.
    pub(super) fn exchange_entries(&self, a: (&Place, InodeId), b: (&Place, InodeId)) -> Result<(), Fault> {
        let (dir_a, dir_b) = (self.dir(a.0.parent)?, self.dir(b.0.parent)?);
        self.step()?;
        renameat_with(dir_a.fd(), &*a.0.name, dir_b.fd(), &*b.0.name, RenameFlags::EXCHANGE).map_err(
            |e| Fault::system("exchange", format!("{} and {}", self.display(a.0), self.display(b.0)), e),
        )?;
        let mut listings = self.listings.borrow_mut();
        listings.add(a.0, b.1);
        listings.add(b.0, a.1);
        Ok(())
    }

    pub(super) fn link_entry(&self, id: InodeId, from: &Place, to: &Place) -> Result<(), Fault> {
        let (old, new) = (self.dir(from.parent)?, self.dir(to.parent)?);
        self.step()?;
        let link = || linkat(old.fd(), &*from.name, new.fd(), &*to.name, AtFlags::empty());
        let linked = match link() {
            Err(Errno::EXIST) if self.clear_foreign(to)? => link(),
            other => other,
        };
        linked.map_err(|e| {
            Fault::system("link", format!("{} to {}", self.display(from), self.display(to)), e)
        })?;
        self.listings.borrow_mut().add(to, id);
        Ok(())
    }

    /// Removes a name, or an empty directory.
    pub(super) fn remove_entry(&self, place: &Place, dir: bool) -> Result<(), Fault> {
        let parent = self.dir(place.parent)?;
        self.step()?;
        let flags = if dir { AtFlags::REMOVEDIR } else { AtFlags::empty() };
        let remove = || unlinkat(parent.fd(), &*place.name, flags);
        let removed = match remove() {
            Err(Errno::NOTEMPTY | Errno::EXIST) if dir && self.clear_foreign_in(place)? => remove(),
            other => other,
        };
        removed.map_err(|e| Fault::system("remove", self.display(place), e))?;
        self.listings.borrow_mut().remove(place);
        Ok(())
    }
}

fn make(dir: &Handle, name: &[u8], new: &NewNode<'_>) -> Result<Handle, Errno> {
    let at = dir.fd();
    let mode = Mode::from_raw_mode(new.mode & 0o777);
    let node = |kind| mknodat(at, name, kind, mode, new.rdev as Dev);
    match new.kind {
        FileKind::File => return Handle::create_file(at, name, new.mode),
        FileKind::Dir => mkdirat(at, name, mode)?,
        FileKind::Symlink => symlinkat(new.target, at, name)?,
        FileKind::Fifo => node(FileType::Fifo)?,
        FileKind::Socket => node(FileType::Socket)?,
        FileKind::CharDevice => node(FileType::CharacterDevice)?,
        FileKind::BlockDevice => node(FileType::BlockDevice)?,
    }
    Handle::open(at, name, new.kind, Access::Write)
}
