//! Recovery: whatever a crash leaves, the tree becomes the fold of the log.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use rfs_model::op::Fate;
use rfs_model::{FileKind, Index, InodeId, Op};

use super::history::{Dice, next_op};
use super::model::Model;
use super::picture::Picture;
use super::rig::{ROOT_ATTR, Rig, TERM, id, make, name, rename, scratch, seeds, stamped, unlink, write};
use crate::tree::{Converged, Each, Fault, Limits, Replay, Tree};

const ROOT: InodeId = InodeId::ROOT;

/// A log in memory; `after` is where its reader begins.
pub struct Log {
    pub ops: Vec<Op>,
    pub after: Index,
    pub through: Index,
}

impl Replay for Log {
    fn replay(&mut self, each: &mut Each<'_>) -> Result<(), Fault> {
        (self.after.0 + 1..=self.through.0).try_for_each(|i| {
            let index = Index(i);
            each(index, &stamped(index, self.ops[i as usize - 1].clone()))
        })
    }
}

/// A brick that crashed, and the log that it had.
struct Wreck {
    dir: PathBuf,
    ops: Vec<Op>,
    model: Model,
    _temp: tempfile::TempDir,
}

impl Wreck {
    /// Opens the brick and converges; `trip` stops it before that many changes of the disk.
    fn recover(&self, trip: Option<u64>) -> Result<(Tree, Converged), Fault> {
        let mut tree = Tree::open(&self.dir, &Limits::default())?;
        let (after, through) = (tree.applied(), Index(self.ops.len() as u64));
        let mut log = Log { ops: self.ops.clone(), after, through };
        tree.trip.set(trip);
        let converged = tree.converge(through, TERM, &mut log)?;
        Ok((tree, converged))
    }

    fn check(&self, tree: &mut Tree) {
        tree.leftovers().unwrap().into_iter().for_each(|leftover| leftover.run().unwrap());
        let want = self.model.picture();
        Picture::of_brick(&self.dir).assert_is(&want);
        want.assert_index(tree);
    }

    /// Recovers to the end, checks, and checks again from the disk.
    fn recover_and_check(&self) {
        let (mut tree, converged) = self.recover(None).unwrap();
        assert!(converged.strays.is_empty(), "{:?}", converged.strays);
        self.check(&mut tree);
        let done = tree.checkpoint_begin(Bytes::new()).unwrap().run().unwrap();
        assert_eq!(tree.checkpoint_done(done).unwrap(), Index(self.ops.len() as u64));
        drop(tree);
        let mut tree = Tree::open(&self.dir, &Limits::default()).unwrap();
        assert_eq!(tree.applied(), Index(self.ops.len() as u64));
        self.check(&mut tree);
    }
}

/// How a crash treats the operations after the checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Crash {
    /// The process dies between two system calls.
    Killed,
    /// The machine loses power: of what was not synced, any part may be lost that nothing kept depends on.
    PowerLoss,
}

/// Applies operations to a brick, and loses some.
struct Tearing<'a> {
    tree: &'a mut Tree,
    dir: &'a Path,
    lost_slots: HashSet<(InodeId, Bytes)>,
    lost_inodes: HashSet<InodeId>,
}

impl Tearing<'_> {
    fn depends_on_lost(&self, op: &Op) -> bool {
        let slots = slots(op);
        let inodes = inodes(op);
        slots.iter().any(|slot| self.lost_slots.contains(slot))
            || inodes.iter().any(|id| {
                self.lost_inodes.contains(id) || self.lost_slots.iter().any(|(parent, _)| parent == id)
            })
    }

    fn lose(&mut self, op: &Op) {
        self.lost_slots.extend(slots(op));
        if let Op::Make { id, .. } | Op::Link { id, .. } | Op::Unlink { id, .. } | Op::Reap { id } = op {
            self.lost_inodes.insert(*id);
        }
        if let Op::Rename { id, replaced: other, .. } | Op::Exchange { id, other, .. } = op {
            self.lost_inodes.extend([*id, *other]);
        }
    }

    fn apply(&mut self, index: Index, op: &Op, dice: &mut Dice) {
        let names = !slots(op).is_empty() || matches!(op, Op::Reap { .. });
        if names && (self.depends_on_lost(op) || dice.chance(15)) {
            if let Op::Make { parent, name, kind, .. } = op
                && !self.depends_on_lost(op)
                && dice.chance(50)
            {
                self.tear_create(*parent, name, *kind);
            }
            return self.lose(op);
        }
        if !names && (self.lost_inodes.iter().any(|id| inodes(op).contains(id)) || dice.chance(30)) {
            return;
        }
        // A directory that would move into itself, because a move that was lost had taken the target out of it.
        if self.tree.apply(index, TERM, &stamped(index, op.clone())).is_err() {
            self.lose(op);
        }
    }

    /// A create whose identity never reached the disk.
    fn tear_create(&self, parent: InodeId, name: &Bytes, kind: FileKind) {
        use std::os::unix::ffi::OsStrExt;
        let path = self.tree.path_of(parent);
        let path = self.dir.join(path.trim_start_matches('/')).join(std::ffi::OsStr::from_bytes(name));
        if path.symlink_metadata().is_ok() || !path.parent().unwrap().is_dir() {
            return;
        }
        match kind {
            FileKind::Dir => std::fs::create_dir(path).unwrap(),
            FileKind::Symlink => std::os::unix::fs::symlink("x", path).unwrap(),
            _ => drop(std::fs::File::create_new(path).unwrap()),
        }
    }
}

fn slots(op: &Op) -> Vec<(InodeId, Bytes)> {
    rfs_core::converge::slots(op).map(|(parent, name, _)| (parent, name.clone())).collect()
}

fn inodes(op: &Op) -> Vec<InodeId> {
    rfs_core::converge::touched(op, super::rig::time(Index(1))).into_iter().map(|t| t.id).collect()
}

/// A history that ends in a crash.
fn wreck(seed: u64, crash: Crash) -> Wreck {
    let mut dice = Dice(seed);
    let temp = scratch();
    let dir = temp.path().join("brick");
    let mut tree = Tree::create(&dir, &Limits::default(), ROOT_ATTR, Bytes::new()).unwrap();
    let (mut model, mut ops) = (Model::new(), Vec::new());
    let before = dice.below(60);
    for _ in 0..before {
        let index = Index(ops.len() as u64 + 1);
        let op = next_op(&model, index, &mut dice);
        if let Some(leftover) = tree.apply(index, TERM, &stamped(index, op.clone())).unwrap().leftover {
            leftover.run().unwrap();
        }
        model.apply(index, &op);
        ops.push(op);
    }
    let job = tree.checkpoint_begin(Bytes::new()).unwrap();
    if crash == Crash::PowerLoss || dice.chance(70) {
        let done = job.run().unwrap();
        tree.checkpoint_done(done).unwrap();
    }
    let after = 1 + dice.below(50);
    if crash == Crash::Killed {
        tree.trip.set(Some(dice.below(after * 4) as u64));
    }
    let mut tearing =
        Tearing { tree: &mut tree, dir: &dir, lost_slots: HashSet::new(), lost_inodes: HashSet::new() };
    let mut alive = true;
    for _ in 0..after {
        let index = Index(ops.len() as u64 + 1);
        let op = next_op(&model, index, &mut dice);
        match crash {
            Crash::PowerLoss => tearing.apply(index, &op, &mut dice),
            Crash::Killed if alive => {
                let applied = tearing.tree.apply(index, TERM, &stamped(index, op.clone()));
                let ended = if dice.chance(20) { tearing.tree.end_batch() } else { Ok(()) };
                alive = applied.is_ok() && ended.is_ok();
            }
            Crash::Killed => {}
        }
        model.apply(index, &op);
        ops.push(op);
    }
    if crash == Crash::PowerLoss && dice.chance(50) {
        let _ = tree.end_batch();
    }
    drop(tree);
    Wreck { dir, ops, model, _temp: temp }
}

#[test]
fn a_killed_brick_becomes_the_fold_of_its_log() {
    for seed in seeds(0..150) {
        let wreck = wreck(seed, Crash::Killed);
        wreck.recover_and_check();
    }
}

#[test]
fn a_brick_that_lost_power_becomes_the_fold_of_its_log() {
    for seed in seeds(1000..1200) {
        let wreck = wreck(seed, Crash::PowerLoss);
        wreck.recover_and_check();
    }
}

#[test]
fn recovery_may_be_killed_again_and_again() {
    for seed in seeds(2000..2120) {
        let wreck = wreck(seed, if seed % 2 == 0 { Crash::PowerLoss } else { Crash::Killed });
        let mut dice = Dice(seed);
        let mut trip = 0;
        while let Err(fault) = wreck.recover(Some(trip)) {
            assert!(is_tripped(&fault), "{fault}");
            trip += 1 + dice.below(5) as u64;
        }
        wreck.recover_and_check();
    }
}

fn is_tripped(fault: &Fault) -> bool {
    match fault {
        Fault::Record { fault, .. } => is_tripped(fault),
        other => matches!(other, Fault::Tripped),
    }
}

/// A brick at a checkpoint that has files `/a/f` and `/b`, closed, with the operations that follow.
fn closed(after: Vec<Op>) -> Wreck {
    let mut rig = Rig::new();
    let mut ops = vec![
        make(id(1), ROOT, "a", FileKind::Dir),
        make(id(2), id(1), "f", FileKind::File),
        make(id(3), ROOT, "b", FileKind::File),
        write(id(2), 0, b"content"),
    ];
    for op in &ops {
        rig.run(op.clone());
    }
    rig.checkpoint(b"");
    let mut model = rig.model.clone();
    for op in after {
        ops.push(op);
        model.apply(Index(ops.len() as u64), ops.last().unwrap());
    }
    let (dir, temp) = rig.close();
    Wreck { dir, ops, model, _temp: temp }
}

#[test]
fn nothing_applied_at_all_is_a_crash_too() {
    closed(vec![]).recover_and_check();
    let wreck = closed(vec![
        make(id(5), ROOT, "new", FileKind::Dir),
        rename(id(1), (ROOT, "a"), (id(5), "moved")),
        rename(id(5), (ROOT, "new"), (ROOT, "a")),
        Op::Link { id: id(2), parent: ROOT, name: name("link") },
        write(id(2), 3, b"TENT and more"),
        unlink(id(3), ROOT, "b", Fate::Orphan),
        write(id(3), 0, b"orphan"),
    ]);
    wreck.recover_and_check();
}

#[test]
fn a_file_that_the_brick_did_not_make_is_never_removed() {
    let wreck = closed(vec![make(id(5), ROOT, "new", FileKind::File)]);
    std::fs::write(wreck.dir.join("new"), b"precious").unwrap();
    wreck.recover_and_check();
    assert_eq!(std::fs::read(wreck.dir.join(".rfs/foreign/new")).unwrap(), b"precious");
}

#[test]
fn a_file_that_the_checkpoint_promised_and_that_is_gone_is_a_fault() {
    let wreck = closed(vec![rename(id(2), (id(1), "f"), (ROOT, "f"))]);
    std::fs::remove_file(wreck.dir.join("a/f")).unwrap();
    assert!(matches!(wreck.recover(None), Err(Fault::Lost { id }) if id == super::rig::id(2)));
}

#[test]
fn effects_of_records_that_every_log_has_lost_are_undone_where_they_are_met() {
    let wreck = closed(vec![]);
    {
        let mut tree = Tree::open(&wreck.dir, &Limits::default()).unwrap();
        let lost = stamped(Index(5), unlink(id(2), id(1), "f", Fate::Orphan));
        let _ = tree.apply(Index(5), TERM, &lost).unwrap();
        tree.end_batch().unwrap();
    }
    let (tree, converged) = wreck.recover(None).unwrap();
    assert_eq!(converged.strays, [id(2)]);
    assert_eq!(tree.child(id(1), b"f").unwrap(), Some(id(2)));
    assert_eq!(tree.read(id(2), 0, 99).unwrap().unwrap(), "content");
}

#[test]
fn big_files_that_died_before_the_crash_do_not_come_back() {
    let wreck = closed(vec![unlink(id(2), id(1), "f", Fate::Dies)]);
    std::fs::rename(wreck.dir.join("a/f"), wreck.dir.join(format!(".rfs/limbo/{}", id(2)))).unwrap();
    wreck.recover_and_check();
}

#[test]
#[should_panic(expected = "is not to be converged over")]
fn a_log_that_reaches_behind_the_checkpoint_is_refused() {
    let wreck = closed(vec![]);
    let mut tree = Tree::open(&wreck.dir, &Limits::default()).unwrap();
    let mut log = Log { ops: wreck.ops.clone(), after: Index(2), through: Index(4) };
    let _ = tree.converge(Index(4), TERM, &mut log);
}
