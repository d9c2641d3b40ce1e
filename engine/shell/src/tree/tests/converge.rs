//! Recovery: whatever a crash leaves, the tree becomes the fold of the log.

use std::path::PathBuf;

use bytes::Bytes;
use rfs_model::op::Fate;
use rfs_model::{FileKind, Index, InodeId, Op};

use super::rig::{Rig, id, make, name, rename, unlink, write};
use crate::tree::testing::{Log, Model, Picture, TERM, stamped};
use crate::tree::{Converged, Fault, Limits, Tree};

const ROOT: InodeId = InodeId::ROOT;

/// A brick that crashed, and the log that it had.
struct Wreck {
    dir: PathBuf,
    ops: Vec<Op>,
    model: Model,
    _temp: tempfile::TempDir,
}

impl Wreck {
    /// Opens the brick and converges.
    fn recover(&self) -> Result<(Tree, Converged), Fault> {
        let mut tree = Tree::open(&self.dir, &Limits::default())?;
        let (after, through) = (tree.applied(), Index(self.ops.len() as u64));
        let mut log = Log { ops: &self.ops, after, through };
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
        let (mut tree, converged) = self.recover().unwrap();
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
fn a_file_that_an_earlier_recovery_was_making_is_adopted_with_its_data() {
    let wreck = closed(vec![make(id(5), ROOT, "new", FileKind::File), write(id(5), 0, b"data")]);
    let new = wreck.dir.join(".rfs/limbo/.new");
    std::fs::write(&new, b"dat").unwrap();
    let flags = rustix::fs::XattrFlags::empty();
    rustix::fs::setxattr(&new, "trusted.rfs.id", &id(5).to_bytes(), flags).unwrap();
    wreck.recover_and_check();
}

#[test]
fn a_file_that_the_checkpoint_promised_and_that_is_gone_is_a_fault() {
    let wreck = closed(vec![rename(id(2), (id(1), "f"), (ROOT, "f"))]);
    std::fs::remove_file(wreck.dir.join("a/f")).unwrap();
    assert!(matches!(wreck.recover(), Err(Fault::Lost { id }) if id == super::rig::id(2)));
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
    let (tree, converged) = wreck.recover().unwrap();
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
    let mut log = Log { ops: &wreck.ops, after: Index(2), through: Index(4) };
    let _ = tree.converge(Index(4), TERM, &mut log);
}
