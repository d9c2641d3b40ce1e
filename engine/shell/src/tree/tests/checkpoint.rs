//! Checkpoints: what is there after the brick was closed and opened.

use bytes::Bytes;
use rfs_model::{FileKind, Index, InodeId, Op, Term};

use super::rig::{Rig, id, make, name, scratch, write};
use crate::tree::testing::{ROOT_ATTR, TERM, stamped};
use crate::tree::{Fault, Limits, Tree};

const ROOT: InodeId = InodeId::ROOT;

#[test]
fn a_new_brick_is_at_index_0() {
    let mut rig = Rig::new();
    let at = rig.reopen();
    assert_eq!((at.index, at.term, &at.state[..]), (Index::ZERO, Term::ZERO, &b"genesis"[..]));
    rig.check();
}

#[test]
fn a_checkpoint_brings_all_back() {
    let mut rig = Rig::new();
    let d = rig.make(ROOT, "d", FileKind::Dir);
    let f = rig.make(d, "f", FileKind::File);
    rig.run(write(f, 3, b"abc"));
    rig.run(Op::Link { id: f, parent: ROOT, name: name("f2") });
    rig.checkpoint(b"state");
    let at = rig.reopen();
    assert_eq!((at.index, at.term, &at.state[..]), (Index(4), TERM, &b"state"[..]));
    assert_eq!(rig.tree.applied(), Index(4));
    rig.check();
    rig.run(write(f, 0, b"xyz"));
    rig.check();
}

#[test]
fn records_are_applied_while_a_checkpoint_runs() {
    let mut rig = Rig::new();
    let f = rig.make(ROOT, "f", FileKind::File);
    let job = rig.tree.checkpoint_begin(Bytes::from_static(b"one")).unwrap();
    let g = rig.make(ROOT, "g", FileKind::File);
    rig.run(write(f, 0, b"later"));
    let done = std::thread::spawn(move || job.run()).join().unwrap().unwrap();
    assert_eq!(rig.tree.entry(f).unwrap().unwrap().version, Index(3));
    assert_eq!(rig.tree.checkpoint_done(done).unwrap(), Index(1));
    assert_eq!(rig.tree.checkpoint().unwrap().index, Index(1));
    rig.check();
    let at = rig.reopen();
    assert_eq!((at.index, &at.state[..]), (Index(1), &b"one"[..]));
    assert_eq!(rig.tree.entry(f).unwrap().unwrap().version, Index(1));
    assert_eq!(rig.tree.entry(g).unwrap(), None);
}

#[test]
fn a_directory_that_holds_files_is_refused() {
    let temp = scratch();
    std::fs::create_dir_all(temp.path().join("lost+found")).unwrap();
    std::fs::create_dir_all(temp.path().join(".rfs/log")).unwrap();
    let create = || Tree::create(temp.path(), &Limits::default(), ROOT_ATTR, Bytes::new());
    drop(create().unwrap());
    assert!(matches!(create(), Err(Fault::AlreadyBrick(_))));
    std::fs::write(temp.path().join("file"), b"").unwrap();
    assert!(matches!(create(), Err(Fault::NotEmpty { first, .. }) if first == "file"));
    let other = scratch();
    assert!(matches!(Tree::open(other.path(), &Limits::default()), Err(Fault::NoBrick(_))));
}

#[test]
fn lost_and_found_is_not_the_volume_s() {
    let temp = scratch();
    std::fs::create_dir_all(temp.path().join("lost+found")).unwrap();
    let tree = Tree::create(temp.path(), &Limits::default(), ROOT_ATTR, Bytes::new()).unwrap();
    assert_eq!(tree.child(ROOT, b"lost+found").unwrap(), None);
    let page = crate::tree::Page { entries: 10, bytes: 1000 };
    assert_eq!(tree.readdir(ROOT, b"", true, page).unwrap(), Some((vec![], true)));
    assert!(rfs_core::admit::TreeView::is_empty(&tree, ROOT).unwrap());
}

#[test]
fn a_damaged_index_is_named_and_never_a_panic() {
    let mut rig = Rig::new();
    for i in 0..50 {
        rig.make(ROOT, &format!("f{i}"), FileKind::File);
    }
    rig.checkpoint(b"state");
    let path = rig.dir.join(".rfs/index.redb");
    let good = std::fs::read(&path).unwrap();
    let copy = scratch();
    let brick = copy.path().join("brick");
    Tree::create(&brick, &Limits::default(), ROOT_ATTR, Bytes::new()).unwrap();
    for at in [0, 9, 64, 200, 4096 + 5, good.len() / 2] {
        let mut bad = good.clone();
        bad[at] ^= 0x40;
        std::fs::write(brick.join(".rfs/index.redb"), &bad).unwrap();
        if let Ok(tree) = Tree::open(&brick, &Limits::default()) {
            // The flip hit a page that nobody has used: all entries must then be right.
            for i in 1..=50 {
                if let Ok(Some(entry)) = tree.entry(id(i)) {
                    assert_eq!(entry.version, Index(i));
                }
            }
        }
    }
    std::fs::write(brick.join(".rfs/index.redb"), b"not an index").unwrap();
    assert!(matches!(Tree::open(&brick, &Limits::default()), Err(Fault::Index { .. })));
    std::fs::remove_file(brick.join(".rfs/index.redb")).unwrap();
    assert!(matches!(Tree::open(&brick, &Limits::default()), Err(Fault::Index { .. })));
}

#[test]
fn small_limits_change_nothing() {
    let one = std::num::NonZeroUsize::MIN;
    let limits = Limits { dir_handles: one, file_handles: one, clean_entries: one, listed_names: 1 };
    let mut rig = Rig::new();
    rig.checkpoint(b"");
    rig.reopen();
    rig.tree = {
        let dir = rig.dir.clone();
        let spare = scratch();
        let placeholder = Tree::create(&spare.path().join("b"), &limits, ROOT_ATTR, Bytes::new()).unwrap();
        drop(std::mem::replace(&mut rig.tree, placeholder));
        Tree::open(&dir, &limits).unwrap()
    };
    let mut parent = ROOT;
    for depth in 0..20 {
        parent = rig.make(parent, &format!("d{depth}"), FileKind::Dir);
        let f = rig.make(parent, "f", FileKind::File);
        rig.run(write(f, depth, b"deep"));
    }
    rig.check();
    assert_eq!(rig.tree.path_of(id(4)), "/d0/d1");
}

#[test]
#[should_panic(expected = "record 1 after 1")]
fn no_record_is_applied_twice() {
    let mut rig = Rig::new();
    let op = stamped(Index(1), make(id(1), ROOT, "f", FileKind::File));
    let _ = rig.tree.apply(Index(1), TERM, &op).unwrap();
    let _ = rig.tree.apply(Index(1), TERM, &op);
}
