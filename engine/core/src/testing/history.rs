//! Random logs that a leader could have written: valid by construction, for tests of whatever applies or recovers.

use bytes::Bytes;
use rfs_model::client::{Mutation, SetTime, WantAttr};
use rfs_model::op::{Allocate, Stamped};
use rfs_model::{FileKind, Index, InodeId, Seq, SessionId, Term, Timestamp};

use super::rng::Rng;
use super::tree::MemTree;
use crate::admit::{Front, Limits, Verdict};

const SESSION: SessionId = SessionId([1; 16]);
const TERM: Term = Term(1);

/// A leader with one session that does random things. Records are applied as they are made.
pub struct History {
    rng: Rng,
    front: Front,
    tree: MemTree,
    records: Vec<(Index, Stamped)>,
    ids: Vec<InodeId>,
    held: Vec<InodeId>,
    seq: u64,
}

impl History {
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut front = Front::new(Limits::default());
        front.lead(TERM, 0);
        front.attach(SESSION, false, &Bytes::from_static(b"random"), &[]);
        let (tree, ids) = (MemTree::default(), vec![InodeId::ROOT]);
        Self { rng: Rng::new(seed), front, tree, records: Vec::new(), ids, held: Vec::new(), seq: 0 }
    }

    /// All records so far, from index 1 on.
    #[must_use]
    pub fn records(&self) -> &[(Index, Stamped)] {
        &self.records
    }

    /// The tree after all of them.
    #[must_use]
    pub fn tree(&self) -> &MemTree {
        &self.tree
    }

    /// The front after all of them.
    #[must_use]
    pub fn front(&self) -> &Front {
        &self.front
    }

    /// Does at least `more` further records.
    ///
    /// # Panics
    /// When admission and the tree contradict each other.
    pub fn grow(&mut self, more: usize) {
        let target = self.records.len() + more;
        while self.records.len() < target {
            if self.rng.one_in(8) {
                self.open_or_release();
            }
            let op = self.mutation();
            self.seq += 1;
            let received = self.front.receive(SESSION, Seq(self.seq), Seq(self.seq), op);
            assert!(received.is_ok(), "{received:?}");
            self.settle();
        }
    }

    fn settle(&mut self) {
        loop {
            let index = Index(self.records.len() as u64 + 1);
            let time = Timestamp { secs: 1_000_000 + index.0 as i64, nanos: 7 };
            match self.front.admit_next(&self.tree, time, index).expect("a tree in memory never fails") {
                None => return,
                Some(Verdict::Answer { .. }) => {}
                Some(Verdict::Record(stamped)) => {
                    self.tree.apply(index, &stamped).expect("what was admitted can be applied");
                    self.front.apply(index, &stamped).expect("what was admitted can be applied");
                    if let rfs_model::Op::Make { id, .. } = stamped.op {
                        self.ids.push(id);
                    }
                    self.records.push((index, stamped));
                }
            }
        }
    }

    fn open_or_release(&mut self) {
        if self.held.is_empty() || self.rng.one_in(2) {
            let id = self.id();
            let open = self.tree.node(id).is_some_and(|n| n.kind == FileKind::File && n.names > 0);
            if open {
                self.front.open(SESSION, id);
                self.held.push(id);
            }
        } else {
            let at = self.rng.below(self.held.len() as u64) as usize;
            self.front.release(SESSION, self.held.swap_remove(at));
        }
    }

    fn id(&mut self) -> InodeId {
        for _ in 0..8 {
            let id = *self.rng.pick(&self.ids);
            if self.tree.node(id).is_some() {
                return id;
            }
        }
        InodeId::ROOT
    }

    fn of_kind(&mut self, kind: FileKind) -> InodeId {
        for _ in 0..8 {
            let id = self.id();
            if self.tree.node(id).is_some_and(|n| n.kind == kind) {
                return id;
            }
        }
        InodeId::ROOT
    }

    fn name(&mut self) -> Bytes {
        Bytes::from_static(*self.rng.pick(&[b"a", b"b", b"c", b"d", b"e"]))
    }

    fn mutation(&mut self) -> Mutation {
        let (parent, name) = (self.of_kind(FileKind::Dir), self.name());
        match self.rng.below(20) {
            0..5 => self.make(parent, name),
            5 | 6 => Mutation::Link { id: self.of_kind(FileKind::File), parent, name },
            7 | 8 => Mutation::Unlink { parent, name, dir: self.rng.one_in(3) },
            9..13 => {
                let (to, to_name) = (self.of_kind(FileKind::Dir), self.name());
                let flags = *self.rng.pick(&[0, 0, 0, 2]);
                Mutation::Rename { from: parent, from_name: name, to, to_name, flags }
            }
            _ => self.change(),
        }
    }

    fn make(&mut self, parent: InodeId, name: Bytes) -> Mutation {
        let kinds =
            [FileKind::File, FileKind::File, FileKind::Dir, FileKind::Dir, FileKind::Symlink, FileKind::Fifo];
        let kind = *self.rng.pick(&kinds);
        let target = if kind == FileKind::Symlink { Bytes::from_static(b"to") } else { Bytes::new() };
        let mode = *self.rng.pick(&[0o644, 0o755, 0o600]);
        Mutation::Make {
            parent,
            name,
            kind,
            mode,
            umask: 0,
            uid: 1,
            gid: 2,
            rdev: 0,
            target,
            as_id: InodeId::NIL,
            open: false,
        }
    }

    fn change(&mut self) -> Mutation {
        let id = self.of_kind(FileKind::File);
        let offset = self.rng.below(10_000);
        match self.rng.below(8) {
            0..3 => Mutation::Write { id, offset, data: self.data() },
            3 => Mutation::Append { id, data: self.data() },
            4 => {
                let mode = *self.rng.pick(&[0, 3, 16, 17]);
                Mutation::Allocate { id, range: Allocate { mode, offset, len: 1 + self.rng.below(5000) } }
            }
            5 => {
                let size = self.rng.one_in(2).then_some(offset);
                let mode = self.rng.one_in(2).then_some(0o640);
                let uid = self.rng.one_in(3).then_some(self.rng.below(5) as u32);
                let mtime =
                    self.rng.one_in(3).then_some(SetTime::At { time: Timestamp { secs: 5, nanos: 6 } });
                Mutation::SetAttr { id, want: WantAttr { mode, uid, size, mtime, ..WantAttr::default() } }
            }
            6 => {
                let name = Bytes::from_static(*self.rng.pick(&[b"user.a", b"user.b"]));
                Mutation::SetXattr { id, name, value: self.data(), flags: 0 }
            }
            _ => Mutation::RemoveXattr { id, name: Bytes::from_static(b"user.a") },
        }
    }

    fn data(&mut self) -> Bytes {
        let byte = b'A' + (self.seq % 50) as u8;
        vec![byte; 1 + self.rng.below(200) as usize].into()
    }
}
