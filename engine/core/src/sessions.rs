//! Sessions and their results: what makes a request happen exactly once, whoever leads. Part of the replicated state: it
//! changes only by committed records, in the log's order.
//!
//! Results are installed when a record is *applied*, which is after its commit: a record in a tail that is cut off later
//! never leaves a trace here. A new leader admits nothing before its own first record is applied, and by then it has all
//! results of its log.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use rfs_model::limits::{SESSION_RESULTS, SESSIONS};
use rfs_model::op::Stamped;
use rfs_model::{Decode, Encode, Reader};
use rfs_model::{DecodeError, Index, InodeId, Op, Refusal, Seq, SessionId, layout, tagged};

/// What came of a request, without what can be looked up when it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// `attr`: the answer carries the inode's attributes as of now.
    Done {
        id: InodeId,
        offset: u64,
        attr: bool,
    },
    Refused {
        why: Refusal,
    },
}
tagged!(Outcome, "an outcome", { 1 => Done { id, offset, attr }, 2 => Refused { why } });

impl Outcome {
    /// A success that left no trace.
    pub const NOTHING: Self = Self::Done { id: InodeId::NIL, offset: 0, attr: false };

    /// What a recorded operation gives back.
    #[must_use]
    pub fn of(op: &Op) -> Self {
        match op {
            Op::Make { id, .. } | Op::Link { id, .. } | Op::SetAttr { id, .. } | Op::Allocate { id, .. } => {
                Self::Done { id: *id, offset: 0, attr: true }
            }
            Op::Write { id, offset, .. } => Self::Done { id: *id, offset: *offset, attr: false },
            Op::Unlink { id, .. }
            | Op::Rename { id, .. }
            | Op::Exchange { id, .. }
            | Op::SetXattr { id, .. }
            | Op::RemoveXattr { id, .. }
            | Op::Reap { id }
            | Op::Lock { id, .. }
            | Op::Unlock { id, .. } => Self::Done { id: *id, offset: 0, attr: false },
            Op::SessionOpen { .. } | Op::SessionClose {} | Op::Compare { .. } => Self::NOTHING,
        }
    }
}

/// A result and the index of the record that carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    pub index: Index,
    pub outcome: Outcome,
}
layout!(Recorded { index, outcome });

/// A record that contradicts the table: two histories have been mixed, or one record is applied twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionFault {
    #[error("record {0} is of session {1}, which does not exist")]
    Unknown(Index, SessionId),
    #[error("record {0} opens session {1} again")]
    Twice(Index, SessionId),
    #[error("record {0} carries request {1}, but {2} is next")]
    Order(Index, Seq, Seq),
}

/// One session's results: of requests `first .. next`, without gaps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    name: Bytes,
    first: Seq,
    results: VecDeque<Recorded>,
}

impl Session {
    fn new(name: Bytes) -> Self {
        Self { name, first: Seq(1), results: VecDeque::new() }
    }

    /// The mount's host, for people.
    #[must_use]
    pub fn name(&self) -> &Bytes {
        &self.name
    }

    /// The oldest request whose result is kept.
    #[must_use]
    pub fn first(&self) -> Seq {
        self.first
    }

    /// The request after the last one with a result.
    #[must_use]
    pub fn next(&self) -> Seq {
        Seq(self.first.0 + self.results.len() as u64)
    }

    #[must_use]
    pub fn get(&self, seq: Seq) -> Option<&Recorded> {
        let at = seq.0.checked_sub(self.first.0)?;
        self.results.get(usize::try_from(at).ok()?)
    }

    /// The last request all of whose predecessors, itself included, have results in records up to `index`.
    #[must_use]
    pub fn through(&self, index: Index) -> Seq {
        let count = self.results.partition_point(|r| r.index <= index);
        Seq(self.first.0 + count as u64).prev()
    }

    /// The record of the last result.
    #[must_use]
    pub fn newest(&self) -> Option<Index> {
        self.results.back().map(|result| result.index)
    }

    fn apply(&mut self, index: Index, stamped: &Stamped) -> Result<(), SessionFault> {
        self.forget(stamped.lowest_kept);
        let (seq, next) = (stamped.seq, self.next());
        let limit = SESSION_RESULTS as u64;
        // A leader lets no mount go so far from what it keeps.
        if seq < next || seq.0 - next.0 >= limit || seq.0 - self.first.0 >= 2 * limit {
            return Err(SessionFault::Order(index, seq, next));
        }
        // Between two records lie requests that were refused, and successes that changed nothing.
        let refused: BTreeMap<Seq, Refusal> = stamped.refused.iter().copied().collect();
        for between in next.0..seq.0 {
            let outcome = match refused.get(&Seq(between)) {
                Some(why) => Outcome::Refused { why: *why },
                None => Outcome::NOTHING,
            };
            self.results.push_back(Recorded { index, outcome });
        }
        self.results.push_back(Recorded { index, outcome: Outcome::of(&stamped.op) });
        Ok(())
    }

    fn forget(&mut self, lowest_kept: Seq) {
        while self.first < lowest_kept && self.results.pop_front().is_some() {
            self.first = self.first.next();
        }
        self.first = self.first.max(lowest_kept);
    }
}

impl Encode for Session {
    fn encode(&self, out: &mut Vec<u8>) {
        self.name.encode(out);
        self.first.encode(out);
        (self.results.len() as u32).encode(out);
        self.results.iter().for_each(|r| r.encode(out));
    }
}

impl Decode for Session {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (name, first) = (Bytes::decode(r)?, Seq::decode(r)?);
        let results: Vec<Recorded> = r.list()?;
        let limit = SESSION_RESULTS as u64;
        if results.len() as u64 > 2 * limit || first > Seq::LIMIT.next() {
            return Err(DecodeError::TooLarge { what: "a session", value: results.len() as u64, limit });
        }
        if !results.is_sorted_by_key(|r| r.index) {
            return Err(DecodeError::Text("session: results out of order"));
        }
        Ok(Self { name, first, results: results.into() })
    }
}

/// All sessions of one replica set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sessions {
    table: BTreeMap<SessionId, Session>,
}

impl Sessions {
    #[must_use]
    pub fn get(&self, id: SessionId) -> Option<&Session> {
        self.table.get(&id)
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = (SessionId, &Session)> {
        self.table.iter().map(|(id, s)| (*id, s))
    }

    /// Takes in an applied record. Records of nobody (nil) leave no trace.
    ///
    /// # Errors
    /// [`SessionFault`]: the brick must stop.
    pub fn apply(&mut self, index: Index, stamped: &Stamped) -> Result<(), SessionFault> {
        let id = stamped.session;
        match &stamped.op {
            Op::SessionOpen { name } => {
                let old = self.table.insert(id, Session::new(name.clone()));
                if old.is_some() { Err(SessionFault::Twice(index, id)) } else { Ok(()) }
            }
            Op::SessionClose {} => self.table.remove(&id).map(drop).ok_or(SessionFault::Unknown(index, id)),
            _ if id.is_nil() => Ok(()),
            _ => self.table.get_mut(&id).ok_or(SessionFault::Unknown(index, id))?.apply(index, stamped),
        }
    }
}

impl Encode for Sessions {
    fn encode(&self, out: &mut Vec<u8>) {
        (self.table.len() as u32).encode(out);
        for (id, session) in &self.table {
            id.encode(out);
            session.encode(out);
        }
    }
}

impl Decode for Sessions {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let list: Vec<(SessionId, Session)> = r.list()?;
        let (value, limit) = (list.len() as u64, SESSIONS as u64);
        if value > limit {
            return Err(DecodeError::TooLarge { what: "a session table", value, limit });
        }
        Ok(Self { table: list.into_iter().collect() })
    }
}

#[cfg(test)]
mod tests {
    use rfs_model::Timestamp;

    use super::*;

    const WHO: SessionId = SessionId([3; 16]);

    fn stamped(seq: u64, lowest_kept: u64, refused: &[(u64, Refusal)], op: Op) -> Stamped {
        let refused = refused.iter().map(|(s, why)| (Seq(*s), *why)).collect();
        let time = Timestamp { secs: 1, nanos: 0 };
        Stamped { session: WHO, seq: Seq(seq), lowest_kept: Seq(lowest_kept), refused, time, op }
    }

    fn write(offset: u64) -> Op {
        Op::Write { id: InodeId::ROOT, offset, data: Bytes::from_static(b"x") }
    }

    fn opened() -> Sessions {
        let mut sessions = Sessions::default();
        sessions.apply(Index(1), &stamped(0, 0, &[], Op::SessionOpen { name: Bytes::new() })).unwrap();
        sessions
    }

    #[test]
    fn refusals_and_silent_successes_fill_the_gaps() {
        let mut s = opened();
        s.apply(Index(5), &stamped(4, 1, &[(2, Refusal::Exists)], write(7))).unwrap();
        let session = s.get(WHO).unwrap();
        let outcome = |seq| session.get(Seq(seq)).map(|r| r.outcome);
        assert_eq!(outcome(1), Some(Outcome::NOTHING));
        assert_eq!(outcome(2), Some(Outcome::Refused { why: Refusal::Exists }));
        assert_eq!(outcome(4), Some(Outcome::Done { id: InodeId::ROOT, offset: 7, attr: false }));
        assert_eq!((outcome(0), outcome(5)), (None, None));
        assert_eq!(session.next(), Seq(5));
    }

    #[test]
    fn what_is_taken_in_can_be_read_back() {
        let far = SESSION_RESULTS as u64 - 1;
        let last = Seq::LIMIT.0;
        for (steps, whole) in [
            (&[(1, 1), (far, 1), (2 * far, 1)][..], true),
            (&[(far, 1), (2 * far, 1), (2 * far + 3, 1)], false),
            (&[(last, last)], true),
        ] {
            let mut s = opened();
            let mut apply =
                |(seq, lowest): &(u64, u64)| s.apply(Index(*seq), &stamped(*seq, *lowest, &[], write(0)));
            assert_eq!(steps.iter().try_for_each(&mut apply).is_ok(), whole, "{steps:?}");
            assert_eq!(Sessions::from_all(&s.encoded().into()), Ok(s), "{steps:?}");
        }
    }

    #[test]
    fn results_go_when_the_mount_lets_them_go() {
        let mut s = opened();
        for seq in 1..=10 {
            s.apply(Index(10 + seq), &stamped(seq, 1, &[], write(seq))).unwrap();
        }
        s.apply(Index(30), &stamped(11, 9, &[], write(11))).unwrap();
        let session = s.get(WHO).unwrap();
        assert_eq!((session.first(), session.next()), (Seq(9), Seq(12)));
        assert_eq!(session.get(Seq(8)), None);
        s.apply(Index(31), &stamped(20, 20, &[], write(0))).unwrap();
        assert_eq!(s.get(WHO).unwrap().first(), Seq(20));
    }

    #[test]
    fn the_durable_prefix_follows_the_log() {
        let mut s = opened();
        for (index, seq) in [(5, 1), (7, 2), (9, 4)] {
            s.apply(Index(index), &stamped(seq, 1, &[], write(seq))).unwrap();
        }
        let session = s.get(WHO).unwrap();
        let table = [(4, 0), (5, 1), (6, 1), (7, 2), (8, 2), (9, 4), (99, 4)];
        for (index, seq) in table {
            assert_eq!(session.through(Index(index)), Seq(seq), "durable to {index}");
        }
    }

    #[test]
    fn a_record_is_applied_once() {
        let mut s = opened();
        s.apply(Index(5), &stamped(1, 1, &[], write(7))).unwrap();
        let again = s.apply(Index(6), &stamped(1, 1, &[], write(7)));
        assert_eq!(again, Err(SessionFault::Order(Index(6), Seq(1), Seq(2))));
        let open = stamped(0, 0, &[], Op::SessionOpen { name: Bytes::new() });
        assert_eq!(s.apply(Index(7), &open), Err(SessionFault::Twice(Index(7), WHO)));
        s.apply(Index(8), &stamped(0, 0, &[], Op::SessionClose {})).unwrap();
        let late = s.apply(Index(9), &stamped(2, 1, &[], write(0)));
        assert_eq!(late, Err(SessionFault::Unknown(Index(9), WHO)));
    }

    #[test]
    fn the_table_survives_its_bytes() {
        let mut s = opened();
        s.apply(Index(5), &stamped(3, 2, &[(2, Refusal::NoEntry)], write(7))).unwrap();
        assert_eq!(Sessions::from_all(&Bytes::from(s.encoded())), Ok(s));
    }
}
