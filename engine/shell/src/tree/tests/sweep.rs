//! Power lost everywhere: the disk shows effects of records that no log has.

use std::path::Path;

use bytes::Bytes;
use rfs_model::op::Fate;
use rfs_model::{FileKind, InodeId, Op, SetAttr, Timestamp};

use super::rig::{Rig, id, make, name, rename, rename_over, unlink, write};
use crate::clock;
use crate::tree::testing::{Log, Picture, ROOT_ATTR, TERM};
use crate::tree::{CHUNK, Limits, Tree};

const ROOT: InodeId = InodeId::ROOT;

/// A brick at a checkpoint with `/a/f`, `/b` and an old `/old`; its log is synced that far and no further.
fn rig() -> Rig {
    let mut rig = Rig::new();
    for op in [
        make(id(1), ROOT, "a", FileKind::Dir),
        make(id(2), id(1), "f", FileKind::File),
        make(id(3), ROOT, "b", FileKind::File),
        write(id(2), 0, b"content"),
        make(id(5), ROOT, "old", FileKind::Dir),
        make(id(6), id(5), "file", FileKind::File),
    ] {
        rig.run(op);
    }
    rig.tree.tell_wall(clock::now());
    rig.checkpoint(b"");
    assert!(rig.tree.tell_synced(rig.tree.applied(), 9).is_empty());
    rig
}

/// The records that the closure applies are lost with the power; then the brick is recovered.
fn lose(mut rig: Rig, lost: impl FnOnce(&mut Rig)) -> (Rig, Tree) {
    let model = rig.model.clone();
    let after = rig.tree.applied();
    lost(&mut rig);
    rig.tree.end_batch().unwrap();
    rig.model = model;
    rig.reopen();
    let spare = Tree::create(&rig.dir.with_extension("spare"), &Limits::default(), ROOT_ATTR, Bytes::new());
    let mut tree = std::mem::replace(&mut rig.tree, spare.unwrap());
    tree.power_was_lost().unwrap();
    let done = tree.converge(after, TERM, &mut Log { ops: &[], after, through: after }).unwrap();
    assert!(done.strays.is_empty(), "{:?}", done.strays);
    (rig, tree)
}

fn names_are_right(rig: &Rig) {
    let want = rig.model.picture();
    Picture::of_brick(&rig.dir).must_be_but(&want, &|_| true).unwrap();
}

#[test]
fn what_unsynced_records_removed_comes_back() {
    let (rig, tree) = lose(rig(), |rig| {
        rig.run(unlink(id(2), id(1), "f", Fate::Dies));
        rig.run(unlink(id(1), ROOT, "a", Fate::Dies));
        let new = rig.make(ROOT, "new", FileKind::File);
        rig.run(rename_over(new, (ROOT, "new"), (ROOT, "b"), id(3), Fate::Dies));
        assert_eq!(rig.tree.dying(), 3);
    });
    names_are_right(&rig);
    assert_eq!(std::fs::read(rig.dir.join("a/f")).unwrap(), b"content");
    assert!(tree.is_doubtful(id(2)) && tree.is_doubtful(id(3)));
}

#[test]
fn what_synced_records_removed_is_gone() {
    let mut rig = rig();
    rig.run(unlink(id(2), id(1), "f", Fate::Dies));
    let limbo = |rig: &Rig| std::fs::read_dir(rig.dir.join(".rfs/limbo")).unwrap().count();
    assert_eq!((rig.tree.dying(), limbo(&rig)), (1, 1));
    let synced = rig.tree.applied();
    for leftover in rig.tree.tell_synced(synced, 9) {
        assert!(!leftover.is_big());
        leftover.run().unwrap();
    }
    rig.run(unlink(id(3), ROOT, "b", Fate::Orphan));
    assert_eq!((rig.tree.dying(), limbo(&rig)), (0, 0));
    rig.check();
}

#[test]
fn a_reaped_orphan_is_an_orphan_again() {
    let mut rig = rig();
    rig.run(unlink(id(2), id(1), "f", Fate::Orphan));
    rig.checkpoint(b"");
    let synced = rig.tree.applied();
    rig.tree.tell_synced(synced, 9);
    let (rig, _tree) = lose(rig, |rig| {
        rig.run(Op::Reap { id: id(2) });
    });
    names_are_right(&rig);
}

#[test]
fn what_lost_records_made_and_moved_is_undone() {
    let (rig, _tree) = lose(rig(), |rig| {
        let dir = rig.make(ROOT, "stray", FileKind::Dir);
        rig.make(dir, "inside", FileKind::File);
        rig.run(rename(id(1), (ROOT, "a"), (dir, "moved")));
        rig.run(rename(id(3), (ROOT, "b"), (id(1), "b")));
        rig.run(Op::Link { id: id(2), parent: ROOT, name: name("link") });
    });
    names_are_right(&rig);
    assert!(std::fs::read_dir(rig.dir.join(".rfs/limbo")).unwrap().next().is_none());
}

#[test]
fn data_that_lost_records_wrote_is_doubted_and_its_sums_are_forgotten() {
    let mut rig = rig();
    rig.tree.tell_time(1, true);
    rig.tree.tell_time(60_000_000, true);
    while let Some(job) = rig.tree.sum_job().unwrap() {
        let summed = job.run().unwrap();
        rig.tree.sums_done(Some(summed)).unwrap();
    }
    rig.checkpoint(b"");
    let (rig, tree) = lose(rig, |rig| {
        rig.run(write(id(2), 2, b"NNN"));
    });
    assert!(tree.is_doubtful(id(2)));
    // It is served as the disk has it, and not taken for rotten.
    assert_eq!(&tree.read(id(2), 0, 100).unwrap().unwrap()[..], b"coNNNnt");
    names_are_right(&rig);
}

#[test]
fn an_old_file_is_not_doubted() {
    let mut rig = rig();
    // The checkpoint's clock is that of its beginning, two seconds less: everything here is younger.
    let later = Timestamp { secs: clock::now().secs + 1000, ..clock::now() };
    rig.tree.tell_wall(later);
    rig.checkpoint(b"");
    let after = rig.tree.applied();
    rig.reopen();
    rig.tree.power_was_lost().unwrap();
    let _ = rig.tree.converge(after, TERM, &mut Log { ops: &[], after, through: after }).unwrap();
    assert_eq!(rig.tree.doubts(), 0);
    // Twice without a recovery in between: the older time counts.
    rig.tree.tell_wall(clock::now());
    rig.checkpoint(b"");
    rig.reopen();
    rig.tree.power_was_lost().unwrap();
    rig.reopen();
    rig.tree.power_was_lost().unwrap();
    let _ = rig.tree.converge(after, TERM, &mut Log { ops: &[], after, through: after }).unwrap();
    assert_eq!(rig.tree.doubts(), rig.model.nodes.len());
}

#[test]
fn doubts_outlive_a_checkpoint_and_a_start() {
    let (_rig, mut tree) = lose(rig(), |rig| {
        rig.run(write(id(2), 2, b"NNN"));
    });
    let many = tree.doubts();
    let done = tree.checkpoint_begin(Bytes::new()).unwrap().run().unwrap();
    tree.checkpoint_done(done).unwrap();
    let dir = tree.path().to_owned();
    drop(tree);
    let mut tree = Tree::open(&dir, &Limits::default()).unwrap();
    assert_eq!(tree.doubts(), many);
    let all = tree.doubts_after(None, usize::MAX);
    tree.trust(&all);
    assert_eq!(tree.doubts(), 0);
}

#[test]
fn what_people_copied_by_hand_is_left_alone() {
    let (rig, _tree) = lose(rig(), |rig| {
        let copy = |from: &str, to: &str| {
            let done = std::process::Command::new("cp")
                .arg("-a")
                .arg(rig.dir.join(from))
                .arg(rig.dir.join(to))
                .status();
            assert!(done.unwrap().success());
        };
        copy("a", "by-hand");
        copy("b", "b-by-hand");
        std::fs::write(rig.dir.join("note"), b"precious").unwrap();
    });
    let exists = |path: &str| Path::new(&rig.dir).join(path).exists();
    assert!(exists("by-hand/f") && exists("b-by-hand") && exists("a/f") && exists("b"));
    let note = [rig.dir.join("note"), rig.dir.join(".rfs/foreign/note")];
    assert!(note.iter().any(|path| std::fs::read(path).is_ok_and(|data| data == b"precious")));
}

#[test]
fn parts_that_differ_are_found_by_their_digests() {
    let mut rig = rig();
    let data: Vec<u8> = (0..3 * 4096 + 100).map(|i| (i / 4096) as u8 + 1).collect();
    rig.run(write(id(2), 0, &data));
    let job = rig.tree.chunk_job(id(2), 0).unwrap().unwrap();
    let before = job.run().unwrap();
    assert_eq!(rig.tree.differing_from(id(2), 0, &before).unwrap(), vec![]);
    rig.run(write(id(2), 4096, b"X"));
    rig.run(write(id(2), 3 * 4096 + 99, b"Y"));
    let parts = rig.tree.differing_from(id(2), 0, &before).unwrap();
    let shape: Vec<_> = parts.iter().map(|(at, part)| (*at, part.len())).collect();
    assert_eq!(shape, [(4096, 4096), (3 * 4096, 100)]);
    assert_eq!(rig.tree.differing_from(id(2), 0, &[]).unwrap().len(), 1, "all of it, in one part");
    assert!(rig.tree.chunk_job(id(1), 0).unwrap().is_none(), "a directory has no chunks");
    assert!(rig.tree.differing_from(id(2), u64::MAX / CHUNK, &[]).unwrap().is_empty());
}

#[test]
fn what_is_not_there_at_all_does_not_stop_recovery() {
    let (rig, tree) = lose(rig(), |rig| {
        std::fs::remove_file(rig.dir.join("b")).unwrap();
        std::fs::remove_dir_all(rig.dir.join("old")).unwrap();
        rig.run(write(id(2), 0, b"CONTENT"));
    });
    assert!(tree.is_doubtful(id(2)) && tree.is_doubtful(id(3)));
    assert!(rig.dir.join("a/f").exists() && !rig.dir.join("b").exists());
    assert!(tree.cut_short(id(3)).unwrap().is_none() && tree.cut_short(id(2)).unwrap().is_none());
}

#[test]
fn a_lost_append_goes_and_a_lost_cut_is_told() {
    let (rig, tree) = lose(rig(), |rig| {
        rig.run(write(id(2), 7, b" and more"));
    });
    assert_eq!(std::fs::read(rig.dir.join("a/f")).unwrap(), b"content");
    assert!(tree.cut_short(id(2)).unwrap().is_none());
    let (rig, tree) = lose(self::rig(), |rig| {
        rig.run(Op::SetAttr { id: id(2), set: SetAttr { size: Some(3), ..SetAttr::default() } });
    });
    assert_eq!(tree.cut_short(id(2)).unwrap().map(|(size, _)| size), Some(3));
    // While it is doubted nobody holds it to its size: it is three bytes long, and none is refused.
    assert_eq!(tree.attr(id(2)).unwrap().unwrap().size, 3);
    assert_eq!(&tree.read(id(2), 0, 100).unwrap().unwrap()[..], b"con");
    drop(rig);
}

#[test]
fn a_directory_with_a_file_put_there_by_hand_dies_all_the_same() {
    let mut rig = rig();
    rig.run(unlink(id(6), id(5), "file", Fate::Dies));
    std::fs::write(rig.dir.join("old/by-hand"), b"precious").unwrap();
    rig.run(unlink(id(5), ROOT, "old", Fate::Dies));
    let synced = rig.tree.applied();
    for leftover in rig.tree.tell_synced(synced, 9) {
        leftover.run().unwrap();
    }
    assert_eq!(std::fs::read(rig.dir.join(".rfs/foreign/by-hand")).unwrap(), b"precious");
    rig.tree.end_batch().unwrap();
    Picture::of_brick(&rig.dir).must_be_but(&rig.model.picture(), &|_| true).unwrap();
}

#[test]
fn what_a_leader_removes_on_its_own_behalf_need_not_be_there() {
    let mut rig = rig();
    let op = Op::RemoveXattr { id: id(2), name: name("user.none") };
    let index = rig.tree.applied().next();
    let mut own = crate::tree::testing::stamped(index, op.clone());
    own.session = rfs_model::SessionId::NIL;
    let _ = rig.tree.apply(index, TERM, &own).unwrap();
    let index = index.next();
    let mut asked = crate::tree::testing::stamped(index, op);
    asked.session = rfs_model::SessionId([1; 16]);
    assert!(rig.tree.apply(index, TERM, &asked).is_err());
}
