//! unlink, rmdir, rename.

use std::rc::Rc;

use bytes::Bytes;
use rfs_model::Refusal;
use rfs_model::client::Mutation;

use super::Fs;
use crate::session::Failure;

/// Flags of renameat2(2) that the volume knows: `RENAME_NOREPLACE`, `RENAME_EXCHANGE`.
const RENAME_FLAGS: u32 = libc::RENAME_NOREPLACE | libc::RENAME_EXCHANGE;

impl Fs {
    /// unlink(2), or rmdir(2) when `dir`.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn remove(self: Rc<Self>, parent: u64, name: Bytes, dir: bool) -> Result<(), Failure> {
        let place = (parent, name.clone());
        let parent = self.slot(parent, &name)?;
        self.change_names(Mutation::Unlink { parent: parent.id, name, dir }, [&parent]).await?;
        self.shared.leases().removed(parent.id, &place.1);
        self.shared.inodes().removed(&place);
        Ok(())
    }

    /// `from` and `to` are a directory's number and a name in it.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn rename(
        self: Rc<Self>,
        from: (u64, Bytes),
        to: (u64, Bytes),
        flags: u32,
    ) -> Result<(), Failure> {
        if flags & !RENAME_FLAGS != 0 {
            return Err(Refusal::Invalid.into());
        }
        let (from_dir, to_dir) = (self.slot(from.0, &from.1)?, self.slot(to.0, &to.1)?);
        let (from_name, to_name) = (from.1.clone(), to.1.clone());
        self.shared.leases().naming(to_dir.id, &to_name);
        let op = Mutation::Rename { from: from_dir.id, from_name, to: to_dir.id, to_name, flags };
        self.change_names(op, [&from_dir, &to_dir]).await?;
        let mut inodes = self.shared.inodes();
        // A move is a change of what is moved.
        for inode in [&from, &to].into_iter().filter_map(|place| inodes.at(place)) {
            inode.attributes_unknown();
        }
        if flags & libc::RENAME_EXCHANGE == 0 {
            self.shared.leases().removed(from_dir.id, &from.1);
            inodes.moved(&from, to);
        }
        Ok(())
    }
}
