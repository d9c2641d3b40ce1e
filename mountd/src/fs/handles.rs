//! Open files, by the numbers that the kernel was given for them.

use std::collections::HashMap;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex};

use super::Inode;
use crate::session::Failure;

/// One open of one file.
#[derive(Debug)]
pub struct OpenFile {
    pub inode: Arc<Inode>,
    /// As given to open(2).
    pub flags: i32,
    /// The session in which it was opened, counted from 0.
    pub epoch: u64,
    /// What became of its writes that had returned already: told by its next write.
    failed: Mutex<Option<Failure>>,
    /// How much of what was lost of the file it need not hear of.
    known: AtomicU32,
}

impl OpenFile {
    #[must_use]
    pub fn new(inode: Arc<Inode>, flags: i32, epoch: u64) -> Self {
        let known = inode.lost.known();
        Self { inode, flags, epoch, failed: Mutex::default(), known }
    }

    /// A write through it that had returned was lost. Its first failure stays.
    pub fn fail(&self, why: Failure) {
        self.failed.lock().expect("no holder panics").get_or_insert(why);
        self.inode.lost.add(why);
    }

    /// For the next write through it.
    ///
    /// # Errors
    /// What its writes ran into, once.
    pub fn tell_writer(&self) -> Result<(), Failure> {
        self.failed.lock().expect("no holder panics").take().map_or(Ok(()), Err)
    }

    /// For a close, which takes nothing away.
    ///
    /// # Errors
    /// What writes to the file ran into since the handle's last fsync.
    pub fn tell_closer(&self) -> Result<(), Failure> {
        self.inode.lost.since(&self.known)
    }

    /// For an fsync.
    ///
    /// # Errors
    /// What writes to the file ran into, by whichever handle, once.
    pub fn tell_syncer(&self) -> Result<(), Failure> {
        let told = self.inode.lost.tell(&self.known);
        if told.is_err() {
            let _ = self.tell_writer();
        }
        told
    }

    #[must_use]
    pub fn writes(&self) -> bool {
        self.flags & libc::O_ACCMODE != libc::O_RDONLY
    }

    /// It was opened to append.
    #[must_use]
    pub fn appends(&self) -> bool {
        self.flags & libc::O_APPEND != 0 && self.writes()
    }
}

/// Things by handle. As many as programs have open.
#[derive(Debug)]
pub struct Handles<T> {
    open: HashMap<u64, Arc<T>>,
    last: u64,
}

impl<T> Default for Handles<T> {
    fn default() -> Self {
        Self { open: HashMap::new(), last: 0 }
    }
}

impl<T> Handles<T> {
    pub fn insert(&mut self, thing: Arc<T>) -> u64 {
        self.last += 1;
        self.open.insert(self.last, thing);
        self.last
    }

    /// # Errors
    /// [`Failure::BadHandle`].
    pub fn get(&self, handle: u64) -> Result<Arc<T>, Failure> {
        self.open.get(&handle).cloned().ok_or(Failure::BadHandle)
    }

    /// Whether one of them is so.
    pub fn any(&self, is: impl FnMut(&Arc<T>) -> bool) -> bool {
        self.open.values().any(is)
    }

    /// # Errors
    /// [`Failure::BadHandle`].
    pub fn remove(&mut self, handle: u64) -> Result<Arc<T>, Failure> {
        self.open.remove(&handle).ok_or(Failure::BadHandle)
    }
}

#[cfg(test)]
mod tests {
    use rfs_model::{InodeId, Refusal};

    use super::*;
    use crate::fs::Inodes;

    #[test]
    fn a_lost_write_is_told_by_the_next_write_once_and_by_fsync() {
        let inode = Inodes::default().by_id(InodeId::ROOT).unwrap();
        let file = OpenFile::new(inode.clone(), libc::O_RDWR, 0);
        let other = OpenFile::new(inode, libc::O_RDWR, 0);
        assert_eq!(file.tell_writer(), Ok(()));
        file.fail(Refusal::NoSpace.into());
        file.fail(Failure::Expired);
        assert_eq!(other.tell_writer(), Ok(()));
        assert_eq!(file.tell_writer(), Err(Refusal::NoSpace.into()));
        assert_eq!(file.tell_writer(), Ok(()));
        assert_eq!(other.tell_closer(), Err(Failure::Expired));
        for handle in [&file, &other] {
            assert_eq!(handle.tell_syncer(), Err(Failure::Expired));
            assert_eq!(handle.tell_syncer(), Ok(()));
        }
        file.fail(Failure::Expired);
        assert!(file.tell_syncer().is_err());
        assert_eq!(file.tell_writer(), Ok(()));
    }

    #[test]
    fn handles_are_never_used_again() {
        let mut handles = Handles::default();
        let first = handles.insert(Arc::new("a"));
        handles.remove(first).unwrap();
        assert_ne!(handles.insert(Arc::new("b")), first);
        assert_eq!(handles.get(first), Err(Failure::BadHandle));
    }
}
