//! Group commit: one fdatasync at a time, for everyone who waits. Appends go on meanwhile.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};

use glommio::io::BufferedFile;
use rfs_model::Index;

use super::Journal;
use super::disk::Result;
use super::log::Log;
use super::ring;
use super::segment::Segment;

/// The end of the log that stays in the system's memory. The last page of it will be written again.
const KEEP_BYTES: u64 = 8 * 1024 * 1024;

/// Who waits, and what is under way.
#[derive(Default)]
pub(super) struct Syncs {
    next_id: u64,
    waiters: BTreeMap<u64, Waiter>,
    running: bool,
    /// The last index that the round under way covers.
    round: Option<Index>,
    copying: bool,
}

struct Waiter {
    target: Index,
    waker: Option<Waker>,
}

impl Syncs {
    pub(super) fn wake_all(&mut self) {
        self.waiters.values_mut().filter_map(|w| w.waker.take()).for_each(Waker::wake);
    }

    fn wake_upto(&mut self, synced: Index) {
        let served = self.waiters.values_mut().filter(|w| w.target <= synced);
        served.filter_map(|w| w.waker.take()).for_each(Waker::wake);
    }

    fn wanted_beyond(&self, synced: Index) -> bool {
        self.waiters.values().any(|w| w.target > synced)
    }

    /// The log now ends at `index`, or did for a moment: nobody is told that more is synced on account of what is under
    /// way, and nobody waits for more.
    pub(super) fn cut(&mut self, index: Index) {
        self.round = self.round.map(|upto| upto.min(index));
        self.waiters.values_mut().for_each(|w| w.target = w.target.min(index));
        self.wake_all();
    }
}

impl Journal {
    /// Asks for all that is written now to be made durable. The future gives an index up to which everything is, at
    /// least the one that is last now (or, if the log is cut meanwhile, the one it was cut to). It holds no borrow, so
    /// that the journal is used on meanwhile; many may wait, and are served together. Dropping it cancels nothing.
    ///
    /// Must be called on a glommio executor; the work runs in the caller's task queue.
    ///
    /// # Errors
    /// The future's: [`super::JournalError::Io`] from the disk, or [`super::JournalError::Poisoned`].
    pub fn sync_start(&self) -> impl Future<Output = Result<Index>> + use<> {
        let mut log = self.log.borrow_mut();
        let id = log.syncs.next_id;
        log.syncs.next_id += 1;
        let target = log.last.index;
        log.syncs.waiters.insert(id, Waiter { target, waker: None });
        let start = target > log.synced && log.poison.is_none() && !log.syncs.running;
        log.syncs.running |= start;
        // A task may run at once when it is spawned.
        drop(log);
        if start {
            glommio::spawn_local(rounds(self.log.clone())).detach();
        }
        Synced { log: self.log.clone(), id }
    }
}

struct Synced {
    log: Rc<RefCell<Log>>,
    id: u64,
}

impl Future for Synced {
    type Output = Result<Index>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut log = self.log.borrow_mut();
        let synced = log.synced;
        let failure = log.poison.clone();
        let Some(waiter) = log.syncs.waiters.get_mut(&self.id) else { return Poll::Ready(Ok(synced)) };
        if waiter.target <= synced {
            return Poll::Ready(Ok(synced));
        }
        match failure {
            Some(error) => Poll::Ready(Err(error)),
            None => {
                waiter.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for Synced {
    fn drop(&mut self) {
        self.log.borrow_mut().syncs.waiters.remove(&self.id);
    }
}

/// Rounds of fdatasync, as long as somebody waits.
async fn rounds(log: Rc<RefCell<Log>>) {
    loop {
        let Some(segments) = begin(&mut log.borrow_mut()) else { return };
        let disk = log.borrow().disk.clone();
        let mut result = Ok(());
        for segment in &segments {
            result = sync_segment(&disk, segment).await;
            if result.is_err() {
                break;
            }
        }
        let mut state = log.borrow_mut();
        let done = result.and_then(|()| state.synced_round(&segments));
        if state.or_poison(done).is_err() {
            state.syncs.running = false;
            return;
        }
        drop(segments);
        state.put_away();
        let start = !std::mem::replace(&mut state.syncs.copying, true);
        drop(state);
        if start {
            glommio::spawn_local(copies(Rc::downgrade(&log))).detach();
        }
    }
}

/// What the next round must sync; nothing when nobody waits for it.
fn begin(log: &mut Log) -> Option<Vec<Rc<Segment>>> {
    if log.poison.is_some() || !log.syncs.wanted_beyond(log.synced) {
        log.syncs.running = false;
        return None;
    }
    log.syncs.round = Some(log.last.index);
    let dirty = |s: &&Rc<Segment>| {
        let mut state = s.state.borrow_mut();
        state.syncing = state.end;
        std::mem::take(&mut state.dirty)
    };
    Some(log.segments.iter().filter(dirty).cloned().collect())
}

async fn sync_segment(disk: &super::disk::Disk, segment: &Segment) -> Result<()> {
    let copy = {
        let mut copy = segment.copy.borrow_mut();
        if copy.is_anchored() { None } else { Some((copy.take()?, copy.path().to_owned())) }
    };
    if let Some((file, path)) = copy {
        ring::sync(disk, &file, &path).await?;
    }
    segment.copy.borrow_mut().anchor();
    let file = segment.ring()?;
    ring::sync(disk, &file, &segment.path).await
}

impl Log {
    fn synced_round(&mut self, segments: &[Rc<Segment>]) -> Result<()> {
        let upto = self.syncs.round.take().unwrap_or(self.synced);
        self.synced = self.synced.max(upto);
        for segment in segments {
            segment.copy.borrow_mut().write(&self.disk, upto)?;
            let active = Rc::ptr_eq(segment, self.active());
            segment.forget_synced(if active { KEEP_BYTES } else { 0 });
            if !active {
                segment.close_ring();
            }
        }
        if self.floor > Index::ZERO && self.synced >= self.floor {
            self.floor = Index::ZERO;
            self.drop_aside();
        }
        self.syncs.wake_upto(self.synced);
        Ok(())
    }
}

/// Makes header copies durable some time after their records, until there is nothing more to do.
async fn copies(log: Weak<RefCell<Log>>) {
    loop {
        let Some(interval) = log.upgrade().map(|l| l.borrow().options.copy_interval) else { return };
        glommio::timer::sleep(interval).await;
        let Some(log) = log.upgrade() else { return };
        let due = dirty_copies(&log.borrow());
        let disk = log.borrow().disk.clone();
        let result = match due {
            Ok(due) if due.is_empty() => {
                log.borrow_mut().syncs.copying = false;
                return;
            }
            Ok(due) => sync_all(&disk, &due).await,
            Err(error) => Err(error),
        };
        if log.borrow_mut().or_poison(result).is_err() {
            return;
        }
    }
}

type Due = Vec<(Rc<BufferedFile>, std::path::PathBuf)>;

fn dirty_copies(log: &Log) -> Result<Due> {
    let mut due = Due::new();
    for segment in &log.segments {
        let mut copy = segment.copy.borrow_mut();
        if let Some(file) = copy.take_dirty()? {
            due.push((file, copy.path().to_owned()));
        }
    }
    Ok(due)
}

async fn sync_all(disk: &super::disk::Disk, due: &Due) -> Result<()> {
    for (file, path) in due {
        ring::sync(disk, file, path).await?;
    }
    Ok(())
}
