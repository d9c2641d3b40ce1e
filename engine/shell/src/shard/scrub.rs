//! A scrub: every brick reads all of its files from the disk, compares with its sums, and with another brick what the files
//! are besides their data.
//!
//! Each brick goes through its own inodes at its own pace. What two bricks say of an inode can be compared whenever both have
//! it in the same version, so nobody waits for a record ([ADR 8](../../../../docs/adr/0008-sums-of-blocks.md)).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::rc::Rc;

use bytes::Bytes;
use rfs_model::admin::ScrubReport;
use rfs_model::{FileKind, Index, InodeId, NodeId};

pub use super::scrub_state::ScrubState;
use super::wire::ShellMessage;
use super::{Event, Inner, Shard, TreeState};
use crate::clock;
use crate::pool::ProposeError;
use crate::tree::{CHUNK, Fault, InodeMeta, Inspected, Look, Summed, Tree};

/// Blocks of a chunk.
const CHUNK_BLOCKS: u64 = 32;
/// More chunks than one job reads.
const JOB_CHUNKS: u64 = 10;
/// Inodes that are looked at in one tick.
const ROW: usize = 16;
/// Lines that are kept for the operator.
const LINES: usize = 100;
/// Of a line so much is kept, bytes: a path may be longer than a message.
const LINE_BYTES: usize = 1024;
const TELL_US: u64 = 1_000_000;

#[derive(Default)]
pub(crate) struct Scrub {
    state: ScrubState,
    /// The last record of the log that was read.
    pub(super) log: Index,
    begun_us: u64,
    /// A checkpoint must have come so far: what is newer is not in the index on disk, by which the scrub goes.
    from: Index,
    after: Option<InodeId>,
    /// Files whose data is to be read, and how far that is.
    files: VecDeque<(InodeId, u64)>,
    pub(super) busy: bool,
    /// What the job on its way reads: chunks of a file.
    reading: Option<(InodeId, Range<u64>)>,
    free_us: u64,
    /// By inode; what another brick said may take it back.
    lines: BTreeMap<InodeId, String>,
    names_put_back: u64,
    told_us: u64,
    others: BTreeMap<NodeId, ScrubState>,
}

impl Scrub {
    pub fn heard(&mut self, from: NodeId, state: ScrubState) {
        self.others.insert(from, state);
    }

    fn runs(&self) -> bool {
        self.state.phase == 1
    }

    /// Bytes were read: the next ones may be at a time that the rate allows.
    pub(super) fn spent(&mut self, now_us: u64, bytes: u64, rate: u64) {
        self.state.bytes += bytes;
        self.free_us = now_us + bytes * 1_000_000 / rate.max(1);
    }

    pub(super) fn note(&mut self, id: InodeId, mut line: String) {
        if line.len() > LINE_BYTES {
            let end = (0..=LINE_BYTES).rev().find(|end| line.is_char_boundary(*end)).unwrap_or(0);
            line.truncate(end);
        }
        if self.lines.len() < LINES || self.lines.contains_key(&id) {
            self.lines.insert(id, line);
        }
    }
}

impl Inner {
    /// Begins or ends a scrub of this brick.
    pub(super) fn scrub(&mut self, begin: bool, now_us: u64) {
        if begin == self.scrub.runs() {
            return;
        }
        if begin {
            let state = ScrubState { phase: 1, ..ScrubState::default() };
            let (busy, from) = (self.scrub.busy, self.applied());
            self.scrub = Scrub { state, begun_us: now_us, busy, from, ..Scrub::default() };
            self.want_checkpoint();
        } else {
            self.scrub.state.phase = 3;
        }
        tracing::info!(brick = %self.brick_name(self.me), begin, "scrub");
    }

    /// Begins or ends a scrub of all bricks; on the leader.
    ///
    /// # Errors
    /// Another brick leads, or none.
    pub(super) fn scrub_all(&mut self, begin: bool) -> Result<Vec<String>, ProposeError> {
        if !self.front.is_leading() {
            return Err(self.not_leading());
        }
        let peers: Vec<NodeId> = self.links.keys().copied().collect();
        peers.into_iter().for_each(|peer| self.send(peer, &ShellMessage::Scrub { begin }));
        self.scrub(begin, clock::boottime_us());
        Ok(Vec::new())
    }

    pub(super) fn tick_scrub(&mut self, shard: &Rc<Shard>, now_us: u64) {
        if now_us.saturating_sub(self.scrub.told_us) >= TELL_US {
            self.scrub.told_us = now_us;
            self.tell_scrub(now_us);
        }
        let ready = matches!(self.tree, TreeState::Ready(_)) && !self.feed.is_busy() && !self.leaving;
        let due =
            !self.scrub.busy && now_us >= self.scrub.free_us && self.checkpoint.index >= self.scrub.from;
        if !self.scrub.runs() || !due || !ready {
            return;
        }
        if let Err(e) = self.scrub_on(shard) {
            self.fail(e.to_string());
        }
    }

    fn tell_scrub(&mut self, now_us: u64) {
        let (rotten, repaired, hopeless) = self.rot_report();
        let unsummed = match &self.tree {
            TreeState::Ready(tree) => tree.unsummed_files(),
            _ => 0,
        };
        let scrub = &mut self.scrub;
        if scrub.runs() {
            scrub.state.ms = now_us.saturating_sub(scrub.begun_us) / 1000;
        }
        scrub.state.unsummed = unsummed;
        (scrub.state.rotten, scrub.state.repaired) = (rotten, repaired + scrub.names_put_back);
        let wrong: BTreeSet<String> = hopeless.into_iter().chain(scrub.lines.values().cloned()).collect();
        scrub.state.wrong = wrong.into_iter().take(LINES).collect();
        let state = scrub.state.clone();
        if state != ScrubState::default() {
            let peers: Vec<NodeId> = self.links.keys().copied().collect();
            for peer in peers {
                self.send(peer, &ShellMessage::ScrubState { state: state.clone() });
            }
        }
    }

    fn scrub_on(&mut self, shard: &Rc<Shard>) -> Result<(), Fault> {
        let TreeState::Ready(tree) = &self.tree else { return Ok(()) };
        let Some((id, block)) = self.scrub.files.pop_front() else { return self.look_on(shard) };
        let job = match tree.scrub_job(id, block) {
            Ok(None) => return Ok(()),
            Ok(Some((None, block))) => {
                self.scrub.files.push_front((id, block));
                return Ok(());
            }
            Ok(Some((Some(job), next))) => {
                self.scrub.files.push_front((id, next));
                self.scrub.reading = Some((id, block / CHUNK_BLOCKS..next.div_ceil(CHUNK_BLOCKS)));
                job
            }
            Err(e @ Fault::Index { .. }) => return Err(e),
            Err(e) => {
                self.scrub.note(id, e.to_string());
                return Ok(());
            }
        };
        self.scrub.busy = true;
        let inbox = Rc::clone(&shard.inbox);
        glommio::spawn_local(async move {
            inbox.push(Event::Scrubbed(glommio::executor().spawn_blocking(move || job.run()).await));
        })
        .detach();
        Ok(())
    }

    pub(super) fn scrubbed(&mut self, now_us: u64, result: Result<Summed, Fault>) {
        self.scrub.busy = false;
        let bytes = result.as_ref().map_or(0, Summed::bytes);
        self.scrub.spent(now_us, bytes, self.options.scrub_rate_bytes);
        self.summed(result);
        if let Some((id, chunks)) = self.scrub.reading.take()
            && let Err(e) = self.send_sums(id, chunks)
        {
            self.fail(e.to_string());
        }
    }

    fn send_sums(&self, id: InodeId, chunks: Range<u64>) -> Result<(), Fault> {
        let (TreeState::Ready(tree), Some(peer)) = (&self.tree, self.compares_with()) else { return Ok(()) };
        let Some(version) = tree.version(id)? else { return Ok(()) };
        // A hole that was skipped has no sums.
        let chunks =
            tree.known_sums(id, chunks.start.max(chunks.end.saturating_sub(JOB_CHUNKS))..chunks.end)?;
        if !chunks.is_empty() {
            self.send(peer, &ShellMessage::CompareSums { id, version, chunks });
        }
        Ok(())
    }

    pub(super) fn compare_sums(
        &mut self,
        from: NodeId,
        id: InodeId,
        version: Index,
        chunks: &[(u64, Bytes)],
    ) {
        let TreeState::Ready(tree) = &self.tree else { return };
        if !self.is_of_the_set() {
            return;
        }
        match tree.differing(id, version, chunks) {
            Ok(blocks) if blocks.is_empty() => {}
            Ok(blocks) => self.send(from, &ShellMessage::OtherSums { id, version, blocks }),
            Err(e) => self.fail(e.to_string()),
        }
    }

    /// Each of two bricks has what it has summed: nothing says which is right.
    pub(super) fn other_sums(&mut self, from: NodeId, id: InodeId, version: Index, blocks: &[u64]) {
        let TreeState::Ready(tree) = &self.tree else { return };
        let (Ok(Some(now)), Some(first)) = (tree.version(id), blocks.first()) else { return };
        if now == version {
            let (path, at) = (tree.path_of(id), first * (CHUNK / CHUNK_BLOCKS));
            let line = format!(
                "{path}: {} blocks from {at} on are not as on {}, and nothing says which is right",
                blocks.len(),
                self.brick_name(from)
            );
            tracing::error!("rot: {}{line}", tree.path().display());
            self.scrub.note(id, line);
        }
    }

    /// Looks at the next inodes.
    fn look_on(&mut self, shard: &Rc<Shard>) -> Result<(), Fault> {
        let TreeState::Ready(tree) = &self.tree else { return Ok(()) };
        let ids = tree.inodes_after(self.scrub.after, ROW)?;
        if self.scrub.after.is_none() {
            self.scrub.state.total = tree.inodes()?;
        }
        let Some(last) = ids.last() else {
            if self.scrub_log(shard) {
                return Ok(());
            }
            self.scrub.state.phase = 2;
            let ScrubState { files, bytes, rotten, repaired, .. } = self.scrub.state;
            tracing::info!(inodes = files, bytes, rotten, repaired, "scrub is done");
            return Ok(());
        };
        self.scrub.after = Some(*last);
        let mut found = Vec::with_capacity(ids.len());
        for id in ids {
            found.extend(tree.inspect(id)?);
        }
        let looks = found.iter().map(|inspected| inspected.look).collect();
        found.into_iter().for_each(|inspected| self.note_inspected(inspected));
        if let Some(peer) = self.compares_with() {
            self.send(peer, &ShellMessage::Compare { looks });
        }
        Ok(())
    }

    fn note_inspected(&mut self, inspected: Inspected) {
        let Inspected { look, kind, wrong, put_back, lines, .. } = inspected;
        self.scrub.state.files += 1;
        self.scrub.state.total = self.scrub.state.total.max(self.scrub.state.files);
        self.scrub.names_put_back += u64::from(put_back);
        if let TreeState::Ready(tree) = &self.tree {
            let path = tree.path_of(look.id);
            let changed = (wrong && lines.is_empty())
                .then(|| format!("{path}: mode, owner, times, size or attributes are not what was set"));
            if !lines.is_empty() || changed.is_some() {
                let line = lines.into_iter().chain(changed).collect::<Vec<_>>().join("; ");
                tracing::error!("rot: {}: {line}", tree.path().display());
                self.scrub.note(look.id, line);
            }
        }
        if kind == FileKind::File && look.digest != 0 {
            self.scrub.files.push_back((look.id, 0));
        }
    }

    /// The leader, or a brick that follows it.
    fn compares_with(&self) -> Option<NodeId> {
        let up = |node: &NodeId| self.core.bricks().iter().any(|peer| peer.brick == *node && peer.up);
        let leader = self.core.leader().filter(|leader| *leader != self.me);
        leader.or_else(|| self.links.keys().copied().find(up))
    }

    /// Another brick's view of some inodes.
    pub(super) fn compare(&mut self, from: NodeId, looks: &[Look]) {
        let TreeState::Ready(tree) = &self.tree else { return };
        if !self.is_of_the_set() {
            return;
        }
        match compared(tree, looks) {
            Ok((same, differ)) => self.send(from, &ShellMessage::Compared { same, differ }),
            Err(e) => self.fail(e.to_string()),
        }
    }

    pub(super) fn compared(&mut self, from: NodeId, same: &[InodeId], differ: Vec<InodeMeta>) {
        if let Err(e) = self.settle_differences(from, same, differ) {
            self.fail(e.to_string());
        }
    }

    fn settle_differences(
        &mut self,
        from: NodeId,
        same: &[InodeId],
        differ: Vec<InodeMeta>,
    ) -> Result<(), Fault> {
        let TreeState::Ready(tree) = &self.tree else { return Ok(()) };
        let brick = tree.path().display().to_string();
        for id in same {
            if let Ok(Some(look)) = tree.look(*id) {
                tree.set_seal(&look)?;
            }
        }
        for meta in differ {
            let (id, path) = (meta.look.id, tree.path_of(meta.look.id));
            let other = self.brick_name(from);
            match tree.restore(&meta) {
                Ok(true) => {
                    tracing::warn!("rot: {brick}{path}: made again as it is on {other}");
                    self.scrub.lines.remove(&id);
                    self.scrub.names_put_back += 1;
                    if meta.body.size > 0 {
                        // Its data may have come from there, too.
                        self.scrub.files.push_back((id, 0));
                    }
                }
                Err(e @ Fault::Index { .. }) => return Err(e),
                Err(e) => self.scrub.note(id, format!("{path}: {e}")),
                Ok(false) if tree.version(id)? != Some(meta.look.version) => {}
                Ok(false) if tree.is_sealed(&meta.look)? => {
                    self.scrub.note(id, format!("{path}: {other} has it otherwise, and is wrong"));
                }
                Ok(false) => {
                    let line = format!("{path}: is not as on {other}, and nothing says which is right");
                    tracing::error!("rot: {brick}{line}");
                    self.scrub.note(id, line);
                }
            }
        }
        Ok(())
    }

    /// What `volume status` and `volume scrub status` say of a brick.
    pub(super) fn scrub_report(&self, node: NodeId) -> Option<ScrubReport> {
        let state = if node == self.me { Some(&self.scrub.state) } else { self.scrub.others.get(&node) };
        state.filter(|state| **state != ScrubState::default()).map(ScrubState::report)
    }
}

/// Which of the inodes are the same here, and all about those that differ in the same version.
fn compared(tree: &Tree, looks: &[Look]) -> Result<(Vec<InodeId>, Vec<InodeMeta>), Fault> {
    let (mut same, mut differ) = (Vec::new(), Vec::new());
    for theirs in looks {
        let ours = match tree.meta(theirs.id) {
            Ok(Some(meta)) if meta.look.version == theirs.version => meta,
            Err(e @ Fault::Index { .. }) => return Err(e),
            // Another version, or wrong here: this brick's own scrub says so.
            _ => continue,
        };
        if ours.look == *theirs {
            same.push(theirs.id);
        } else if differ.is_empty() || Tree::is_sendable(&ours) && differ.len() < 8 {
            differ.push(ours);
        }
    }
    Ok((same, differ))
}
