//! Requests judged by the leader, and outcomes entered on every brick. The tree that is asked is the one in memory: what a
//! real one costs is measured in the shell.

use bytes::Bytes;
use criterion::measurement::{Measurement, WallTime};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rfs_core::admit::{Attach, Front, Limits, Received, Room, Verdict};
use rfs_core::testing::MemTree;
use rfs_model::client::Mutation;
use rfs_model::op::Stamped;
use rfs_model::{FileKind, Index, InodeId, NodeId, Op, Seq, SessionId, Term, Timestamp};

const MOUNT: SessionId = SessionId([1; 16]);
const NOW: Timestamp = Timestamp { secs: 1_000, nanos: 0 };
const BATCHES: [u64; 2] = [1, 64];

/// A leader with one session, and a follower that gets what the leader admits.
struct Brick {
    leader: Front,
    follower: Front,
    tree: MemTree,
    last: Index,
    seq: Seq,
}

impl Brick {
    fn new() -> Self {
        let mut leader = Front::new(Limits::default());
        leader.lead(Term(1), 0);
        let follower = Front::new(Limits::default());
        let mut brick =
            Self { leader, follower, tree: MemTree::default(), last: Index::ZERO, seq: Seq::ZERO };
        assert_eq!(brick.leader.attach(MOUNT, false, &Bytes::new(), &[]), Attach::Opening);
        brick.carry_out(1);
        brick
    }

    /// A file that the session has made.
    fn file(&mut self) -> InodeId {
        let id = InodeId { term: Term(1), index: self.last.next() };
        self.send(Mutation::Make {
            parent: InodeId::ROOT,
            name: Bytes::from_static(b"file"),
            kind: FileKind::File,
            mode: 0o644,
            umask: 0o022,
            uid: 0,
            gid: 0,
            rdev: 0,
            target: Bytes::new(),
            as_id: InodeId::NIL,
            open: false,
        });
        self.carry_out(1);
        id
    }

    fn send(&mut self, op: Mutation) {
        self.seq = self.seq.next();
        let received = self.leader.receive(MOUNT, self.seq, self.seq, op);
        assert_eq!(received, Ok(Received::Queued));
    }

    /// Judges so many requests; each must become a record.
    fn admit(&mut self, count: u64) -> Vec<Stamped> {
        let record = |n| {
            let index = Index(self.last.0 + n);
            match self.leader.admit_next(&self.tree, NOW, index).expect("no fault") {
                Some(Verdict::Record(stamped)) => stamped,
                other => panic!("no record: {other:?}"),
            }
        };
        (1..=count).map(record).collect()
    }

    /// Admits and applies on both.
    fn carry_out(&mut self, count: u64) {
        let outcomes = self.admit(count);
        self.apply_to_tree(&outcomes);
        enter(&mut self.leader, self.last, &outcomes);
        enter(&mut self.follower, self.last, &outcomes);
        self.done(count);
    }

    fn apply_to_tree(&mut self, outcomes: &[Stamped]) {
        for (index, stamped) in indexed(self.last, outcomes) {
            // Data is not what is measured.
            if !matches!(stamped.op, Op::Write { .. }) {
                self.tree.apply(index, stamped).expect("it fits");
            }
        }
    }

    fn done(&mut self, count: u64) {
        self.last = Index(self.last.0 + count);
        // As bricks do every now and then: what was admitted is not on its way for ever.
        let room = Room { bytes: 1 << 40, inodes: 1 << 30 };
        for front in [&mut self.leader, &mut self.follower] {
            front.report_room(NodeId([1; 16]), self.last, room);
        }
    }
}

fn indexed(last: Index, outcomes: &[Stamped]) -> impl Iterator<Item = (Index, &Stamped)> {
    (last.0 + 1..).map(Index).zip(outcomes)
}

fn enter(front: &mut Front, last: Index, outcomes: &[Stamped]) {
    for (index, stamped) in indexed(last, outcomes) {
        front.apply(index, stamped).expect("it fits");
    }
}

/// What of a batch's life counts.
#[derive(Clone, Copy)]
enum Part {
    Admit,
    Leader,
    Follower,
}

impl Part {
    /// One batch of writes of 4 KiB, all of its life; the time of this part.
    fn time(self, brick: &mut Brick, id: InodeId, data: &Bytes, count: u64) -> std::time::Duration {
        let clock = WallTime;
        let begun = clock.start();
        for _ in 0..count {
            brick.send(Mutation::Write { id, offset: 0, data: data.clone() });
        }
        let outcomes = brick.admit(count);
        let admitted = clock.end(begun);
        let begun = clock.start();
        enter(&mut brick.leader, brick.last, &outcomes);
        let leader = clock.end(begun);
        let begun = clock.start();
        enter(&mut brick.follower, brick.last, &outcomes);
        let follower = clock.end(begun);
        brick.done(count);
        match self {
            Part::Admit => admitted,
            Part::Leader => leader,
            Part::Follower => follower,
        }
    }
}

/// A run: a batch of writes of 4 KiB is received and judged (`admit`), or its outcomes are entered into sessions and ledger of
/// the leader (`apply-leader`) or of a follower (`apply-follower`).
fn writes(c: &mut Criterion) {
    let parts = [("admit", Part::Admit), ("apply-leader", Part::Leader), ("apply-follower", Part::Follower)];
    for (name, part) in parts {
        let mut group = c.benchmark_group(format!("front/{name}"));
        for count in BATCHES {
            let (mut brick, data) = (Brick::new(), Bytes::from(vec![7; 4096]));
            let id = brick.file();
            group.throughput(Throughput::Elements(count));
            group.bench_function(BenchmarkId::from_parameter(count), |b| {
                b.iter_custom(|runs| (0..runs).map(|_| part.time(&mut brick, id, &data, count)).sum());
            });
        }
    }
}

criterion_group!(benches, writes);
criterion_main!(benches);
