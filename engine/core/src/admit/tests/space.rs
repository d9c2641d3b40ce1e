//! A full volume: a clean refusal for what takes room, and all that gives room back works.

use rfs_model::client::{Mutation, WantAttr};
use rfs_model::{FileKind, Index, InodeId, NodeId, Refusal};

use super::rig::*;
use crate::admit::Room;

const BRICK: NodeId = NodeId([9; 16]);

fn full(rig: &mut Rig, bytes: u64, inodes: u64) {
    rig.front.report_room(BRICK, Index(rig.applied as u64), Room { bytes, inodes });
}

#[test]
fn a_full_volume_refuses_and_can_be_emptied() {
    let mut rig = Rig::new();
    let f = rig.file(InodeId::ROOT, "f");
    rig.call(A, write(f, 0, "0123456789")).unwrap();
    full(&mut rig, 0, 0);
    let no_space = Err(Refusal::NoSpace);
    assert_eq!(rig.call(A, make(InodeId::ROOT, "n", FileKind::File)).map(drop), no_space);
    assert_eq!(rig.call(A, write(f, 4096, "x")).map(drop), no_space);
    assert_eq!(rig.call(A, append(f, "x")).map(drop), Ok(()), "there is a block already");
    assert!(rig.call(A, write(f, 3, "xyz")).is_ok(), "overwriting takes no room");
    let want = WantAttr { size: Some(2), ..WantAttr::default() };
    assert!(rig.call(A, Mutation::SetAttr { id: f, want }).is_ok());
    assert!(rig.call(A, rename(InodeId::ROOT, "f", InodeId::ROOT, "g", 0)).is_ok());
    assert!(rig.call(A, unlink(InodeId::ROOT, "g")).is_ok());
}

#[test]
fn what_is_on_its_way_is_counted() {
    let mut rig = Rig::new();
    let f = rig.file(InodeId::ROOT, "f");
    full(&mut rig, 3 * 4096, 10);
    let admitted = (0..5)
        .map(|i| {
            rig.send(A, write(f, i * 4096, "x"));
            rig.admit_all().iter().any(|v| matches!(v, crate::admit::Verdict::Record(_)))
        })
        .collect::<Vec<_>>();
    assert_eq!(admitted, [true, true, true, false, false]);
    rig.apply_all();
    full(&mut rig, 4096, 10);
    assert!(rig.call(A, write(f, 9 * 4096, "x")).is_ok(), "a new report starts anew");
    assert_eq!(rig.call(A, write(f, 20 * 4096, "x")).map(drop), Err(Refusal::NoSpace));
}

#[test]
fn inodes_run_out_apart_from_bytes() {
    let mut rig = Rig::new();
    full(&mut rig, 1 << 30, 1);
    assert!(rig.call(A, make(InodeId::ROOT, "a", FileKind::Dir)).is_ok());
    assert_eq!(rig.call(A, make(InodeId::ROOT, "b", FileKind::Dir)).map(drop), Err(Refusal::NoSpace));
}
