//! Times that applied records have set, put on disk once per inode at the end of a batch: each system call that changes a
//! file or a directory sets its mtime to the clock's, so the last word must come after the last of them.

use rfs_model::{InodeId, Timestamp};
use rustix::fs::{AtFlags, Timespec, Timestamps, UTIME_OMIT, utimensat};

use super::handle::Access;
use super::{Fault, Tree};

/// What is to be set; `None` leaves a time as it is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Times {
    pub(super) atime: Option<Timestamp>,
    pub(super) mtime: Option<Timestamp>,
}

impl Times {
    pub(super) fn later(self, newer: Self) -> Self {
        Self { atime: newer.atime.or(self.atime), mtime: newer.mtime.or(self.mtime) }
    }
}

impl Tree {
    pub(super) fn set_later(&self, id: InodeId, newer: Times) {
        if newer.atime.is_some() || newer.mtime.is_some() {
            let mut times = self.times.borrow_mut();
            let entry = times.entry(id).or_default();
            *entry = entry.later(newer);
        }
    }

    /// Puts on disk what the records of a batch have left in memory (adjacent writes, times). Answers are right without it;
    /// call it when the executor has applied what is ready.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn end_batch(&mut self) -> Result<(), Fault> {
        self.flush()?;
        self.keep_sizes()?;
        let times = std::mem::take(self.times.get_mut());
        times.into_iter().try_for_each(|(id, times)| self.set_now(id, times))
    }

    fn set_now(&self, id: InodeId, times: Times) -> Result<(), Fault> {
        self.step()?;
        if let Some(handle) = self.cached(id) {
            let set = handle.set_times(times.atime, times.mtime);
            return set.map_err(|e| Fault::system("set the times of", self.path_of(id), e));
        }
        let entry = self.known("set the times of", id)?;
        if entry.kind == rfs_model::FileKind::Dir {
            let set = self.dir(id)?.set_times(times.atime, times.mtime);
            return set.map_err(|e| Fault::system("set the times of", self.path_of(id), e));
        }
        let place = self.place_of(id, &entry);
        let set = Timestamps { last_access: spec(times.atime), last_modification: spec(times.mtime) };
        utimensat(self.dir(place.parent)?.fd(), &*place.name, &set, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|e| Fault::system("set the times of", self.display(&place), e))
    }

    /// The handle that happens to be open.
    pub(super) fn cached(&self, id: InodeId) -> Option<std::sync::Arc<super::Handle>> {
        if id == InodeId::ROOT {
            return Some(self.root.clone());
        }
        let dir = self.dirs.borrow_mut().get(&id).cloned();
        dir.or_else(|| self.open_file_of(id, Access::Read))
    }
}

pub(super) fn spec(time: Option<Timestamp>) -> Timespec {
    match time {
        Some(t) => Timespec { tv_sec: t.secs, tv_nsec: t.nanos.into() },
        None => Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
    }
}
