//! Outcomes carried out, one by one and at random.

use bytes::Bytes;
use rfs_model::attr::Bare;
use rfs_model::op::{Allocate, Fate};
use rfs_model::{FileKind, InodeId, Op, SetAttr, Timestamp};

use super::rig::{Rig, id, make, name, rename, rename_over, unlink, write};
use crate::tree::testing::{TERM, stamped};
use crate::tree::{Fault, Page};

const ROOT: InodeId = InodeId::ROOT;

#[test]
fn all_kinds_are_made_with_their_attributes() {
    let mut rig = Rig::new();
    let kinds = [
        FileKind::File,
        FileKind::Dir,
        FileKind::Symlink,
        FileKind::Fifo,
        FileKind::Socket,
        FileKind::CharDevice,
        FileKind::BlockDevice,
    ];
    for (i, kind) in kinds.into_iter().enumerate() {
        let index = rig.tree.applied().next().0;
        let mut op = make(id(index), ROOT, &format!("n{i}"), kind);
        if let Op::Make { mode, uid, gid, .. } = &mut op {
            (*mode, *uid, *gid) = (if kind == FileKind::Symlink { 0o777 } else { 0o6751 }, 12, 34);
        }
        rig.run(op);
        let attr = rig.tree.attr(id(index)).unwrap().unwrap();
        assert_eq!((attr.kind, attr.uid, attr.gid), (kind, 12, 34));
    }
    rig.check();
}

#[test]
fn names_move_and_go() {
    let mut rig = Rig::new();
    let (a, b) = (rig.make(ROOT, "a", FileKind::Dir), rig.make(ROOT, "b", FileKind::Dir));
    let f = rig.make(a, "f", FileKind::File);
    let g = rig.make(b, "g", FileKind::File);
    rig.run(write(f, 0, b"ff"));
    rig.run(Op::Link { id: f, parent: b, name: name("f2") });
    assert_eq!(rig.tree.attr(f).unwrap().unwrap().nlink, 2);
    rig.run(Op::Exchange { id: f, from: a, from_name: name("f"), other: g, to: b, to_name: name("g") });
    rig.check();
    rig.run(rename(b, (ROOT, "b"), (a, "sub")));
    rig.check();
    rig.run(rename_over(g, (a, "f"), (b, "f2"), f, Fate::Stays));
    rig.run(unlink(f, b, "g", Fate::Orphan));
    rig.check();
    assert_eq!(rig.tree.attr(f).unwrap().unwrap().nlink, 0);
    assert_eq!(rig.tree.read(f, 0, 9).unwrap().unwrap(), "ff");
    rig.run(write(f, 1, b"gg"));
    rig.run(Op::Reap { id: f });
    assert_eq!(rig.tree.attr(f).unwrap(), None);
    rig.run(unlink(g, b, "f2", Fate::Dies));
    rig.run(unlink(b, a, "sub", Fate::Dies));
    rig.check();
}

#[test]
fn writes_gather_and_are_seen_at_once() {
    let mut rig = Rig::new();
    let (f, g) = (rig.make(ROOT, "f", FileKind::File), rig.make(ROOT, "g", FileKind::File));
    for i in 0..600 {
        rig.run(write(f, i * 10, &[i as u8; 10]));
    }
    assert_eq!(rig.tree.attr(f).unwrap().unwrap().size, 6000);
    rig.run(write(f, 6000, b"end"));
    rig.run(write(g, 100, b"hole before"));
    rig.run(write(f, 5, b"over"));
    assert_eq!(rig.tree.read(f, 5999, 100).unwrap().unwrap(), &[(599 % 256) as u8, b'e', b'n', b'd'][..]);
    assert_eq!(rig.tree.reader(f, 5, 4).unwrap().unwrap().read().unwrap(), "over");
    let before = rig.tree.reader(f, 6000, 100).unwrap().unwrap();
    rig.run(write(f, 6003, b" and more"));
    assert_eq!(rig.tree.read(f, 6000, 100).unwrap().unwrap(), "end and more");
    assert_eq!(before.read().unwrap(), "end", "what is appended after the question is none of its answer");
    rig.check();
}

#[test]
fn ranges_are_allocated_and_punched() {
    let mut rig = Rig::new();
    let f = rig.make(ROOT, "f", FileKind::File);
    rig.run(write(f, 0, &[7; 20_000]));
    for (mode, offset, len) in
        [(3, 4096, 8192), (0, 0, 30_000), (1, 30_000, 5), (0x10, 100, 50), (0x11, 29_000, 9000)]
    {
        rig.run(Op::Allocate { id: f, range: Allocate { mode, offset, len } });
        rig.check();
    }
    let hole = rig.tree.seek(f, 0, false).unwrap();
    assert!(hole.is_some_and(|at| at <= 30_000));
    assert_eq!(rig.tree.seek(f, 30_000, true).unwrap(), None);
    let collapse = Op::Allocate { id: f, range: Allocate { mode: 8, offset: 0, len: 4096 } };
    assert!(matches!(rig.try_run(&collapse), Err(Fault::Record { op: "fallocate", .. })));
}

#[test]
fn a_changed_owner_keeps_the_mode_that_nobody_changed() {
    let mut rig = Rig::new();
    let index = rig.tree.applied().next().0;
    let mut op = make(id(index), ROOT, "f", FileKind::File);
    if let Op::Make { mode, .. } = &mut op {
        *mode = 0o6755;
    }
    rig.run(op);
    let owner = SetAttr { uid: Some(5), gid: Some(6), ..SetAttr::default() };
    rig.run(Op::SetAttr { id: id(index), set: owner });
    rig.check();
    rig.run(Op::SetAttr { id: id(index), set: SetAttr { mode: Some(0o4711), uid: Some(7), ..owner } });
    rig.check();
}

#[test]
fn explicit_times_outlive_earlier_changes_of_the_batch() {
    let mut rig = Rig::new();
    let d = rig.make(ROOT, "d", FileKind::Dir);
    let f = rig.make(d, "f", FileKind::File);
    rig.run(write(f, 0, b"data"));
    let old = Timestamp { secs: -5, nanos: 999_999_999 };
    for id in [d, f] {
        rig.run(Op::SetAttr {
            id,
            set: SetAttr { mtime: Some(old), atime: Some(old), ..SetAttr::default() },
        });
        assert_eq!(rig.tree.attr(id).unwrap().unwrap().mtime, old);
    }
    rig.check();
    rig.run(write(f, 0, b"more"));
    let attr = rig.tree.attr(f).unwrap().unwrap();
    assert_eq!((attr.atime, attr.mtime), (old, attr.ctime));
    rig.check();
}

/// An ACL in the layout of the kernel: version 2, then (tag, permissions, id).
fn acl(entries: &[(u16, u16, u32)]) -> Bytes {
    let mut out = vec![2, 0, 0, 0];
    for (tag, perm, id) in entries {
        out.extend_from_slice(&tag.to_le_bytes());
        out.extend_from_slice(&perm.to_le_bytes());
        out.extend_from_slice(&id.to_le_bytes());
    }
    out.into()
}

#[test]
fn acls_are_those_of_the_record_whatever_the_kernel_would_inherit() {
    const NOBODY: u32 = u32::MAX;
    let mut rig = Rig::new();
    let d = rig.make(ROOT, "d", FileKind::Dir);
    let default = acl(&[(1, 7, NOBODY), (2, 7, 1000), (4, 5, NOBODY), (0x10, 7, NOBODY), (0x20, 0, NOBODY)]);
    let op = Op::SetXattr { id: d, name: name("system.posix_acl_default"), value: default.clone() };
    rig.run(op);
    let plain = rig.make(d, "plain", FileKind::File);
    assert_eq!(rig.tree.xattr(plain, b"system.posix_acl_access").unwrap(), None);
    assert_eq!(rig.tree.attr(plain).unwrap().unwrap().mode, 0o644);
    let access = acl(&[(1, 6, NOBODY), (2, 6, 1000), (4, 4, NOBODY), (0x10, 6, NOBODY), (0x20, 0, NOBODY)]);
    let index = rig.tree.applied().next().0;
    let mut op = make(id(index), d, "dir", FileKind::Dir);
    if let Op::Make { mode, acl_access, acl_default, .. } = &mut op {
        (*mode, *acl_access, *acl_default) = (0o2660, access.clone(), default.clone());
    }
    rig.run(op);
    assert_eq!(rig.tree.xattr(id(index), b"system.posix_acl_access").unwrap(), Some(access));
    assert_eq!(rig.tree.xattr(id(index), b"system.posix_acl_default").unwrap(), Some(default));
    assert_eq!(rig.tree.attr(id(index)).unwrap().unwrap().mode, 0o2660);
    assert!(rig.tree.xattr_bytes(id(index)).unwrap() > 16 * 3);
}

#[test]
fn what_has_no_access_list_and_no_capability_is_told_so() {
    let mut rig = Rig::new();
    let d = rig.make(ROOT, "d", FileKind::Dir);
    let ids = ["f", "g", "h"].map(|n| rig.make(d, n, FileKind::File));
    let link = rig.make(d, "link", FileKind::Symlink);
    let access =
        acl(&[(1, 6, u32::MAX), (2, 6, 5), (4, 4, u32::MAX), (0x10, 6, u32::MAX), (0x20, 0, u32::MAX)]);
    rig.run(Op::SetXattr { id: ids[1], name: name("system.posix_acl_access"), value: access });
    rig.run(Op::SetXattr { id: ids[2], name: name("user.other"), value: name("v") });
    let told = |rig: &Rig| {
        let page = Page { entries: 10, bytes: 10_000 };
        let (entries, _) = rig.tree.readdir(d, b"", true, page).unwrap().unwrap();
        let listed: Vec<Bare> = entries.iter().map(|entry| entry.attr.unwrap().bare).collect();
        let one_by_one: Vec<Bare> =
            entries.iter().map(|entry| rig.tree.attr_checked(entry.id).unwrap().unwrap().bare).collect();
        assert_eq!(listed, one_by_one);
        listed
    };
    assert_eq!(told(&rig), [Bare::Wholly, Bare::Unknown, Bare::Often, Bare::Wholly]);
    rig.run(Op::RemoveXattr { id: ids[1], name: name("system.posix_acl_access") });
    assert_eq!(told(&rig), [Bare::Wholly, Bare::Wholly, Bare::Often, Bare::Wholly]);
    for n in 0..60 {
        let long = name(&format!("trusted.{n}-{}", "x".repeat(20)));
        rig.run(Op::SetXattr { id: link, name: long, value: name("v") });
    }
    assert_eq!(told(&rig)[3], Bare::Unknown, "the list is too long to look through");
}

#[test]
fn the_brick_s_own_attributes_are_hidden_and_safe() {
    let mut rig = Rig::new();
    let f = rig.make(ROOT, "f", FileKind::Symlink);
    rig.run(Op::SetXattr { id: f, name: name("trusted.other"), value: name("v") });
    assert_eq!(rig.tree.xattr_names(f).unwrap().unwrap(), ["trusted.other"]);
    assert_eq!(rig.tree.xattr(f, b"trusted.rfs.id").unwrap(), None);
    assert_eq!(rig.tree.xattr(f, b"trusted.other").unwrap().unwrap(), "v");
    assert_eq!(rig.tree.readlink(f).unwrap().unwrap(), "to/nowhere");
    assert_eq!(rig.tree.child(ROOT, b".rfs").unwrap(), None);
    let op = Op::RemoveXattr { id: f, name: name("trusted.rfs.id") };
    assert!(rig.try_run(&op).is_err());
}

#[test]
fn what_others_did_to_the_directory_is_a_fault_that_names_it() {
    let mut rig = Rig::new();
    let d = rig.make(ROOT, "d", FileKind::Dir);
    let f = rig.make(d, "f", FileKind::File);
    let g = rig.make(d, "g", FileKind::File);
    let says = |fault: Fault| fault.to_string();
    std::fs::rename(rig.dir.join("d/f"), rig.dir.join("d/g")).unwrap();
    assert!(
        says(rig.try_run(&unlink(g, d, "g", Fate::Dies)).unwrap_err()).contains("/d/g carries the identity")
    );
    assert!(says(rig.try_run(&unlink(f, d, "f", Fate::Dies)).unwrap_err()).contains("cannot find /d/f"));
    let unknown = rig.try_run(&write(id(999), 0, b"x")).unwrap_err();
    assert!(says(unknown).ends_with("cannot write to inode 3-3e7: the index does not know it"));
}

#[test]
fn a_symlink_in_a_directory_s_place_is_not_followed() {
    let mut rig = Rig::new();
    let d = rig.make(ROOT, "d", FileKind::Dir);
    let outside = super::rig::scratch();
    std::fs::remove_dir(rig.dir.join("d")).unwrap();
    std::os::unix::fs::symlink(outside.path(), rig.dir.join("d")).unwrap();
    rig.tree.forget(d);
    assert!(rig.try_run(&make(id(50), d, "f", FileKind::File)).is_err());
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[test]
fn big_files_die_on_a_thread_of_their_own() {
    let mut rig = Rig::new();
    let f = rig.make(ROOT, "f", FileKind::File);
    let size = 80 << 20;
    rig.run(Op::Allocate { id: f, range: Allocate { mode: 0, offset: 0, len: size } });
    let index = rig.tree.applied().next();
    let cut =
        stamped(index, Op::SetAttr { id: f, set: SetAttr { size: Some(size - 1), ..SetAttr::default() } });
    assert!(rig.tree.prelude(&cut).unwrap().is_none());
    let op = unlink(f, ROOT, "f", Fate::Dies);
    let applied = rig.tree.apply(index, TERM, &stamped(index, op.clone())).unwrap();
    rig.model.apply(index, &op);
    assert_eq!(rig.tree.child(ROOT, b"f").unwrap(), None);
    assert_eq!(rig.tree.leftovers().unwrap().len(), 1);
    std::thread::spawn(|| applied.leftover.unwrap().run()).join().unwrap().unwrap();
    rig.check();
    let g = rig.make(ROOT, "g", FileKind::File);
    rig.run(Op::SetAttr { id: g, set: SetAttr { size: Some(size), ..SetAttr::default() } });
    let index = rig.tree.applied().next();
    let op = Op::SetAttr { id: g, set: SetAttr { size: Some(3), ..SetAttr::default() } };
    let prelude = rig.tree.prelude(&stamped(index, op.clone())).unwrap().unwrap();
    std::thread::spawn(|| prelude.run()).join().unwrap().unwrap();
    rig.run(op);
    rig.check();
}
