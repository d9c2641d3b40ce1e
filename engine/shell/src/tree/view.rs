//! What admission reads of the tree.

use bytes::Bytes;
use rfs_core::admit::{Fault, TreeView};
use rfs_model::{Attr, FileKind, InodeId};

use super::Tree;

impl TreeView for Tree {
    fn attr(&self, id: InodeId) -> Result<Option<Attr>, Fault> {
        Ok(Self::attr(self, id)?)
    }

    fn child(&self, parent: InodeId, name: &[u8]) -> Result<Option<InodeId>, Fault> {
        Ok(Self::child(self, parent, name)?)
    }

    fn parent_of(&self, dir: InodeId) -> Result<Option<InodeId>, Fault> {
        let entry = self.entry(dir)?.filter(|e| e.kind == FileKind::Dir);
        Ok(entry.and_then(|e| e.places.first().map(|place| place.parent)))
    }

    fn is_empty(&self, dir: InodeId) -> Result<bool, Fault> {
        match self.entry(dir)? {
            Some(entry) if entry.kind == FileKind::Dir => Ok(self.is_empty_dir(dir)?),
            _ => Ok(false),
        }
    }

    fn xattr(&self, id: InodeId, name: &[u8]) -> Result<Option<Bytes>, Fault> {
        Ok(Self::xattr(self, id, name)?)
    }

    fn xattr_bytes(&self, id: InodeId) -> Result<u64, Fault> {
        Ok(Self::xattr_bytes(self, id)?)
    }
}
