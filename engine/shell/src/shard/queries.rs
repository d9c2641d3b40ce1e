//! Questions of mounts, from arrival to answer.
//!
//! ```text
//! asked ──► all of the session's requests before it are admitted
//!       ──► read index from the core (lease, or a round)
//!       ──► the tree has applied that index and the session's own changes
//!       ──► read; the lease still holds ──► answer
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use bytes::Bytes;
use rfs_core::consensus::api::{Input, RoleView, Ticket};
use rfs_model::client::{Answer, Query};
use rfs_model::hello::Purpose;
use rfs_model::limits::{OPEN_BYTES, READ_BYTES};
use rfs_model::op::LockOwner;
use rfs_model::{FileKind, Index, InodeId, Refusal, Seq, SessionId};

use super::mounts::{ConnId, Mounts};
use super::{Event, Inner, Shard, TreeState};
use crate::tree::{CHUNK, Fault, Listed, Page, Tree, is_private_xattr};

/// One answer to a listing.
const PAGE: Page = Page { entries: 1024, bytes: 256 * 1024 };
/// Reads larger than this run on a thread: they may have to wait for the disk.
const INLINE_BYTES: u32 = 128 * 1024;

/// A brick that has yet to apply more records than this is catching up: the leader is asked instead.
const FAR_RECORDS: u64 = 4096;

/// One question.
#[derive(Debug)]
pub(crate) struct Asked {
    conn: ConnId,
    tag: u64,
    op: Query,
    session: SessionId,
    /// The last request of the session that came before it.
    after: Option<Seq>,
    /// The tree must have applied this.
    need: Index,
    /// A round of the quorum confirmed the read index: no lease is needed.
    confirmed: bool,
}

/// All open questions of one brick.
#[derive(Default)]
pub(crate) struct Queries {
    fresh: VecDeque<Asked>,
    reading: BTreeMap<Ticket, Asked>,
    ripe: BTreeMap<(Index, u64), Asked>,
    durable: Vec<(Index, ConnId, u64)>,
    next: u64,
}

impl Asked {
    pub fn conn(&self) -> ConnId {
        self.conn
    }
}

impl Queries {
    pub fn ready(&mut self, ticket: Ticket, index: Index, confirmed: bool) {
        if let Some(mut asked) = self.reading.remove(&ticket) {
            asked.need = asked.need.max(index);
            asked.confirmed = confirmed;
            self.wait(asked);
        }
    }

    /// Answers it when the tree has applied what it needs.
    pub fn wait(&mut self, asked: Asked) {
        self.next += 1;
        self.ripe.insert((asked.need, self.next), asked);
    }

    /// Nobody leads at the moment: the mount asks again elsewhere.
    pub fn refused(&mut self, ticket: Ticket, mounts: &mut Mounts) {
        if let Some(asked) = self.reading.remove(&ticket) {
            mounts.answer(asked.conn, asked.tag, Err(Refusal::Interrupted));
        }
    }

    pub fn forget(&mut self, conn: ConnId) {
        self.fresh.retain(|a| a.conn != conn);
        self.reading.retain(|_, a| a.conn != conn);
        self.ripe.retain(|_, a| a.conn != conn);
        self.durable.retain(|(_, c, _)| *c != conn);
    }

    /// Leadership is gone, and with it the connections: mounts ask again.
    pub fn drop_all(&mut self) {
        *self = Self { next: self.next, ..Self::default() };
    }

    fn pop_applied(&mut self, applied: Index) -> Option<Asked> {
        let entry = self.ripe.first_entry()?;
        (entry.key().0 <= applied).then(|| entry.remove())
    }
}

impl Inner {
    pub(super) fn ask(
        &mut self,
        shard: &Rc<Shard>,
        now_us: u64,
        conn: ConnId,
        tag: u64,
        at: Index,
        op: Query,
    ) {
        let Some(mount) = self.mounts.get(conn) else { return };
        let (session, purpose) = (mount.session, mount.purpose);
        if let Query::Release { id } = op {
            if purpose == Purpose::Session {
                self.front.release(session, id);
            }
            return;
        }
        let mut asked = Asked { conn, tag, op, session, after: None, need: at, confirmed: false };
        if purpose == Purpose::LocalReads {
            return self.ask_here(shard, now_us, asked);
        }
        asked.after = self.front.progress(session).map(|p| p.received);
        self.queries.fresh.push_back(asked);
    }

    /// A question to this brick's own tree, asked on the word of the leader that the index `need` is enough for it.
    fn ask_here(&mut self, shard: &Rc<Shard>, now_us: u64, mut asked: Asked) {
        if !reads_only(&asked.op) || asked.need == Index::ZERO {
            return self.mounts.answer(asked.conn, asked.tag, Err(Refusal::NotSupported));
        }
        let doubtful = |id| matches!(&self.tree, TreeState::Ready(tree) if tree.is_doubtful(id));
        if !self.reads_here(asked.need) || asked.op.inode().is_some_and(doubtful) {
            return self.mounts.answer(asked.conn, asked.tag, Err(Refusal::Interrupted));
        }
        if asked.need > self.applied() {
            // Makes this brick hear at once what is committed. Whatever comes of it, the question waits for its own index.
            let ticket = self.ticket();
            self.step(shard, now_us, Input::Read { ticket });
        }
        asked.confirmed = true;
        self.queries.wait(asked);
    }

    /// Whether what is applied here is a part of the leader's history, and `at` is not far off. A log whose last record is
    /// of an older lineage may have an abandoned tail; and who leads has sessions to answer, not others' readers.
    pub(super) fn reads_here(&self, at: Index) -> bool {
        let follows = matches!(self.core.role(), RoleView::Follower | RoleView::Learner)
            && self.core.leader().is_some();
        let of_this_lineage = self.journal.last().term.lineage() == self.core.term().lineage();
        let near = at.0.saturating_sub(self.applied().0) <= FAR_RECORDS;
        matches!(self.tree, TreeState::Ready(_)) && follows && of_this_lineage && near
    }

    /// Begins with every question before which all requests of its session are admitted. What that makes of the core's state
    /// goes to the followers in the frames of the same turn: above all a wish that they sync what it ships.
    pub(super) fn begin_queries(&mut self, shard: &Rc<Shard>, now_us: u64) {
        for asked in std::mem::take(&mut self.queries.fresh) {
            let admitted = asked
                .after
                .is_none_or(|after| self.front.progress(asked.session).is_none_or(|p| p.next > after));
            if admitted {
                self.begin(shard, now_us, asked);
            } else {
                self.queries.fresh.push_back(asked);
            }
        }
    }

    fn begin(&mut self, shard: &Rc<Shard>, now_us: u64, mut asked: Asked) {
        match &asked.op {
            Query::Sync { seq } => return self.ask_sync(shard, now_us, &asked, *seq),
            Query::Open { id, .. } => asked.need = asked.need.max(self.front.open(asked.session, *id)),
            Query::Lookup { parent, name } => {
                asked.need = asked.need.max(self.front.pending_slot(*parent, name));
            }
            // It tells of inodes that the session may have changes of on their way, whichever they are.
            Query::ReadDir { plus: true, .. } => {
                let own = asked.after.and_then(|after| self.front.index_of(asked.session, after));
                asked.need = asked.need.max(own.unwrap_or_default());
            }
            _ => {}
        }
        if asked.after.is_some() {
            let own = match &asked.op {
                Query::Read { id, offset, len } => {
                    let bytes = *offset..offset.saturating_add(u64::from(*len));
                    self.front.pending_data(asked.session, *id, &bytes)
                }
                op => op.inode().map_or(Index::ZERO, |id| self.front.pending_of(asked.session, id)),
            };
            asked.need = asked.need.max(own);
        }
        self.read_index(shard, now_us, asked);
    }

    fn read_index(&mut self, shard: &Rc<Shard>, now_us: u64, asked: Asked) {
        let ticket = self.ticket();
        self.queries.reading.insert(ticket, asked);
        // This turn may have begun before the process was stopped: a lease that has run out since would be offered for ever.
        let now_us = now_us.max(crate::clock::boottime_us());
        self.step(shard, now_us, Input::Read { ticket });
    }

    fn ask_sync(&mut self, shard: &Rc<Shard>, now_us: u64, asked: &Asked, seq: Seq) {
        let Some(index) = self.front.index_of(asked.session, seq) else {
            // The mount asks for what it has not sent: a mistake of its own.
            return self.mounts.answer(asked.conn, asked.tag, Err(Refusal::Invalid));
        };
        if index <= self.durable {
            return self.mounts.answer(asked.conn, asked.tag, Ok(Answer::Done));
        }
        self.queries.durable.push((index, asked.conn, asked.tag));
        self.step(shard, now_us, Input::WantDurable { upto: index });
    }

    pub(super) fn durable_moved(&mut self, shard: &Rc<Shard>) {
        let durable = self.durable;
        let waiting = std::mem::take(&mut self.queries.durable);
        for (index, conn, tag) in waiting {
            if index <= durable {
                self.mounts.answer(conn, tag, Ok(Answer::Done));
            } else {
                self.queries.durable.push((index, conn, tag));
            }
        }
        // Not from here: this runs between two effects of the core.
        if !self.opening.is_empty() {
            shard.inbox.push(Event::More);
        }
    }

    pub(super) fn applied_moved(&mut self, shard: &Rc<Shard>, now_us: u64, _upto: Index) {
        if !self.opening.is_empty() {
            self.welcome_opened(shard, now_us);
        }
    }

    /// Answers every question for which enough is applied.
    pub(super) fn answer_ripe(&mut self, shard: &Rc<Shard>, now_us: u64) {
        if !self.opening.is_empty() {
            self.welcome_opened(shard, now_us);
        }
        while self.failed.is_none() {
            if !matches!(self.tree, TreeState::Ready(_)) {
                return;
            }
            let Some(asked) = self.queries.pop_applied(self.applied()) else { return };
            self.answer_one(shard, now_us, asked);
        }
    }

    fn answer_one(&mut self, shard: &Rc<Shard>, now_us: u64, mut asked: Asked) {
        if self.goes_to_a_thread(shard, &mut asked) {
            return;
        }
        self.answer_here(shard, now_us, asked);
    }

    fn answer_here(&mut self, shard: &Rc<Shard>, now_us: u64, mut asked: Asked) {
        let TreeState::Ready(tree) = &self.tree else { return };
        let here = self.mounts.get(asked.conn).is_some_and(|conn| conn.purpose == Purpose::LocalReads);
        if here && asked.op.inode().is_some_and(|id| tree.is_doubtful(id)) {
            // The leader named it while the question waited.
            return self.refuse(&asked, Refusal::Interrupted);
        }
        let answer = match self.read_tree(tree, &asked) {
            Ok(Looked::Answer(answer)) => answer,
            Ok(Looked::Later(index)) => {
                asked.need = index;
                return self.queries.wait(asked);
            }
            Err(Fault::Rot { id, offset, .. }) => return self.ask_rotten(now_us, asked, id, offset / CHUNK),
            Err(e) => return self.fail(e.to_string()),
        };
        self.deliver(shard, now_us, asked, answer);
    }

    /// Answers, if what was read is still the newest there is.
    fn deliver(&mut self, shard: &Rc<Shard>, now_us: u64, asked: Asked, answer: Result<Answer, Refusal>) {
        let leads = self.core.role() == RoleView::Leader;
        if leads && !asked.confirmed && !self.core.lease_valid(crate::clock::boottime_us()) {
            return self.read_index(shard, now_us, asked);
        }
        match answer {
            Ok(answer) => self.mounts.answer(asked.conn, asked.tag, Ok(answer)),
            Err(why) => self.refuse(&asked, why),
        }
    }

    /// Answers that it cannot be; an open that was counted is none then.
    pub(super) fn refuse(&mut self, asked: &Asked, why: Refusal) {
        if let Query::Open { id, .. } = asked.op {
            self.front.release(asked.session, id);
        }
        self.mounts.answer(asked.conn, asked.tag, Err(why));
    }

    /// Hands large reads and long listings to a thread.
    fn goes_to_a_thread(&mut self, shard: &Rc<Shard>, asked: &mut Asked) -> bool {
        let TreeState::Ready(tree) = &self.tree else { return false };
        let inbox = Rc::clone(&shard.inbox);
        match asked.op {
            Query::Read { id, offset, len } if len > INLINE_BYTES => {
                let len = (len as usize).min(READ_BYTES);
                let Ok(Some(reader)) = tree.reader(id, offset, len) else { return false };
                let read = Box::new(take(asked));
                glommio::spawn_local(async move {
                    let job = move || reader.read();
                    let data = glommio::executor().spawn_blocking(job).await;
                    inbox.push(Event::ReadDone { read, data });
                })
                .detach();
                true
            }
            Query::ReadDir { id, .. } => {
                let Ok(Some(job)) = tree.list_job(id) else { return false };
                let read = Box::new(take(asked));
                glommio::spawn_local(async move {
                    let listed = glommio::executor().spawn_blocking(move || job.run()).await;
                    inbox.push(Event::Listed { read, listed });
                })
                .detach();
                true
            }
            _ => false,
        }
    }

    pub(super) fn read_done(
        &mut self,
        shard: &Rc<Shard>,
        now_us: u64,
        asked: Asked,
        data: Result<Bytes, Fault>,
    ) {
        match data {
            Ok(data) => self.deliver(shard, now_us, asked, Ok(Answer::Data { data })),
            // Or the file has changed under the thread's hands: here nothing changes it.
            Err(Fault::Rot { .. }) => self.answer_here(shard, now_us, asked),
            Err(e) => self.fail(e.to_string()),
        }
    }

    pub(super) fn listed(&mut self, asked: Asked, listed: Result<Listed, Fault>) {
        let TreeState::Ready(tree) = &self.tree else { return };
        match listed.and_then(|listed| tree.listed(listed)) {
            Ok(()) => self.queries.wait(asked),
            Err(e) => self.fail(e.to_string()),
        }
    }

    fn read_tree(&self, tree: &Tree, asked: &Asked) -> Result<Looked, Fault> {
        use Refusal::{NoAttribute, NoData, NoEntry, NotDirectory, Stale};
        let attr = |id: InodeId| -> Result<Result<Answer, Refusal>, Fault> {
            Ok(tree.attr_checked(id)?.map(|attr| Answer::Attr { attr }).ok_or(Stale))
        };
        let answer = match &asked.op {
            Query::Lookup { parent, name } => {
                if !good_name(name) {
                    return Ok(Looked::Answer(Err(NoEntry)));
                }
                let Some(id) = tree.child(*parent, name)? else { return Ok(Looked::Answer(Err(NoEntry))) };
                let own = self.front.pending_of(asked.session, id);
                if own > self.applied() {
                    return Ok(Looked::Later(own));
                }
                attr(id)?
            }
            Query::GetAttr { id } => attr(*id)?,
            Query::Open { id, unless } => opened(tree, *id, *unless)?.ok_or(Stale),
            Query::Read { id, offset, len } => {
                let len = (*len as usize).min(READ_BYTES);
                tree.read(*id, *offset, len)?.map(|data| Answer::Data { data }).ok_or(Stale)
            }
            Query::ReadLink { id } => tree.readlink(*id)?.map(|data| Answer::Data { data }).ok_or(Stale),
            Query::ReadDir { id, after, plus } => {
                let page = tree.readdir(*id, after, *plus, PAGE)?;
                page.map(|(entries, end)| Answer::Dir { entries, end }).ok_or(NotDirectory)
            }
            Query::GetXattr { id, name } if is_private_xattr(name) => {
                let _ = id;
                Err(NoAttribute)
            }
            Query::GetXattr { id, name } => {
                tree.xattr(*id, name)?.map(|data| Answer::Data { data }).ok_or(NoAttribute)
            }
            Query::ListXattr { id } => {
                tree.xattr_names(*id)?.map(|names| Answer::Names { names }).ok_or(Stale)
            }
            Query::Statfs {} => self.statfs().map(|statfs| Answer::Statfs { statfs }).ok_or(Refusal::Broken),
            Query::Seek { id, offset, data } => {
                tree.seek(*id, *offset, *data)?.map(|offset| Answer::Offset { offset }).ok_or(NoData)
            }
            Query::GetLock { id, owner, range } => {
                let owner = LockOwner { session: asked.session, owner: *owner };
                Ok(Answer::Lock { range: self.front.lock_answer(*id, owner, *range) })
            }
            // All that is committed is applied here: whoever has the inode's last change has all there is to read of it.
            Query::ReadIndex { id } => tree.version(*id)?.map(|index| Answer::ReadAt { index }).ok_or(Stale),
            Query::Renew {} | Query::Release { .. } | Query::Sync { .. } => Ok(Answer::Done),
        };
        Ok(Looked::Answer(answer))
    }
}

/// What a look at the tree gave.
enum Looked {
    Answer(Result<Answer, Refusal>),
    /// One's own changes are not applied yet: look again at this index.
    Later(Index),
}

/// The inode's attributes, and the data of a small file that is not of the version `unless`. Of one that has rotten nothing: a read
/// says so, and has it repaired.
fn opened(tree: &Tree, id: InodeId, unless: Option<Index>) -> Result<Option<Answer>, Fault> {
    let Some(attr) = tree.attr_checked(id)? else { return Ok(None) };
    let small = attr.kind == FileKind::File && attr.size <= OPEN_BYTES as u64;
    let wanted = small && unless.is_some_and(|version| version != attr.version);
    let data = match wanted.then(|| tree.read(id, 0, OPEN_BYTES)).transpose() {
        Ok(data) => data.flatten().unwrap_or_default(),
        Err(Fault::Rot { .. }) => Bytes::new(),
        Err(fault) => return Err(fault),
    };
    Ok(Some(Answer::Opened { attr, data }))
}

fn take(asked: &mut Asked) -> Asked {
    let op = std::mem::replace(&mut asked.op, Query::Statfs {});
    Asked { op, ..*asked }
}

fn good_name(name: &[u8]) -> bool {
    !name.is_empty() && !name.contains(&b'/') && !name.contains(&0) && name != b"." && name != b".."
}

/// Questions that a follower's own tree can answer.
fn reads_only(op: &Query) -> bool {
    use Query::{GetLock, Open, Release, Renew, Sync};
    !matches!(op, Open { .. } | Release { .. } | Sync { .. } | GetLock { .. } | Renew {})
}
