//! Outcomes carried out in a brick's directory, on the file system that holds the temporary folder (`TMPDIR`).

use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use rfs_engine::tree::{Limits, RootAttr, Tree};
use rfs_model::op::{Fate, Stamped};
use rfs_model::{FileKind, InodeId, Op, Seq, SessionId, SetAttr, Term, Timestamp};

const TERM: Term = Term(1);
const TIME: Timestamp = Timestamp { secs: 1_000, nanos: 0 };
/// The file that is written, and how long it gets.
const FILE_BYTES: u64 = 16 << 20;
const WRITE_BYTES: u64 = 4 << 10;

struct Brick {
    tree: Tree,
    _dir: tempfile::TempDir,
}

impl Brick {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let root = RootAttr { mode: 0o755, uid: 0, gid: 0, time: TIME };
        let created = Tree::create(&dir.path().join("brick"), &Limits::default(), root, Bytes::new());
        Self { tree: created.expect("a brick"), _dir: dir }
    }

    /// A turn with one record, as a shard ends it: applied, and what has died and is in the log for good is deleted. Its time.
    fn turn(&mut self, op: Op) -> Duration {
        let index = self.tree.applied().next();
        let stamped = stamped(op);
        let begun = Instant::now();
        let applied = self.tree.apply(index, TERM, &stamped).expect("it fits");
        self.tree.end_batch().expect("the end of a batch");
        for dead in applied.leftover.into_iter().chain(self.tree.tell_synced(index, usize::MAX)) {
            dead.run().expect("deleted");
        }
        begun.elapsed()
    }

    fn make(&mut self, name: &'static str) -> (InodeId, Duration) {
        let id = InodeId { term: TERM, index: self.tree.applied().next() };
        let op = Op::Make {
            id,
            parent: InodeId::ROOT,
            name: text(name),
            kind: FileKind::File,
            mode: 0o644,
            uid: 0,
            gid: 0,
            rdev: 0,
            target: Bytes::new(),
            acl_access: Bytes::new(),
            acl_default: Bytes::new(),
        };
        (id, self.turn(op))
    }

    fn unlink(&mut self, id: InodeId, name: &'static str) -> Duration {
        self.turn(Op::Unlink { id, parent: InodeId::ROOT, name: text(name), fate: Fate::Dies })
    }
}

fn text(name: &'static str) -> Bytes {
    Bytes::from_static(name.as_bytes())
}

fn stamped(op: Op) -> Stamped {
    let (session, seq) = (SessionId([1; 16]), Seq(1));
    Stamped { session, seq, lowest_kept: seq, refused: Vec::new(), time: TIME, op }
}

/// Times a verb: `turn` gets the brick, its file and the number of the run.
fn verb(c: &mut Criterion, name: &str, mut turn: impl FnMut(&mut Brick, InodeId, u64) -> Duration) {
    let mut brick = Brick::new();
    let (id, _) = brick.make("a");
    let mut done = 0;
    c.bench_function(&format!("tree/{name}"), |b| {
        b.iter_custom(|runs| {
            let took = (done..done + runs).map(|n| turn(&mut brick, id, n)).sum();
            done += runs;
            took
        });
    });
}

/// A run: an empty file is made. It is removed before the next one, which does not count.
fn create(c: &mut Criterion) {
    verb(c, "create", |brick, _, _| {
        let (made, took) = brick.make("new");
        brick.unlink(made, "new");
        took
    });
}

/// A run: 4 KiB are written to the next place of a file of 16 MiB, into the page cache.
fn write(c: &mut Criterion) {
    let data = Bytes::from(vec![7; WRITE_BYTES as usize]);
    verb(c, "write-4KiB", |brick, id, n| {
        let offset = n * WRITE_BYTES % FILE_BYTES;
        brick.turn(Op::Write { id, offset, data: data.clone() })
    });
}

/// A run: a file gets another mode.
fn chmod(c: &mut Criterion) {
    verb(c, "chmod", |brick, id, n| {
        let mode = if n % 2 == 0 { 0o600 } else { 0o640 };
        brick.turn(Op::SetAttr { id, set: SetAttr { mode: Some(mode), ..SetAttr::default() } })
    });
}

/// A run: a file gets another name in the same directory.
fn rename(c: &mut Criterion) {
    verb(c, "rename", |brick, id, n| {
        let (from, to) = if n % 2 == 0 { ("a", "b") } else { ("b", "a") };
        brick.turn(Op::Rename {
            id,
            from: InodeId::ROOT,
            from_name: text(from),
            to: InodeId::ROOT,
            to_name: text(to),
            replaced: InodeId::NIL,
            fate: Fate::Stays,
        })
    });
}

/// A run: an empty file loses its only name, and is deleted. It is made before, which does not count.
fn unlink(c: &mut Criterion) {
    verb(c, "unlink", |brick, _, _| {
        let (made, _) = brick.make("old");
        brick.unlink(made, "old")
    });
}

criterion_group!(benches, create, write, chmod, rename, unlink);
criterion_main!(benches);
