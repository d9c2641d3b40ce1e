//! Names that others replace again and again.
//!
//! The kernel opens what a name stood for when it looked, up to `entry-timeout` ago. If that is gone, it is told ESTALE,
//! looks the name up anew, opens what it found, and gives up if that is gone as well. So what a program's lookups find after
//! an ESTALE is held open until the program has opened it: it cannot be gone by then. It is what the name stood for after
//! the program had asked, so no open shows what had been replaced before it began.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use rfs_model::attr::FileKind;
use rfs_model::client::{Answer, Query};
use rfs_model::{Attr, Index, InodeId, Refusal};

use super::{Entry, Fs};
use crate::session::Failure;

/// How long the kernel may take for its next step.
const LINGERS: Duration = Duration::from_secs(2);

/// Lookups whose finds were gone before they were opened, until that is told.
const TRIES: u32 = 64;

/// The programs that were told ESTALE and have not opened what they wanted yet, by thread. Those that this mount cannot
/// tell apart (in another pid namespace: thread 0) take each other's place.
#[derive(Debug, Default)]
pub struct Retries {
    by_thread: RefCell<HashMap<u32, Retry>>,
    steps: Cell<u64>,
}

#[derive(Debug)]
struct Retry {
    step: u64,
    held: Option<Held>,
    /// ESTALEs because of names that the kernel could not drop.
    unsettled: usize,
}

/// Open at the leader, for nobody yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Held {
    id: InodeId,
    /// The session in which it was opened.
    epoch: u64,
}

impl Retries {
    fn pending(&self, thread: u32) -> bool {
        self.by_thread.borrow().contains_key(&thread)
    }

    fn holds(&self, thread: u32, id: InodeId) -> bool {
        self.by_thread.borrow().get(&thread).and_then(|r| r.held).is_some_and(|held| held.id == id)
    }

    fn unsettled(&self, thread: u32) -> usize {
        self.by_thread.borrow().get(&thread).map_or(0, |r| r.unsettled)
    }

    /// Returns the number of this step, and what is to be let go.
    fn set(&self, thread: u32, held: Option<Held>, unsettled: usize) -> (u64, Option<Held>) {
        let step = self.steps.get() + 1;
        self.steps.set(step);
        let before = self.by_thread.borrow_mut().insert(thread, Retry { step, held, unsettled });
        (step, before.and_then(|r| r.held))
    }

    /// Ends a retry; `step`: only if it has got no further.
    fn end(&self, thread: u32, step: Option<u64>) -> Option<Held> {
        let mut all = self.by_thread.borrow_mut();
        let same = all.get(&thread).is_some_and(|r| step.is_none_or(|step| step == r.step));
        if same { all.remove(&thread)?.held } else { None }
    }
}

impl Fs {
    /// The thread's request is answered so: after an ESTALE, the kernel looks the name up once more.
    pub fn answers<T>(self: &Rc<Self>, thread: u32, result: &Result<T, Failure>) {
        if matches!(result, Err(Failure::Refused(Refusal::Stale))) {
            self.retry(thread, None, 0);
        }
    }

    /// Names that the kernel could not drop are in the way of a lookup. Returns how often that is so now.
    pub(super) fn is_unsettled(self: &Rc<Self>, thread: u32) -> usize {
        let times = self.retries.unsettled(thread) + 1;
        self.retry(thread, None, times);
        times
    }

    /// No such names are in the way any more.
    pub(super) fn is_settled(&self, thread: u32) {
        if let Some(retry) = self.retries.by_thread.borrow_mut().get_mut(&thread) {
            retry.unsettled = 0;
        }
    }

    fn retry(self: &Rc<Self>, thread: u32, held: Option<Held>, unsettled: usize) {
        let (step, before) = self.retries.set(thread, held, unsettled);
        self.shared.set_retrying(true);
        self.let_go(before);
        let fs = self.clone();
        tokio::task::spawn_local(async move {
            tokio::time::sleep(LINGERS).await;
            fs.let_go(fs.end_retry(thread, Some(step)));
        });
    }

    /// The thread has got its file open: what was held for it need not be.
    pub(super) fn retried(&self, thread: u32, id: InodeId) {
        if self.retries.holds(thread, id) {
            self.let_go(self.end_retry(thread, None));
        }
    }

    fn end_retry(&self, thread: u32, step: Option<u64>) -> Option<Held> {
        let held = self.retries.end(thread, step);
        self.shared.set_retrying(!self.retries.by_thread.borrow().is_empty());
        held
    }

    fn let_go(&self, held: Option<Held>) {
        if let Some(held) = held.filter(|held| held.epoch == self.shared.epoch()) {
            self.client.release(held.id);
        }
    }

    /// As [`Fs::lookup`], for a thread that may have been told ESTALE.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn lookup_for(self: Rc<Self>, thread: u32, parent: u64, name: Bytes) -> Result<Entry, Failure> {
        let mut tries = if self.retries.pending(thread) { TRIES } else { 0 };
        loop {
            let moment = self.moment();
            let mut attr = self.find_on(parent, &name).await.inspect_err(|_| self.is_settled(thread))?;
            if tries > 0 && attr.kind == FileKind::File {
                tries -= 1;
                attr = match self.open_at_leader(thread, attr.id, None).await {
                    // It has changed since it was found, so it may have been moved: its time would say that it was seen here after that
                    // (see `settle`).
                    Ok(opened) if opened.version != attr.version && tries > 0 => {
                        self.client.release(attr.id);
                        continue;
                    }
                    Ok(opened) => opened,
                    Err(Failure::Refused(Refusal::Stale)) => continue,
                    Err(failure) => return Err(failure),
                };
                let held = Held { id: attr.id, epoch: self.shared.epoch() };
                self.retry(thread, Some(held), self.retries.unsettled(thread));
            }
            self.settle(thread, &attr, &(parent, name.clone())).await?;
            let (entry, inode) = self.entry(parent, name, attr)?;
            self.note_bare(&inode, &attr, moment);
            return Ok(entry);
        }
    }

    /// Counts one open more, unless nothing leads to the file any more and nobody here has it open: what the kernel believes
    /// of a name was true once, and it is to look again.
    ///
    /// `unless`: the data of a small file is wanted, unless it is of this version. Its reads are answered from that.
    pub(super) async fn open_at_leader(
        &self,
        thread: u32,
        id: InodeId,
        unless: Option<Index>,
    ) -> Result<Attr, Failure> {
        let (last, asked) = (self.client.last(), self.shared.ahead().asked());
        let Answer::Opened { attr, data } = self.client.ask(Query::Open { id, unless }).await? else {
            return Err(Failure::Nonsense);
        };
        // The answer may know nothing of what this mount has changed since it asked.
        if !data.is_empty() && self.client.last() == last {
            self.shared.ahead().tell_contents(id, data, asked);
        }
        let mine = || self.retries.holds(thread, id) || self.shared.files().any(|file| file.inode.id == id);
        if attr.nlink == 0 && !mine() {
            self.client.release(id);
            self.shared.ahead().drop_inode(id);
            return Err(Refusal::Stale.into());
        }
        Ok(attr)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELD: Option<Held> = Some(Held { id: InodeId::ROOT, epoch: 0 });

    #[test]
    fn a_retry_ends_by_its_last_step_only() {
        let retries = Retries::default();
        let (first, _) = retries.set(7, None, 0);
        let (second, before) = retries.set(7, HELD, 0);
        assert_eq!(before, None);
        assert_eq!(retries.end(7, Some(first)), None);
        assert!(retries.holds(7, InodeId::ROOT) && !retries.holds(8, InodeId::ROOT));
        assert_eq!(retries.end(7, Some(second)), HELD);
        assert!(!retries.pending(7));
    }

    #[test]
    fn what_was_held_before_is_let_go() {
        let retries = Retries::default();
        retries.set(7, HELD, 0);
        assert_eq!(retries.set(7, None, 0).1, HELD);
        assert_eq!(retries.end(7, None), None);
    }
}
