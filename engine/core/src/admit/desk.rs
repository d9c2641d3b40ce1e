//! One session's requests at the leader: queued in order, admitted in order, each answered once.

use std::collections::{BTreeMap, VecDeque};

use rfs_model::client::Mutation;
use rfs_model::limits::SESSION_RESULTS;
use rfs_model::{Index, InodeId, Refusal, Seq};

use crate::sessions::{Outcome, Session};

/// Why a connection has to be dropped: the mount has broken the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    #[error("the session does not exist, or has ended")]
    NoSession,
    #[error("request {got} arrived where {want} was due")]
    Gap { got: Seq, want: Seq },
    #[error("request {0} was let go by the mount itself")]
    Forgotten(Seq),
    #[error("request {0} is too far from the oldest one that the mount keeps")]
    TooFar(Seq),
    #[error("request {0} makes no sense")]
    Nonsense(Seq),
    #[error("what was answered before request {0} is not in this lineage of the volume")]
    Abandoned(Seq),
}

/// What is to be done with a request that has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// It waits its turn: [`crate::admit::Front::admit_next`] will come to it.
    Queued,
    /// It was carried out or refused before: answer this, now.
    Known(Outcome),
    /// Its record is on the way: [`crate::admit::Front::apply`] will answer it.
    OnItsWay(Outcome),
}

#[derive(Clone, Debug)]
pub(super) struct Request {
    pub seq: Seq,
    pub op: Mutation,
}

/// An answer that no applied record carries yet.
#[derive(Clone, Copy, Debug)]
enum Told {
    /// Its record is proposed.
    Flying(Index, Outcome),
    /// Refused, or a success that changed nothing; the session's newest record before it.
    Loose(Index, Outcome),
}

impl Told {
    fn index(self) -> Index {
        match self {
            Self::Flying(index, _) | Self::Loose(index, _) => index,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    /// Its first record is not applied yet.
    Opening,
    Open,
    /// It ends when its queue is empty.
    Leaving,
    /// Its last record is on the way.
    Closing,
}

#[derive(Clone, Debug)]
pub(super) struct Desk {
    pub life: Life,
    pub queue: VecDeque<Request>,
    /// The next request from the wire.
    received: Seq,
    /// The oldest request that the mount may send again.
    lowest: Seq,
    told: BTreeMap<Seq, Told>,
    /// Refusals that no record carries.
    unrecorded: Vec<(Seq, Refusal)>,
    /// The session's newest record.
    newest: Index,
    /// The record that the first request in the queue waits for; 0: none.
    pub waits_for: Index,
    /// It waits for the end of a lease.
    pub waits_for_lease: bool,
    /// It is in the list of sessions that have something to admit.
    pub listed: bool,
    pub heard_ms: u64,
}

impl Desk {
    pub fn new(life: Life, session: Option<&Session>, heard_ms: u64) -> Self {
        let received = session.map_or(Seq(1), Session::next);
        Self {
            life,
            queue: VecDeque::new(),
            received,
            lowest: session.map_or(Seq(1), Session::first),
            told: BTreeMap::new(),
            unrecorded: Vec::new(),
            newest: Index::ZERO,
            waits_for: Index::ZERO,
            waits_for_lease: false,
            listed: false,
            heard_ms,
        }
    }

    pub fn can_receive(&self) -> bool {
        matches!(self.life, Life::Opening | Life::Open)
    }

    /// Takes in a request: one that is new is queued, one that is known is answered.
    pub fn receive(
        &mut self,
        seq: Seq,
        lowest_kept: Seq,
        op: Mutation,
        table: Option<&Session>,
    ) -> Result<Received, Violation> {
        if seq == Seq::ZERO || lowest_kept > seq || seq > Seq::LIMIT {
            return Err(Violation::Nonsense(seq));
        }
        self.keep_from(lowest_kept);
        if seq < self.lowest {
            return Err(Violation::Forgotten(seq));
        }
        if seq.0 - self.lowest.0 >= SESSION_RESULTS as u64 {
            return Err(Violation::TooFar(seq));
        }
        if seq > self.received {
            return Err(Violation::Gap { got: seq, want: self.received });
        }
        if seq == self.received {
            self.received = seq.next();
            self.queue.push_back(Request { seq, op });
            return Ok(Received::Queued);
        }
        if seq >= self.next() {
            return Ok(Received::Queued);
        }
        self.known(seq, &op, table).ok_or(Violation::Forgotten(seq))
    }

    fn known(&self, seq: Seq, op: &Mutation, table: Option<&Session>) -> Option<Received> {
        let outcome = match self.told.get(&seq) {
            Some(Told::Flying(_, outcome)) => return Some(Received::OnItsWay(*outcome)),
            Some(Told::Loose(_, outcome)) => *outcome,
            None => table?.get(seq)?.outcome,
        };
        // That a new inode existed already was not worth a record, but the mount has named it.
        if let Mutation::Make { as_id, .. } = op
            && *as_id != InodeId::NIL
            && outcome == Outcome::NOTHING
        {
            return Some(Received::Known(Outcome::Done { id: *as_id, offset: 0, attr: true }));
        }
        Some(Received::Known(outcome))
    }

    /// Whether the mount has let go of requests of which nothing is known here.
    pub fn lacks(&self, lowest_kept: Seq) -> bool {
        self.queue.is_empty() && lowest_kept > self.received
    }

    /// The mount lets go of everything below.
    pub fn keep_from(&mut self, lowest_kept: Seq) {
        if lowest_kept <= self.lowest {
            return;
        }
        self.lowest = lowest_kept;
        self.unrecorded.retain(|(seq, _)| *seq >= lowest_kept);
        while let Some(first) = self.told.first_entry()
            && *first.key() < lowest_kept
            && matches!(first.get(), Told::Loose(..))
        {
            first.remove();
        }
        // What the mount has an answer for and lets go is not sent again: a new leader may never have seen it.
        if self.queue.is_empty() {
            self.received = self.received.max(lowest_kept);
        }
    }

    /// The connection is gone: what was not admitted will be sent again.
    pub fn clear_queue(&mut self) {
        self.received = self.next();
        self.queue.clear();
        self.waits_for = Index::ZERO;
        self.waits_for_lease = false;
    }

    /// The next request to be admitted.
    pub fn next(&self) -> Seq {
        self.queue.front().map_or(self.received, |r| r.seq)
    }

    /// The last request that has arrived.
    pub fn received(&self) -> Seq {
        self.received.prev()
    }

    pub fn lowest(&self) -> Seq {
        self.lowest
    }

    /// The first request has been answered without a record.
    pub fn tell(&mut self, outcome: Outcome) {
        let Some(request) = self.queue.pop_front() else { return };
        if let Outcome::Refused { why } = outcome {
            self.unrecorded.push((request.seq, why));
        }
        self.told.insert(request.seq, Told::Loose(self.newest, outcome));
    }

    /// The first request is proposed at `index`. Returns the refusals that its record carries.
    pub fn propose(&mut self, index: Index, outcome: Outcome) -> Vec<(Seq, Refusal)> {
        if let Some(request) = self.queue.pop_front() {
            self.newest = index;
            self.told.insert(request.seq, Told::Flying(index, outcome));
        }
        std::mem::take(&mut self.unrecorded)
    }

    /// The record with this request is applied: the replicated table has it and all before it.
    pub fn applied(&mut self, seq: Seq) {
        while self.told.first_key_value().is_some_and(|(first, _)| *first <= seq) {
            self.told.pop_first();
        }
    }

    /// The last request that is done with, and whose records and those of all before it are not above `durable`.
    pub fn durable(&self, durable: Index, table: Option<&Session>) -> Seq {
        let mut through = match table {
            Some(session) => {
                let through = session.through(durable);
                if through.next() < session.next() {
                    return through;
                }
                through
            }
            None => Seq::ZERO,
        };
        for (seq, told) in &self.told {
            if told.index() > durable {
                return through;
            }
            through = *seq;
        }
        through
    }

    /// The index at which a request and all before it are durable; `None` while it waits in the queue or has not arrived.
    pub fn index_of(&self, seq: Seq, table: Option<&Session>) -> Option<Index> {
        if seq >= self.next() {
            return None;
        }
        if let Some((_, told)) = self.told.range(..=seq).next_back() {
            return Some(told.index());
        }
        Some(table.and_then(|s| s.get(seq)).map_or(Index::ZERO, |r| r.index))
    }
}
