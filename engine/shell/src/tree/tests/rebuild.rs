//! A lost index, made anew from the tree.

use bytes::Bytes;
use rfs_model::op::Fate;
use rfs_model::{FileKind, Index, InodeId, Op};

use super::rig::{Rig, name, unlink, write};
use crate::tree::testing::TERM;
use crate::tree::{Checkpoint, Fault, Limits, Tree, rebuild};

const ROOT: InodeId = InodeId::ROOT;

fn checkpoint(index: u64) -> Checkpoint {
    Checkpoint { index: Index(index), term: TERM, floor: Index::ZERO, state: Bytes::from_static(b"known") }
}

#[test]
fn places_of_a_whole_tree_are_found() {
    let mut rig = Rig::new();
    let mut parent = ROOT;
    for _ in 0..300 {
        parent = rig.make(parent, "a-directory-with-a-long-name", FileKind::Dir);
    }
    let f = rig.make(parent, "f", FileKind::File);
    rig.run(Op::Link { id: f, parent: ROOT, name: name("link") });
    let orphan = rig.make(ROOT, "o", FileKind::Fifo);
    let index = rig.run(unlink(orphan, ROOT, "o", Fate::Orphan));
    rig.tree.end_batch().unwrap();
    let entries: Vec<_> = rig.model.nodes.keys().map(|id| (*id, rig.tree.entry(*id).unwrap())).collect();
    let (dir, _keep) = rig.close();
    std::fs::remove_file(dir.join(".rfs/index.redb")).unwrap();
    std::fs::write(dir.join("torn"), b"").unwrap();
    assert_eq!(rebuild(&dir, &Limits::default(), checkpoint(index.0)).unwrap(), ["/torn"]);
    let tree = Tree::open(&dir, &Limits::default()).unwrap();
    assert_eq!(tree.checkpoint().unwrap(), checkpoint(index.0));
    for (id, old) in entries {
        let (old, new) = (old.unwrap(), tree.entry(id).unwrap().unwrap());
        assert_eq!((new.kind, &new.places, new.version), (old.kind, &old.places, index));
    }
    assert!(tree.read(f, 0, 1).unwrap().unwrap().is_empty());
}

#[test]
fn two_files_of_one_identity_are_named() {
    let mut rig = Rig::new();
    let f = rig.make(ROOT, "f", FileKind::File);
    rig.run(write(f, 0, b"x"));
    let (dir, _keep) = rig.close();
    std::fs::write(dir.join("copy"), b"x").unwrap();
    rustix::fs::setxattr(dir.join("copy"), "trusted.rfs.id", &f.to_bytes(), rustix::fs::XattrFlags::empty())
        .unwrap();
    let fault = rebuild(&dir, &Limits::default(), checkpoint(2)).unwrap_err();
    assert!(matches!(fault, Fault::Twice { id, .. } if id == f));
}
