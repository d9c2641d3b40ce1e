//! Attributes and extended attributes.

use rfs_model::{FileKind, InodeId, SetAttr};
use rustix::fs::ftruncate;

use crate::tree::handle::Access;
use crate::tree::layout::is_private_xattr;
use crate::tree::times::Times;
use crate::tree::{Fault, Tree};

impl Tree {
    /// Owner first, then mode: the kernel takes setuid and setgid away from a file that changes hands.
    pub(in crate::tree) fn set_attr(&self, id: InodeId, set: &SetAttr) -> Result<(), Fault> {
        let wrong = |doing| move |e| Fault::system(doing, self.path_of(id), e);
        if let Some(size) = set.size {
            let handle = self.file_for("resize", id)?;
            self.touch(id, size, u64::MAX)?;
            self.note_size(id, size);
            self.step()?;
            ftruncate(handle.fd(), size).map_err(wrong("resize"))?;
        }
        let entry = self.known("set attributes of", id)?;
        let owned = set.uid.is_some() || set.gid.is_some();
        if owned || set.mode.is_some() {
            let handle = self.handle(id, &entry, Access::Read)?;
            let mut mode = set.mode;
            if owned {
                let before = handle.stat().map_err(wrong("stat"))?.st_mode & 0o7777;
                self.step()?;
                handle.chown(set.uid, set.gid).map_err(wrong("chown"))?;
                mode = mode.or((before & 0o6000 != 0).then_some(before));
            }
            if let Some(mode) = mode.filter(|_| entry.kind != FileKind::Symlink) {
                self.step()?;
                handle.chmod(mode).map_err(wrong("chmod"))?;
            }
        }
        self.set_later(id, Times { atime: set.atime, mtime: set.mtime });
        Ok(())
    }

    pub(in crate::tree) fn set_xattr(&self, id: InodeId, name: &[u8], value: &[u8]) -> Result<(), Fault> {
        let entry = self.changeable("set an attribute of", id, name)?;
        let handle = self.handle(id, &entry, Access::Read)?;
        self.step()?;
        handle.set_xattr(name, value).map_err(|e| Fault::system("set an attribute of", self.path_of(id), e))
    }

    /// `strict`: it must be there.
    pub(in crate::tree) fn remove_xattr(&self, id: InodeId, name: &[u8], strict: bool) -> Result<(), Fault> {
        const DOING: &str = "remove an attribute of";
        let entry = self.changeable(DOING, id, name)?;
        let handle = self.handle(id, &entry, Access::Read)?;
        self.step()?;
        match handle.remove_xattr(name) {
            Ok(false) if strict => Err(Fault::system(DOING, self.path_of(id), rustix::io::Errno::NODATA)),
            Ok(_) => Ok(()),
            Err(e) => Err(Fault::system(DOING, self.path_of(id), e)),
        }
    }

    fn changeable(
        &self,
        doing: &'static str,
        id: InodeId,
        name: &[u8],
    ) -> Result<std::sync::Arc<crate::tree::Entry>, Fault> {
        if is_private_xattr(name) {
            return Err(Fault::Unsupported("changes of the brick's own attributes"));
        }
        self.known(doing, id)
    }
}
