//! A leader with a tree in memory, whose mounts say anything.

use bytes::Bytes;
use rfs_core::admit::{Front, Limits, Room, Verdict};
use rfs_core::testing::MemTree;
use rfs_model::hello::OpenInode;
use rfs_model::limits::RECORD_BYTES;
use rfs_model::op::{LockKind, LockOwner, LockRange, Stamped};
use rfs_model::{Encode, Index, InodeId, NodeId, Seq, Term, Timestamp};

use crate::ops;
use crate::source::Source;

const TERM: Term = Term(1);

struct Leader {
    front: Front,
    tree: MemTree,
    log: Vec<Stamped>,
    applied: usize,
    known: Vec<InodeId>,
    now_ms: u64,
}

/// # Panics
/// When a promise is broken.
pub fn history(source: &mut Source<'_>) {
    // Files in memory are small; the rules are the same.
    let limits = Limits { file_bytes: 1 << 20, ..Limits::default() };
    let mut front = Front::new(limits);
    front.lead(TERM, 0);
    let (tree, log, known) = (MemTree::default(), Vec::new(), vec![InodeId::ROOT]);
    let mut leader = Leader { front, tree, log, applied: 0, known, now_ms: 0 };
    while !source.is_empty() {
        leader.act(source);
    }
    leader.finish();
    let bytes = leader.front.snapshot();
    let again = Front::restore(limits, &bytes.clone().into());
    assert_eq!(again.map(|again| again.snapshot()), Ok(bytes));
}

impl Leader {
    fn act(&mut self, source: &mut Source<'_>) {
        let session = source.session();
        match source.below(16) {
            0..2 => {
                let opens: Vec<OpenInode> = (0..source.below(3))
                    .map(|_| OpenInode { id: source.inode(&self.known), count: source.small(1) })
                    .collect();
                let host = Bytes::from(vec![b'h'; usize::from(source.byte()) * 40]);
                let _ = self.front.attach(session, source.below(4) == 0, &host, &opens);
            }
            2..8 => self.receive(source),
            8..10 => {
                self.admit();
            }
            10 => self.apply(),
            11 => self.front.heard(session, Seq(source.number(3))),
            12 => {
                if source.flag() {
                    self.front.detach(session);
                } else {
                    self.front.close(session);
                }
            }
            13 => {
                let id = source.inode(&self.known);
                if source.flag() {
                    let _ = self.front.open(session, id);
                } else {
                    self.front.release(session, id);
                }
            }
            14 => self.ask(source),
            _ => self.pass_time(source),
        }
    }

    fn receive(&mut self, source: &mut Source<'_>) {
        let session = source.session();
        let next = self.front.progress(session).map_or(1, |progress| progress.received.0 + 1);
        let seq = Seq(if source.below(4) > 0 { next } else { source.number(next) });
        let lowest_kept = Seq(if source.below(4) > 0 { 1 } else { source.number(next) });
        let op = ops::mutation(source, &self.known);
        // A mount that breaks the protocol is cut off; here it simply goes on.
        let _ = self.front.receive(session, seq, lowest_kept, op);
    }

    fn admit(&mut self) -> bool {
        let next = Index(self.log.len() as u64 + 1);
        let now = Timestamp { secs: 1000, nanos: 0 };
        let verdict = self.front.admit_next(&self.tree, now, next).expect("a tree in memory has no faults");
        match verdict {
            Some(Verdict::Record(stamped)) => {
                assert_eq!(stamped.problem(), None, "{stamped:?}");
                assert!(
                    stamped.encoded().len() <= RECORD_BYTES,
                    "a record of {} bytes",
                    stamped.encoded().len()
                );
                self.log.push(stamped);
                true
            }
            Some(Verdict::Answer { .. }) => true,
            None => false,
        }
    }

    fn apply(&mut self) {
        let Some(stamped) = self.log.get(self.applied) else { return };
        self.applied += 1;
        let index = Index(self.applied as u64);
        self.tree.apply(index, stamped).expect("what was admitted can be carried out");
        let applied = self.front.apply(index, stamped).expect("what was admitted can be carried out");
        if let Some((_, _, outcome)) = applied.answer {
            let _ = outcome.answer(&self.tree).expect("an answer");
        }
        if let rfs_model::Op::Make { id, .. } = &stamped.op {
            self.known.push(*id);
        }
    }

    fn ask(&mut self, source: &mut Source<'_>) {
        let (session, id) = (source.session(), source.inode(&self.known));
        let range =
            LockRange { kind: LockKind::Shared, start: source.number(3), end: source.number(5), pid: 1 };
        let owner = LockOwner { session, owner: source.below(3).into() };
        let _ = self.front.lock_answer(id, owner, range);
        let _ = self.front.pending_of(session, id);
        let _ = self.front.pending_slot(id, &source.name());
        let _ = self.front.index_of(session, Seq(source.number(3)));
        let durable = self.front.durable_seq(session, source.index(Index(3)));
        let progress = self.front.progress(session);
        assert!(progress.is_none_or(|progress| durable <= progress.received), "what never came is durable");
    }

    fn pass_time(&mut self, source: &mut Source<'_>) {
        match source.below(4) {
            0 => {
                let free = Room { bytes: source.number(1 << 30), inodes: source.number(1000) };
                let at = Index(source.number(self.applied as u64));
                self.front.report_room(NodeId([source.below(3); 16]), at, free);
            }
            1 => self.front.report_room(NodeId([1; 16]), Index(self.applied as u64), Room::UNLIMITED),
            _ => {
                self.now_ms = self.now_ms.saturating_add(source.pick(&[100, 5_000, 70_000]));
                let _ = self.front.tick(self.now_ms);
            }
        }
    }

    fn finish(&mut self) {
        loop {
            let admitted = self.admit();
            let waiting = self.applied < self.log.len();
            self.apply();
            if !admitted && !waiting {
                return;
            }
        }
    }
}
