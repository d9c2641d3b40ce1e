//! Answers from what was told ahead, on the kernel's own thread: nobody is woken for them.

use std::time::Instant;

use bytes::Bytes;

use crate::fs::{Entry, Shared};

impl Shared {
    /// The kernel may believe what it is told: so may we.
    pub(in crate::fs) fn may_look_ahead(&self) -> bool {
        !self.entry_ttl().is_zero() && !self.attr_ttl().is_zero()
    }

    /// What a name stands for, if the leader has told it before it was asked for. Not where a thread looks up once more what was
    /// gone, nor where the kernel may have the inode in another place: both take more than an answer.
    #[must_use]
    pub fn found_ahead(&self, parent: u64, name: &Bytes) -> Option<Entry> {
        if self.is_retrying() || !self.may_look_ahead() {
            return None;
        }
        let dir = self.inodes().get(parent)?;
        let attr = self.ahead().take(dir.id, name, Instant::now())?;
        let place = (parent, name.clone());
        if !self.inodes().doubtful(&attr, &place).is_empty() {
            return None;
        }
        let inode = self.remember(&attr, place)?;
        inode.size_told(attr.size);
        inode.found_bare(attr.bare);
        Some(Entry { attr, attr_ttl: self.attr_ttl(), entry_ttl: self.entry_ttl() })
    }

    /// What is read of a small file that was opened a moment ago.
    #[must_use]
    pub fn read_ahead(&self, handle: u64, offset: u64, len: u32) -> Option<Bytes> {
        let file = self.files().get(handle).ok().filter(|file| file.epoch == self.epoch())?;
        let data = self.ahead().contents().read(file.inode.id, offset, len, Instant::now())?;
        file.inode.was_read();
        Some(data)
    }
}
