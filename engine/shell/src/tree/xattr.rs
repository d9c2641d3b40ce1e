//! Extended attributes as mounts see them.

use bytes::Bytes;
use rfs_model::InodeId;
use rfs_model::attr::{ASKED_OFTEN, Bare, is_label};
use rustix::io::Errno;

use super::handle::{Access, xattr_names_at};
use super::layout::is_private_xattr;
use super::{Fault, Place, Tree};

/// Of inodes with longer lists of names nothing is said.
const FEW_NAMES_BYTES: usize = 1024;
/// Longest name of an attribute, bytes.
const NAME_BYTES: usize = 255;

impl Tree {
    /// Value of one attribute, ACLs under their names `system.posix_acl_access` and `system.posix_acl_default`. `None` when
    /// the inode has none of that name, or does not exist.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn xattr(&self, id: InodeId, name: &[u8]) -> Result<Option<Bytes>, Fault> {
        // The kernel refuses to look for a name that nothing can have.
        let plain = !name.is_empty() && name.len() <= NAME_BYTES && !name.contains(&0);
        if is_private_xattr(name) || !plain {
            return Ok(None);
        }
        let Some(entry) = self.index.get(id)? else { return Ok(None) };
        let value = match self.handle(id, &entry, Access::Read)?.xattr(name) {
            // A prefix without a name behind it.
            Err(Errno::INVAL) => return Ok(None),
            value => value,
        };
        let value = value.map_err(|e| Fault::system("read an attribute of", self.path_of(id), e))?;
        Ok(value.map(Bytes::from))
    }

    /// Names of all attributes but the brick's own, sorted; `None` when the inode does not exist.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn xattr_names(&self, id: InodeId) -> Result<Option<Vec<Bytes>>, Fault> {
        let Some(entry) = self.index.get(id)? else { return Ok(None) };
        let names = self.handle(id, &entry, Access::Read)?.xattr_names();
        let mut names = names.map_err(|e| Fault::system("list the attributes of", self.path_of(id), e))?;
        names.retain(|name| !is_private_xattr(name));
        names.sort_unstable();
        Ok(Some(names.into_iter().map(Bytes::from).collect()))
    }

    /// What an inode has no attributes of.
    ///
    /// # Errors
    /// [`Fault`].
    pub(super) fn bare(&self, id: InodeId) -> Result<Bare, Fault> {
        match self.index.get(id)?.filter(|_| id != InodeId::ROOT) {
            Some(entry) => self.bare_at(&self.place_of(id, &entry)),
            None => Ok(Bare::Unknown),
        }
    }

    /// The same, of what is in this place.
    ///
    /// # Errors
    /// [`Fault`].
    pub(super) fn bare_at(&self, place: &Place) -> Result<Bare, Fault> {
        let dir = self.dir(place.parent)?;
        let mut names = [0; FEW_NAMES_BYTES];
        // An error is found by whoever asks for an attribute.
        let Ok(len) = xattr_names_at(dir.fd(), &place.name, &mut names) else { return Ok(Bare::Unknown) };
        let mut bare = Bare::Wholly;
        for name in names[..len].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
            if ASKED_OFTEN.contains(&name) {
                return Ok(Bare::Unknown);
            }
            if !is_private_xattr(name) && !is_label(name) {
                bare = Bare::Often;
            }
        }
        Ok(bare)
    }

    /// Bytes that all attributes take, the brick's own included; see [`rfs_core::admit::TreeView::xattr_bytes`].
    ///
    /// # Errors
    /// [`Fault`].
    pub fn xattr_bytes(&self, id: InodeId) -> Result<u64, Fault> {
        let Some(entry) = self.index.get(id)? else { return Ok(0) };
        let handle = self.handle(id, &entry, Access::Read)?;
        let wrong = |e| Fault::system("list the attributes of", self.path_of(id), e);
        let rounded = |n: usize| n.next_multiple_of(4) as u64;
        let mut sum = 0;
        for name in handle.xattr_names().map_err(wrong)? {
            let value = handle.xattr(&name).map_err(wrong)?.unwrap_or_default();
            sum += 16 + rounded(name.len()) + rounded(value.len());
        }
        Ok(sum)
    }
}
