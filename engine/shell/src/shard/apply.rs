//! Committed records into the tree and the front, and what mounts hear of it.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rfs_core::admit::SessionEvent;
use rfs_core::consensus::api::Input;
use rfs_model::client::Change;
use rfs_model::codec::Decode;
use rfs_model::op::Stamped;
use rfs_model::volume::VolumeState;
use rfs_model::{Index, InodeId, Op, Record, RecordKind, Refusal};

use super::drive::at_once;
use super::{Event, Inner, Shard, TreeState};
use crate::journal::JournalError;
use crate::tree::{Fault, Leftover};

/// What is applied in a row at the most: records, their bytes, and the time it may take.
const ROW_RECORDS: usize = 512;
const ROW_BYTES: usize = 8 * 1024 * 1024;
const ROW: Duration = Duration::from_millis(5);
/// Old records read at once.
const LOAD_BYTES: usize = 4 * 1024 * 1024;

/// Where the next records to apply come from.
#[derive(Default)]
pub(crate) struct Feed {
    records: VecDeque<Record>,
    /// A read, or the slow part of a record, is under way.
    busy: bool,
    prelude_done: bool,
    pub bytes_applied: u64,
}

impl Feed {
    /// Whether a read, or the slow part of a record, is under way.
    pub(super) fn is_busy(&self) -> bool {
        self.busy
    }
}

impl Inner {
    pub(super) fn committed_upto(&mut self, shard: &Rc<Shard>, upto: Index) {
        self.committed = self.committed.max(upto);
        if matches!(self.tree, TreeState::Torn(_)) {
            self.start_converge(shard);
        }
    }

    /// Applies what is committed, as much as a turn may. Returns whether anything was applied.
    pub(super) fn apply(&mut self, shard: &Rc<Shard>, now_us: u64) -> bool {
        let begun = Instant::now();
        let mut bytes = 0;
        let mut count = 0;
        if !matches!(self.tree, TreeState::Ready(_)) {
            return false;
        }
        let before = self.applied();
        self.bury_the_dead();
        while count < ROW_RECORDS && bytes < ROW_BYTES && !self.feed.busy && self.failed.is_none() {
            if count > 0 && begun.elapsed() >= ROW {
                break;
            }
            let Some(record) = self.next_record(shard) else { break };
            match self.apply_record(shard, &record) {
                Ok(true) => {}
                Ok(false) => {
                    self.feed.records.push_front(record);
                    break;
                }
                Err(why) => self.fail(why),
            }
            count += 1;
            bytes += record.payload.len();
        }
        self.feed.bytes_applied += bytes as u64;
        self.after_applying(shard, now_us, before)
    }

    /// Deletes what records have removed that are synced by now.
    fn bury_the_dead(&mut self) {
        let TreeState::Ready(tree) = &self.tree else { return };
        for leftover in tree.tell_synced(self.journal.synced(), ROW_RECORDS) {
            if leftover.is_big() {
                free(leftover);
            } else if let Err(e) = leftover.run() {
                tracing::warn!("a dead inode is not deleted yet: {e}");
            }
        }
    }

    fn after_applying(&mut self, shard: &Rc<Shard>, now_us: u64, before: Index) -> bool {
        let upto = self.applied();
        let TreeState::Ready(tree) = &mut self.tree else { return false };
        if self.failed.is_some() || upto == before {
            return false;
        }
        if let Err(e) = tree.end_batch() {
            self.fail(e.to_string());
            return false;
        }
        self.step(shard, now_us, Input::Applied { upto });
        self.applied_moved(shard, now_us, upto);
        if upto < self.committed && !self.feed.busy {
            // More than fits into one turn: others get theirs first.
            shard.inbox.push(Event::More);
        }
        true
    }

    /// The next committed record, if it is in memory; otherwise it is being read.
    fn next_record(&mut self, shard: &Rc<Shard>) -> Option<Record> {
        let next = self.applied().next();
        if next > self.committed {
            return None;
        }
        while self.feed.records.front().is_some_and(|r| r.meta.index < next) {
            self.feed.records.pop_front();
        }
        if self.feed.records.front().is_some_and(|r| r.meta.index == next) {
            return self.feed.records.pop_front();
        }
        self.feed.records.clear();
        let upto = self.committed.min(self.journal.last().index);
        if next > upto {
            return None;
        }
        let mut read = Box::pin(self.journal.read(next, upto, LOAD_BYTES));
        if let Some(records) = at_once(read.as_mut()) {
            self.loaded(records);
            self.feed.busy = false;
            return self.feed.records.pop_front();
        }
        self.feed.busy = true;
        let inbox = Rc::clone(&shard.inbox);
        glommio::spawn_local(async move { inbox.push(Event::Loaded(read.await)) }).detach();
        None
    }

    pub(super) fn loaded(&mut self, records: Result<Vec<Record>, JournalError>) {
        self.feed.busy = false;
        match records {
            Ok(records) => self.feed.records = records.into(),
            Err(e) => self.fail(format!("cannot read the log back: {e}")),
        }
    }

    /// Forgets what was read ahead: the log or the tree is another one now.
    pub(super) fn restart_feed(&mut self) {
        let bytes_applied = self.feed.bytes_applied;
        self.feed = Feed { bytes_applied, ..Feed::default() };
    }

    pub(super) fn prelude_done(&mut self, result: Result<(), Fault>) {
        if let Err(e) = result {
            self.fail(e.to_string());
        } else {
            (self.feed.busy, self.feed.prelude_done) = (false, true);
        }
    }

    /// Applies one record; false when its slow part has to run first.
    fn apply_record(&mut self, shard: &Rc<Shard>, record: &Record) -> Result<bool, String> {
        let meta = record.meta;
        let TreeState::Ready(tree) = &mut self.tree else { return Ok(false) };
        match meta.kind {
            RecordKind::Noop | RecordKind::Config => {
                if meta.index > tree.applied() {
                    tree.pass(meta.index, meta.term);
                }
                self.front.skip(meta.index);
                self.start_leading();
                Ok(true)
            }
            RecordKind::Volume => {
                if meta.index > tree.applied() {
                    tree.pass(meta.index, meta.term);
                }
                self.front.apply_volume(meta.index, record.payload.clone());
                let state = VolumeState::from_all(&record.payload)
                    .map_err(|e| format!("record {} is no volume state: {e}", meta.index))?;
                self.volume_changed(shard, meta.index, state);
                Ok(true)
            }
            RecordKind::Op => self.apply_op(shard, record),
        }
    }

    fn apply_op(&mut self, shard: &Rc<Shard>, record: &Record) -> Result<bool, String> {
        let index = record.meta.index;
        let stamped =
            Stamped::from_all(&record.payload).map_err(|e| format!("record {index} is no outcome: {e}"))?;
        let TreeState::Ready(tree) = &mut self.tree else { return Ok(false) };
        // After recovery the tree has records that the sessions have not.
        let in_tree = index <= tree.applied();
        if !in_tree
            && !std::mem::take(&mut self.feed.prelude_done)
            && let Some(prelude) = tree.prelude(&stamped).map_err(|e| e.to_string())?
        {
            self.feed.busy = true;
            let inbox = Rc::clone(&shard.inbox);
            glommio::spawn_local(async move {
                let result = glommio::executor().spawn_blocking(move || prelude.run()).await;
                inbox.push(Event::PreludeDone(result));
            })
            .detach();
            return Ok(false);
        }
        let leftover = if in_tree {
            None
        } else {
            tree.apply(index, record.meta.term, &stamped).map_err(|e| e.to_string())?.leftover
        };
        leftover.into_iter().for_each(free);
        if let Op::Compare { ids } = &stamped.op {
            self.doubts_named(record.meta.term, ids).map_err(|e| e.to_string())?;
        }
        let TreeState::Ready(tree) = &self.tree else { return Ok(false) };
        let done = self.front.apply(index, &stamped).map_err(|e| e.to_string())?;
        if let Some((session, seq, outcome)) = done.answer
            && self.front.is_leading()
        {
            let answer = outcome.answer(&**tree).map_err(|e| e.to_string())?;
            match answer {
                Ok(mut done) => {
                    let (dir, to_dir) = changed_dirs(&stamped.op);
                    let attr = |dir: Option<InodeId>| dir.map_or(Ok(None), |dir| tree.attr(dir));
                    done.dir = attr(dir).map_err(|e| e.to_string())?;
                    done.to_dir = attr(to_dir).map_err(|e| e.to_string())?;
                    done.spare = spare(&stamped.op, InodeId { term: record.meta.term, index });
                    self.mounts.done(session, seq, &done);
                }
                Err(why) => self.mounts.refused(session, seq, why),
            }
        }
        done.freed.iter().for_each(|id| self.mounts.lock_freed(*id));
        match done.session {
            Some(SessionEvent::Opened(session)) => self.session_opened(session, index),
            Some(SessionEvent::Closed(session)) => self.session_closed(session),
            None => {}
        }
        if self.front.is_leading() && !self.mounts.alone(stamped.session) {
            for change in changes(&stamped.op) {
                self.mounts.changed(stamped.session, &change);
            }
        }
        Ok(true)
    }

    fn volume_changed(&mut self, shard: &Rc<Shard>, index: Index, state: VolumeState) {
        self.adopt_state(shard, state);
        self.proposals_applied(index);
        (shard.around.volume_changed)(&self.state);
        let (shard, state) = (Rc::clone(shard), self.state.clone());
        glommio::spawn_local(async move {
            if let Err(e) = shard.note_volume(state).await {
                tracing::warn!("the volume's state is not noted beside the brick: {e}");
            }
        })
        .detach();
        self.check_mounts_allowed();
    }

    /// Sends away mounts that the volume's new state does not let in.
    fn check_mounts_allowed(&mut self) {
        use rfs_model::client::ToMount;
        if !self.state.started {
            self.mounts.dismiss_all(&ToMount::Dismissed { why: Refusal::Stopped });
            self.opening.clear();
            return;
        }
        let auth = self.options.auth.clone();
        let word = ToMount::Dismissed { why: Refusal::NotAllowed };
        self.mounts.dismiss_unless(&word, |conn| super::accept::allowed(&auth, &conn.peer));
    }
}

/// Frees what a dead file took, on a thread.
pub(super) fn free(leftover: Leftover) {
    glommio::spawn_local(async move {
        let result = glommio::executor().spawn_blocking(move || leftover.run()).await;
        if let Err(e) = result {
            tracing::warn!("a dead file is not deleted yet: {e}");
        }
    })
    .detach();
}

/// A record's identity, if no inode has got it.
fn spare(op: &Op, of_record: InodeId) -> InodeId {
    match op {
        Op::Make { id, .. } if *id == of_record => InodeId::NIL,
        _ => of_record,
    }
}

/// The directories in which an outcome changes names.
fn changed_dirs(op: &Op) -> (Option<InodeId>, Option<InodeId>) {
    match op {
        Op::Make { parent, .. } | Op::Link { parent, .. } | Op::Unlink { parent, .. } => {
            (Some(*parent), None)
        }
        Op::Rename { from, to, .. } | Op::Exchange { from, to, .. } => {
            (Some(*from), Some(*to).filter(|to| to != from))
        }
        _ => (None, None),
    }
}

/// What an outcome changes that other mounts may have cached.
fn changes(op: &Op) -> Vec<Change> {
    let attr = |id: &InodeId| Change::Inode { id: *id, offset: 0, len: 0 };
    let entry = |parent: &InodeId, name: &bytes::Bytes| Change::Entry { parent: *parent, name: name.clone() };
    match op {
        Op::Make { parent, name, .. } => vec![entry(parent, name), attr(parent)],
        Op::Link { id, parent, name } => vec![entry(parent, name), attr(parent), attr(id)],
        Op::Unlink { id, parent, name, .. } => vec![entry(parent, name), attr(parent), attr(id)],
        Op::Rename { id, from, from_name, to, to_name, replaced, .. } => {
            let mut all = vec![entry(from, from_name), entry(to, to_name), attr(from), attr(to), attr(id)];
            if *replaced != InodeId::NIL {
                all.push(attr(replaced));
            }
            all
        }
        Op::Exchange { id, from, from_name, other, to, to_name } => {
            vec![entry(from, from_name), entry(to, to_name), attr(from), attr(to), attr(id), attr(other)]
        }
        Op::Write { id, offset, data } => {
            vec![Change::Inode { id: *id, offset: *offset, len: data.len() as u64 }]
        }
        Op::SetAttr { id, set } if set.size.is_some() => {
            vec![Change::Inode { id: *id, offset: 0, len: u64::MAX }]
        }
        Op::Allocate { id, range } => {
            vec![Change::Inode { id: *id, offset: range.offset, len: range.len }]
        }
        Op::SetAttr { id, .. } | Op::SetXattr { id, .. } | Op::RemoveXattr { id, .. } => vec![attr(id)],
        Op::Reap { .. } | Op::Lock { .. } | Op::Unlock { .. } => vec![],
        Op::SessionOpen { .. } | Op::SessionClose {} | Op::Compare { .. } => vec![],
    }
}
