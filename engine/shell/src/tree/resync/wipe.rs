//! Emptying a brick directory step by step, however deep and large its tree is: directories are flattened into limbo, so
//! that no path grows long and few descriptors are open.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Dir, RenameFlags, renameat_with, unlinkat};
use rustix::io::Errno;

use crate::tree::Fault;
use crate::tree::brick::open_dir;
use crate::tree::handle::Handle;
use crate::tree::layout::{LIMBO, LOST_AND_FOUND, ORPHANS, PRIVATE};

/// The old content of a brick on its way out. What it leaves: `.rfs` with empty limbo and orphans, `lost+found`.
pub struct Wipe {
    root: Handle,
    limbo: Handle,
    orphans: Handle,
    /// For names in limbo.
    next: u64,
    removed: u64,
}

impl Wipe {
    pub(super) fn new(brick: &Path) -> Result<Self, Fault> {
        let private = brick.join(PRIVATE);
        let (root, limbo) = (open_dir(brick)?, open_dir(&private.join(LIMBO))?);
        Ok(Self { root, limbo, orphans: open_dir(&private.join(ORPHANS))?, next: 0, removed: 0 })
    }

    /// Entries removed so far.
    #[must_use]
    pub fn removed(&self) -> u64 {
        self.removed
    }

    /// Empties one directory; false when nothing is left.
    ///
    /// # Errors
    /// [`Fault::System`].
    pub fn step(&mut self) -> Result<bool, Fault> {
        let wrong = |e| Fault::system("empty", "the brick directory", e);
        let mut top = names(self.root.fd()).map_err(wrong)?;
        top.retain(|name| **name != *PRIVATE.as_bytes() && **name != *LOST_AND_FOUND.as_bytes());
        if !top.is_empty() {
            let root = self.root.scan().map_err(wrong)?;
            self.clear(root.as_fd(), &top).map_err(wrong)?;
            return Ok(true);
        }
        for dir in [self.orphans.scan().map_err(wrong)?, self.limbo.scan().map_err(wrong)?] {
            let all = names(dir.as_fd()).map_err(wrong)?;
            if !all.is_empty() {
                self.clear_all(dir.as_fd(), &all).map_err(wrong)?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Removes what is in limbo or among the orphans; what their directories hold directories of comes to limbo, for
    /// another step.
    fn clear_all(&mut self, dir: BorrowedFd<'_>, all: &[Box<[u8]>]) -> Result<(), Errno> {
        for name in all {
            match unlinkat(dir, &**name, AtFlags::empty()) {
                Ok(()) => {}
                Err(Errno::ISDIR) => {
                    let sub = Handle::open_dir(dir, name)?;
                    self.clear(sub.fd(), &names(sub.fd())?)?;
                    unlinkat(dir, &**name, AtFlags::REMOVEDIR)?;
                }
                Err(errno) => return Err(errno),
            }
            self.removed += 1;
        }
        Ok(())
    }

    /// Removes files and moves directories to limbo.
    fn clear(&mut self, dir: BorrowedFd<'_>, all: &[Box<[u8]>]) -> Result<(), Errno> {
        for name in all {
            match unlinkat(dir, &**name, AtFlags::empty()) {
                Ok(()) => self.removed += 1,
                Err(Errno::ISDIR) => self.flatten(dir, name)?,
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }

    fn flatten(&mut self, dir: BorrowedFd<'_>, name: &[u8]) -> Result<(), Errno> {
        loop {
            self.next += 1;
            let to = format!(".{}", self.next);
            match renameat_with(dir, name, self.limbo.fd(), to, RenameFlags::NOREPLACE) {
                // Left there by a wipe that was cut short.
                Err(Errno::EXIST) => {}
                other => return other,
            }
        }
    }
}

/// All names in a directory, read to the end before any of them goes.
fn names(dir: BorrowedFd<'_>) -> Result<Vec<Box<[u8]>>, Errno> {
    let mut out = Vec::new();
    for item in Dir::new(Handle::open_dir(dir, b".")?.scan()?)? {
        let item = item?;
        let name = item.file_name().to_bytes();
        if name != b"." && name != b".." {
            out.push(name.into());
        }
    }
    Ok(out)
}
