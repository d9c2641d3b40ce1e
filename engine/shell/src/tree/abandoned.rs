//! What is needed to set aside what an abandoned lineage did: which inodes, and where they are.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use rfs_model::{FileKind, Index, InodeId};

use super::{Fault, Place, Tree};

/// Index entries read at once.
const PAGE: usize = 1024;
/// A damaged index may hold a loop.
const DEPTH: usize = 4096;

impl Tree {
    /// Inodes whose last change came after a record, as the index on disk knows them.
    ///
    /// # Errors
    /// [`Fault::Index`].
    pub fn changed_after(&self, index: Index) -> Result<Vec<InodeId>, Fault> {
        let (snapshot, mut out, mut after) = (self.index.snapshot()?, Vec::new(), None);
        loop {
            let page = snapshot.page(after, PAGE)?;
            let Some((last, _)) = page.last() else { return Ok(out) };
            after = Some(*last);
            out.extend(page.iter().filter(|(_, entry)| entry.version > index).map(|(id, _)| *id));
        }
    }

    /// All paths of an inode within the brick, and what it is; none for one that the index does not know, or without a name.
    ///
    /// # Errors
    /// [`Fault::Index`].
    pub fn places_of(&self, id: InodeId) -> Result<Vec<(PathBuf, FileKind)>, Fault> {
        let Some(entry) = self.index.get(id)? else { return Ok(Vec::new()) };
        let paths = entry.places.iter().map(|place| self.raw_path(place));
        let paths = paths.collect::<Result<Vec<_>, _>>()?;
        Ok(paths.into_iter().flatten().map(|path| (path, entry.kind)).collect())
    }

    /// `None` where a directory above has no name.
    fn raw_path(&self, place: &Place) -> Result<Option<PathBuf>, Fault> {
        let (mut names, mut at) = (vec![place.name.clone()], place.parent);
        while at != InodeId::ROOT {
            let Some(entry) = self.index.get(at)?.filter(|_| names.len() < DEPTH) else { return Ok(None) };
            let Some(place) = entry.places.first() else { return Ok(None) };
            names.push(place.name.clone());
            at = place.parent;
        }
        Ok(Some(names.iter().rev().map(|name| OsStr::from_bytes(name)).collect()))
    }
}
