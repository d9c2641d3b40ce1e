//! opendir, readdir, readdirplus, releasedir.
//!
//! A position in a directory is the number of the entry behind which to go on; the handle keeps the names that it has
//! given, so that seekdir(3) works. `.` and `..` are entries 1 and 2.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use rfs_model::client::{Answer, DirEntry, Query};

use super::inode::Moment;
use super::{Entry, Fs, Inode};
use crate::session::Failure;

/// Entries that the volume does not list itself.
const DOTS: u64 = 2;

/// One entry of a directory, with the position behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub entry: DirEntry,
    pub position: u64,
    /// When it was told.
    moment: Moment,
}

pub(super) struct OpenDir {
    inode: Arc<Inode>,
    listing: Mutex<Listing>,
}

#[derive(Default)]
struct Listing {
    /// Names of the entries given so far, in order.
    names: Vec<Bytes>,
    /// Entries `batch_at ..`, told by the leader, and not yet given.
    batch: VecDeque<DirEntry>,
    batch_at: usize,
    end: bool,
    /// When the batch was told: it is of no use once anything has changed.
    told: Option<Moment>,
}

/// An open directory, and how the kernel is to treat it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenedDir {
    pub handle: u64,
    /// The kernel may make a listing of its own, and keep it.
    pub cache: bool,
    /// The one that it has is still right.
    pub keep: bool,
}

impl Fs {
    /// # Errors
    /// [`Failure`].
    pub async fn opendir(self: Rc<Self>, number: u64) -> Result<OpenedDir, Failure> {
        let inode = self.inode(number)?;
        let cache = self.shared.options().cache_listings && self.shared.trusted();
        let keep = cache && inode.keeps_listing();
        let dir = OpenDir { inode, listing: Mutex::default() };
        Ok(OpenedDir { handle: self.dirs.borrow_mut().insert(Arc::new(dir)), cache, keep })
    }

    /// # Errors
    /// [`Failure::BadHandle`].
    pub async fn releasedir(self: Rc<Self>, handle: u64) -> Result<(), Failure> {
        self.dirs.borrow_mut().remove(handle).map(drop)
    }

    /// Calls `give` with each entry behind `position`, until it returns true (the buffer is full; that entry was not taken)
    /// or the directory ends. With `plus`, entries have attributes.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn list(
        self: Rc<Self>,
        handle: u64,
        position: u64,
        plus: bool,
        mut give: impl FnMut(&Listed) -> bool,
    ) -> Result<(), Failure> {
        let dir = self.dirs.borrow().get(handle)?;
        let mut at = usize::try_from(position.saturating_sub(DOTS)).unwrap_or(usize::MAX);
        if !dir.listing().prepare(at, self.moment(), plus) {
            self.fetch(&dir, at, plus).await?;
        }
        let mut listing = dir.listing();
        let moment = listing.told.unwrap_or_default();
        while let Some(entry) = listing.batch.pop_front() {
            let listed = Listed { entry, position: at as u64 + 1 + DOTS, moment };
            if give(&listed) {
                listing.batch.push_front(listed.entry);
                break;
            }
            listing.gave(at, listed.entry.name);
            at += 1;
        }
        Ok(())
    }

    async fn fetch(&self, dir: &OpenDir, at: usize, plus: bool) -> Result<(), Failure> {
        let Some(after) = dir.listing().name_before(at) else { return Ok(()) };
        let moment = self.moment();
        let query = Query::ReadDir { id: dir.inode.id, after, plus };
        let Answer::Dir { entries, end } = self.client.ask(query).await? else {
            return Err(Failure::Nonsense);
        };
        if entries.is_empty() && !end {
            return Err(Failure::Nonsense);
        }
        let mut listing = dir.listing();
        listing.batch = entries.into();
        listing.batch_at = at;
        listing.end = end;
        listing.told = Some(moment);
        Ok(())
    }

    /// The kernel is about to take an entry with its attributes, as if it had looked the name up.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn listed_entry(&self, dir: u64, listed: &Listed) -> Result<Option<Entry>, Failure> {
        let Some(attr) = listed.entry.attr else { return Ok(None) };
        let (entry, inode) = self.entry(dir, listed.entry.name.clone(), attr)?;
        inode.tell(attr, listed.moment);
        self.note_bare(&inode, &attr, listed.moment);
        Ok(Some(entry))
    }
}

impl OpenDir {
    fn listing(&self) -> MutexGuard<'_, Listing> {
        self.listing.lock().expect("no holder panics")
    }
}

impl Listing {
    /// True when what has been told is still good to go on with at entry `at`; else it is dropped.
    fn prepare(&mut self, at: usize, moment: Moment, plus: bool) -> bool {
        let fresh = self.told == Some(moment) && self.batch_at == at;
        let complete = !plus || self.batch.front().is_none_or(|entry| entry.attr.is_some());
        let good = fresh && complete && (self.end || !self.batch.is_empty());
        if !good {
            self.batch.clear();
            self.told = None;
        }
        good
    }

    /// Where to go on at entry `at`; `None` for a position that was never given.
    fn name_before(&self, at: usize) -> Option<Bytes> {
        at.checked_sub(1).map_or(Some(Bytes::new()), |before| self.names.get(before).cloned())
    }

    fn gave(&mut self, at: usize, name: Bytes) {
        match self.names.get_mut(at) {
            Some(known) => *known = name,
            None => self.names.push(name),
        }
        self.batch_at = at + 1;
    }
}
