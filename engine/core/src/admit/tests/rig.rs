//! One leader with its tree and a log whose records are applied when the test says so.

use bytes::Bytes;
use rfs_model::client::{Done, Mutation};
use rfs_model::op::Stamped;
use rfs_model::{FileKind, Index, InodeId, Refusal, Seq, SessionId, Term, Timestamp};

use crate::admit::{Applied, Attach, Front, Limits, Received, Verdict};
use crate::sessions::Outcome;
use crate::testing::MemTree;

pub(super) const TERM: Term = Term(1);
pub(super) const A: SessionId = SessionId([1; 16]);
pub(super) const B: SessionId = SessionId([2; 16]);

pub(super) struct Rig {
    pub front: Front,
    pub tree: MemTree,
    /// Record i has index i + 1.
    pub log: Vec<Stamped>,
    pub applied: usize,
    pub now: Timestamp,
    seqs: std::collections::BTreeMap<SessionId, u64>,
}

impl Rig {
    /// A leader with sessions A and B.
    pub fn new() -> Self {
        let mut front = Front::new(Limits::default());
        front.lead(TERM, 0);
        let (tree, log) = (MemTree::default(), Vec::new());
        let now = Timestamp { secs: 1000, nanos: 0 };
        let mut rig = Self { front, tree, log, applied: 0, now, seqs: Default::default() };
        for session in [A, B] {
            assert_eq!(rig.front.attach(session, false, &Bytes::new(), &[]), Attach::Opening);
            rig.admit_all();
        }
        rig.apply_all();
        rig
    }

    pub fn next(&self) -> Index {
        Index(self.log.len() as u64 + 1)
    }

    pub fn admit(&mut self) -> Option<Verdict> {
        let verdict = self.front.admit_next(&self.tree, self.now, self.next()).unwrap();
        if let Some(Verdict::Record(stamped)) = &verdict {
            self.log.push(stamped.clone());
        }
        verdict
    }

    pub fn admit_all(&mut self) -> Vec<Verdict> {
        std::iter::from_fn(|| self.admit()).collect()
    }

    /// Applies the next record.
    pub fn apply(&mut self) -> Option<Applied> {
        let stamped = self.log.get(self.applied)?;
        self.applied += 1;
        let index = Index(self.applied as u64);
        self.tree.apply(index, stamped).unwrap();
        Some(self.front.apply(index, stamped).unwrap())
    }

    pub fn apply_all(&mut self) -> Vec<Applied> {
        std::iter::from_fn(|| self.apply()).collect()
    }

    /// Sends a session's next request. Returns its number.
    pub fn send(&mut self, session: SessionId, op: Mutation) -> Seq {
        let seq = self.seqs.entry(session).or_default();
        *seq += 1;
        let seq = Seq(*seq);
        assert_eq!(self.front.receive(session, seq, Seq(1), op), Ok(Received::Queued));
        seq
    }

    /// The session's last request was not admitted, and its number is free again.
    pub fn unsend(&mut self, session: SessionId) {
        *self.seqs.get_mut(&session).expect("it has sent one") -= 1;
    }

    /// Sends a request, carries out all that is on the way, and returns its answer.
    pub fn call(&mut self, session: SessionId, op: Mutation) -> Result<Done, Refusal> {
        let seq = self.send(session, op);
        let outcome = self.settle(session, seq).expect("every request is answered");
        outcome.answer(&self.tree).unwrap()
    }

    fn settle(&mut self, session: SessionId, seq: Seq) -> Option<Outcome> {
        let mut found = None;
        loop {
            let verdicts = self.admit_all();
            for verdict in &verdicts {
                if let Verdict::Answer { session: s, seq: q, outcome } = verdict
                    && (*s, *q) == (session, seq)
                {
                    found = Some(*outcome);
                }
            }
            let applied = self.apply_all();
            for (s, q, outcome) in applied.iter().filter_map(|a| a.answer) {
                if (s, q) == (session, seq) {
                    found = Some(outcome);
                }
            }
            if verdicts.is_empty() && applied.is_empty() {
                return found;
            }
        }
    }

    pub fn file(&mut self, parent: InodeId, name: &'static str) -> InodeId {
        self.call(A, make(parent, name, FileKind::File)).unwrap().id
    }

    pub fn dir(&mut self, parent: InodeId, name: &'static str) -> InodeId {
        self.call(A, make(parent, name, FileKind::Dir)).unwrap().id
    }
}

pub(super) fn name(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

pub(super) fn make(parent: InodeId, text: &'static str, kind: FileKind) -> Mutation {
    let target = if kind == FileKind::Symlink { name("target") } else { Bytes::new() };
    Mutation::Make {
        parent,
        name: name(text),
        kind,
        mode: 0o666,
        umask: 0o022,
        uid: 10,
        gid: 20,
        rdev: 0,
        target,
        as_id: InodeId::NIL,
        open: false,
    }
}

pub(super) fn unlink(parent: InodeId, text: &'static str) -> Mutation {
    Mutation::Unlink { parent, name: name(text), dir: false }
}

pub(super) fn rmdir(parent: InodeId, text: &'static str) -> Mutation {
    Mutation::Unlink { parent, name: name(text), dir: true }
}

pub(super) fn link(id: InodeId, parent: InodeId, text: &'static str) -> Mutation {
    Mutation::Link { id, parent, name: name(text) }
}

pub(super) fn rename(
    from: InodeId,
    from_name: &'static str,
    to: InodeId,
    to_name: &'static str,
    flags: u32,
) -> Mutation {
    Mutation::Rename { from, from_name: name(from_name), to, to_name: name(to_name), flags }
}

pub(super) fn write(id: InodeId, offset: u64, data: &'static str) -> Mutation {
    Mutation::Write { id, offset, data: name(data) }
}

pub(super) fn append(id: InodeId, data: &'static str) -> Mutation {
    Mutation::Append { id, data: name(data) }
}
