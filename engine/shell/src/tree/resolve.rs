//! From an identity to an open inode, and to a path that people can read.

use std::sync::Arc;

use rfs_model::{FileKind, InodeId};
use rustix::io::Errno;

use super::entry::{Entry, Place};
use super::handle::{Access, Handle, identity_at};
use super::layout::{LIMBO, LIMBO_DIR, ORPHANS, ORPHANS_DIR, PRIVATE};
use super::{Fault, Tree};

impl Tree {
    /// The entry of an inode that a record speaks of, and which must therefore be there.
    pub(super) fn known(&self, doing: &'static str, id: InodeId) -> Result<Arc<Entry>, Fault> {
        self.index.get(id)?.ok_or(Fault::Unknown { doing, id })
    }

    /// A place at which the inode can be reached; the root has none.
    pub(super) fn place_of(&self, id: InodeId, entry: &Entry) -> Place {
        assert!(id != InodeId::ROOT, "the root has no place");
        if let Some(place) = self.found.get(&id) {
            return place.clone();
        }
        entry.places.first().cloned().unwrap_or_else(|| orphan_place(id))
    }

    /// An open directory. Directories keep their handle while they move.
    pub(super) fn dir(&self, id: InodeId) -> Result<Arc<Handle>, Fault> {
        let mut below: Vec<(InodeId, Place)> = Vec::new();
        let mut at = id;
        let mut handle = loop {
            if let Some(handle) = self.open_dir_of(at) {
                break handle;
            }
            let entry = self.known("open the directory", at)?;
            let place = self.place_of(at, &entry);
            if entry.kind != FileKind::Dir || below.iter().any(|(id, _)| *id == at) {
                return Err(Fault::Kind { path: self.display(&place) });
            }
            let parent = place.parent;
            below.push((at, place));
            at = parent;
        };
        while let Some((id, place)) = below.pop() {
            let child = Handle::open_dir(handle.fd(), &place.name)
                .map_err(|e| Fault::system("open the directory", self.display(&place), e))?;
            self.check_identity(&child, id)?;
            handle = Arc::new(child);
            self.dirs.borrow_mut().put(id, handle.clone());
        }
        Ok(handle)
    }

    fn open_dir_of(&self, id: InodeId) -> Option<Arc<Handle>> {
        match id {
            InodeId::ROOT => Some(self.root.clone()),
            LIMBO_DIR => Some(self.limbo.clone()),
            ORPHANS_DIR => Some(self.orphans.clone()),
            _ => self.dirs.borrow_mut().get(&id).cloned(),
        }
    }

    /// An open inode of any kind. Opening checks that the file is who the index says.
    pub(super) fn handle(&self, id: InodeId, entry: &Entry, access: Access) -> Result<Arc<Handle>, Fault> {
        if entry.kind == FileKind::Dir {
            return self.dir(id);
        }
        if let Some(handle) = self.open_file_of(id, access) {
            return Ok(handle);
        }
        let place = self.place_of(id, entry);
        let dir = self.dir(place.parent)?;
        let handle = Handle::open(dir.fd(), &place.name, entry.kind, access)
            .map_err(|e| Fault::system("open", self.display(&place), e))?;
        self.check_identity(&handle, id)?;
        let handle = Arc::new(handle);
        self.files.borrow_mut().put(id, handle.clone());
        Ok(handle)
    }

    pub(super) fn open_file_of(&self, id: InodeId, access: Access) -> Option<Arc<Handle>> {
        self.files.borrow_mut().get(&id).filter(|handle| handle.access >= access).cloned()
    }

    /// Closes what is cached of an inode that goes away, so that its blocks do.
    pub(super) fn forget(&self, id: InodeId) {
        self.dirs.borrow_mut().pop(&id);
        self.files.borrow_mut().pop(&id);
        self.times.borrow_mut().remove(&id);
        self.listings.borrow_mut().forget(id);
        self.settling.borrow_mut().forget(id);
    }

    pub(super) fn check_identity(&self, handle: &Handle, id: InodeId) -> Result<(), Fault> {
        let found =
            handle.identity().map_err(|e| Fault::system("read the identity of", self.path_of(id), e))?;
        self.same(found, id, || self.path_of(id))
    }

    /// Checks who stands at a place before it is moved or removed.
    pub(super) fn check_place(&self, place: &Place, id: InodeId) -> Result<(), Fault> {
        match self.occupant(place)? {
            Some(found) => self.same(found, id, || self.display(place)),
            None => Err(Fault::system("find", self.display(place), Errno::NOENT)),
        }
    }

    fn same(&self, found: Option<InodeId>, wanted: InodeId, path: impl Fn() -> String) -> Result<(), Fault> {
        match found {
            Some(found) if found == wanted => Ok(()),
            Some(found) => Err(Fault::Identity { path: path(), found, wanted }),
            None => Err(Fault::NoIdentity { path: path() }),
        }
    }

    /// Who stands at a place: `None` when nobody does, `Some(None)` for somebody without identity.
    pub(super) fn occupant(&self, place: &Place) -> Result<Option<Option<InodeId>>, Fault> {
        let dir = self.dir(place.parent)?;
        identity_at(dir.fd(), &place.name)
            .map_err(|e| Fault::system("read the identity of", self.display(place), e))
    }

    /// The path of an inode within the brick, for people; of one that the index does not know, its identity.
    #[must_use]
    pub fn path_of(&self, id: InodeId) -> String {
        let mut parts = Vec::new();
        let mut at = id;
        while at != InodeId::ROOT {
            let place = match at {
                LIMBO_DIR => Place::new(InodeId::ROOT, format!("{PRIVATE}/{LIMBO}").as_bytes()),
                ORPHANS_DIR => Place::new(InodeId::ROOT, format!("{PRIVATE}/{ORPHANS}").as_bytes()),
                _ => match self.index.get(at) {
                    Ok(Some(entry)) => self.place_of(at, &entry),
                    _ => return format!("inode {id}"),
                },
            };
            parts.push(String::from_utf8_lossy(&place.name).into_owned());
            // A damaged index may hold a loop.
            if parts.len() > 4096 {
                return format!("inode {id}");
            }
            at = place.parent;
        }
        parts.reverse();
        format!("/{}", parts.join("/"))
    }

    pub(super) fn display(&self, place: &Place) -> String {
        let parent = self.path_of(place.parent);
        let slash = if parent.ends_with('/') { "" } else { "/" };
        format!("{parent}{slash}{}", String::from_utf8_lossy(&place.name))
    }
}

/// Where an inode is kept that has no name in the tree.
pub(super) fn orphan_place(id: InodeId) -> Place {
    Place::new(ORPHANS_DIR, id.to_string().as_bytes())
}
