//! What is refused, and what comes out, request by request.

use bytes::Bytes;
use rfs_model::client::{Mutation, SetTime, WantAttr};
use rfs_model::op::{Allocate, LockKind, LockRange};
use rfs_model::{FileKind, Index, InodeId, Op, Refusal, Timestamp};

use super::rig::*;
use crate::acl;
use crate::admit::Limits;

const ROOT: InodeId = InodeId::ROOT;
const GONE: InodeId = InodeId { index: Index(999), ..ROOT };

/// `d/` with `d/f`, an empty `e/`, file `f`, its link `g`, symlink `s`.
struct Tree {
    rig: Rig,
    d: InodeId,
    f: InodeId,
    s: InodeId,
}

fn tree() -> Tree {
    let mut rig = Rig::new();
    let d = rig.dir(ROOT, "d");
    rig.dir(ROOT, "e");
    rig.file(d, "f");
    let f = rig.file(ROOT, "f");
    rig.call(A, link(f, ROOT, "g")).unwrap();
    let s = rig.call(A, make(ROOT, "s", FileKind::Symlink)).unwrap().id;
    Tree { rig, d, f, s }
}

fn check(table: &[(&str, Mutation, Result<(), Refusal>)]) {
    for (what, op, want) in table {
        let mut t = tree();
        let got = t.rig.call(B, op.clone()).map(drop);
        assert_eq!(got, *want, "{what}");
    }
}

#[test]
fn making_and_linking() {
    let Tree { d, f, s, .. } = tree();
    let file = FileKind::File;
    let mut empty_link = make(ROOT, "n", FileKind::Symlink);
    let mut long_link = empty_link.clone();
    let mut odd_owner = make(ROOT, "n", file);
    for (op, value) in [(&mut empty_link, 0), (&mut long_link, 4096)] {
        if let Mutation::Make { target, .. } = op {
            *target = vec![b'x'; value].into();
        }
    }
    if let Mutation::Make { uid, .. } = &mut odd_owner {
        *uid = u32::MAX;
    }
    check(&[
        ("make", make(d, "n", file), Ok(())),
        ("make over a file", make(ROOT, "f", file), Err(Refusal::Exists)),
        ("mkdir over a directory", make(ROOT, "d", FileKind::Dir), Err(Refusal::Exists)),
        ("make in nothing", make(GONE, "n", file), Err(Refusal::Stale)),
        ("make in a file", make(f, "n", file), Err(Refusal::NotDirectory)),
        ("make in a symlink", make(s, "n", file), Err(Refusal::NotDirectory)),
        ("a reserved name", make(ROOT, ".rfs", file), Err(Refusal::NotPermitted)),
        ("the same name elsewhere", make(d, ".rfs", file), Ok(())),
        ("a symlink to nothing", empty_link, Err(Refusal::Invalid)),
        ("a symlink to far away", long_link, Err(Refusal::NameTooLong)),
        ("nobody's file", odd_owner, Err(Refusal::Invalid)),
        ("link", link(f, d, "n"), Ok(())),
        ("link of a symlink", link(s, d, "n"), Ok(())),
        ("link of a directory", link(d, ROOT, "n"), Err(Refusal::NotPermitted)),
        ("link of nothing", link(GONE, ROOT, "n"), Err(Refusal::Stale)),
        ("link over a file", link(f, d, "f"), Err(Refusal::Exists)),
    ]);
}

#[test]
fn removing() {
    let Tree { d, f, .. } = tree();
    check(&[
        ("unlink", unlink(ROOT, "f"), Ok(())),
        ("unlink of a symlink", unlink(ROOT, "s"), Ok(())),
        ("unlink of nothing", unlink(ROOT, "n"), Err(Refusal::NoEntry)),
        ("unlink of a directory", unlink(ROOT, "d"), Err(Refusal::IsDirectory)),
        ("unlink in a file", unlink(f, "n"), Err(Refusal::NotDirectory)),
        ("unlink of a reserved name", rmdir(ROOT, ".rfs"), Err(Refusal::NoEntry)),
        ("rmdir", rmdir(ROOT, "e"), Ok(())),
        ("rmdir of a full one", rmdir(ROOT, "d"), Err(Refusal::NotEmpty)),
        ("rmdir of a file", rmdir(d, "f"), Err(Refusal::NotDirectory)),
        ("rmdir of nothing", rmdir(d, "n"), Err(Refusal::NoEntry)),
    ]);
}

#[test]
fn renaming() {
    const NOREPLACE: u32 = 1;
    const EXCHANGE: u32 = 2;
    let Tree { d, .. } = tree();
    check(&[
        ("file", rename(ROOT, "f", d, "n", 0), Ok(())),
        ("file over file", rename(ROOT, "f", d, "f", 0), Ok(())),
        ("file over itself", rename(ROOT, "f", ROOT, "f", 0), Ok(())),
        ("file over its other name", rename(ROOT, "f", ROOT, "g", 0), Ok(())),
        ("file over directory", rename(ROOT, "f", ROOT, "e", 0), Err(Refusal::IsDirectory)),
        ("directory", rename(ROOT, "e", d, "n", 0), Ok(())),
        ("directory over an empty one", rename(ROOT, "d", ROOT, "e", 0), Ok(())),
        ("directory over a full one", rename(ROOT, "e", ROOT, "d", 0), Err(Refusal::NotEmpty)),
        ("directory over file", rename(ROOT, "e", d, "f", 0), Err(Refusal::NotDirectory)),
        ("directory into itself", rename(ROOT, "d", d, "n", 0), Err(Refusal::Invalid)),
        ("nothing", rename(ROOT, "n", d, "n", 0), Err(Refusal::NoEntry)),
        ("to nowhere", rename(ROOT, "f", GONE, "n", 0), Err(Refusal::Stale)),
        ("to a reserved name", rename(ROOT, "f", ROOT, ".rfs", 0), Err(Refusal::NotPermitted)),
        ("odd flags", rename(ROOT, "f", d, "n", 3), Err(Refusal::Invalid)),
        ("whiteout", rename(ROOT, "f", d, "n", 4), Err(Refusal::Invalid)),
        ("no replacing", rename(ROOT, "f", d, "n", NOREPLACE), Ok(())),
        ("no replacing, taken", rename(ROOT, "f", d, "f", NOREPLACE), Err(Refusal::Exists)),
        ("no replacing, other name", rename(ROOT, "f", ROOT, "g", NOREPLACE), Err(Refusal::Exists)),
        ("exchange", rename(ROOT, "f", ROOT, "d", EXCHANGE), Ok(())),
        ("exchange with nothing", rename(ROOT, "f", ROOT, "n", EXCHANGE), Err(Refusal::NoEntry)),
        ("exchange with a parent", rename(d, "f", ROOT, "d", EXCHANGE), Err(Refusal::Invalid)),
        ("exchange with a child", rename(ROOT, "d", d, "f", EXCHANGE), Err(Refusal::Invalid)),
    ]);
}

#[test]
fn a_rename_over_the_same_inode_leaves_no_record() {
    let mut t = tree();
    let before = t.rig.log.len();
    t.rig.call(B, rename(ROOT, "f", ROOT, "g", 0)).unwrap();
    assert_eq!(t.rig.log.len(), before);
    assert!(t.rig.call(B, unlink(ROOT, "f")).is_ok(), "both names are still there");
    assert!(t.rig.call(B, unlink(ROOT, "g")).is_ok());
}

#[test]
fn data_and_sizes() {
    let Tree { d, f, s, .. } = tree();
    let allocate = |id, mode, offset, len| Mutation::Allocate { id, range: Allocate { mode, offset, len } };
    let truncate = |id, size| {
        let want = WantAttr { size: Some(size), ..WantAttr::default() };
        Mutation::SetAttr { id, want }
    };
    let max = Limits::default().file_bytes;
    check(&[
        ("write", write(f, 7, "abc"), Ok(())),
        ("write to a directory", write(d, 0, "abc"), Err(Refusal::IsDirectory)),
        ("write to a symlink", write(s, 0, "abc"), Err(Refusal::Invalid)),
        ("write to nothing", write(GONE, 0, "abc"), Err(Refusal::Stale)),
        ("the last byte", write(f, max - 1, "a"), Ok(())),
        ("a byte too far", write(f, max, "a"), Err(Refusal::TooLarge)),
        ("wrapping", write(f, u64::MAX, "ab"), Err(Refusal::TooLarge)),
        ("truncate", truncate(f, 3), Ok(())),
        ("truncate a directory", truncate(d, 3), Err(Refusal::IsDirectory)),
        ("truncate too far", truncate(f, max + 1), Err(Refusal::TooLarge)),
        ("allocate", allocate(f, 0, 0, 10), Ok(())),
        ("allocate and keep", allocate(f, 1, 0, 10), Ok(())),
        ("punch", allocate(f, 3, 0, 10), Ok(())),
        ("punch without keep", allocate(f, 2, 0, 10), Err(Refusal::NotSupported)),
        ("zero", allocate(f, 16, 0, 10), Ok(())),
        ("zero and keep", allocate(f, 17, 0, 10), Ok(())),
        ("collapse", allocate(f, 8, 0, 4096), Err(Refusal::NotSupported)),
        ("nothing to allocate", allocate(f, 0, 0, 0), Err(Refusal::Invalid)),
        ("allocate too far", allocate(f, 0, max, 1), Err(Refusal::TooLarge)),
        ("allocate in a directory", allocate(d, 0, 0, 1), Err(Refusal::IsDirectory)),
    ]);
}

#[test]
fn attributes() {
    let Tree { f, s, .. } = tree();
    let set = |id, want: WantAttr| Mutation::SetAttr { id, want };
    let none = WantAttr::default();
    let at = |nanos| Some(SetTime::At { time: Timestamp { secs: -1, nanos } });
    check(&[
        ("chmod", set(f, WantAttr { mode: Some(0o600), ..none }), Ok(())),
        ("chmod of a symlink", set(s, WantAttr { mode: Some(0o600), ..none }), Err(Refusal::NotSupported)),
        ("chown of a symlink", set(s, WantAttr { uid: Some(5), ..none }), Ok(())),
        ("chown to nobody", set(f, WantAttr { gid: Some(u32::MAX), ..none }), Err(Refusal::Invalid)),
        ("utimes", set(f, WantAttr { mtime: at(999_999_999), ..none }), Ok(())),
        ("odd nanoseconds", set(f, WantAttr { atime: at(1_000_000_000), ..none }), Err(Refusal::Invalid)),
        ("of nothing", set(GONE, none), Err(Refusal::Stale)),
    ]);
}

#[test]
fn what_is_stamped_is_absolute() {
    let mut t = tree();
    t.rig.now = Timestamp { secs: 2000, nanos: 5 };
    let now = Some(t.rig.now);
    let want =
        WantAttr { mode: Some(0o170_644), size: Some(3), atime: Some(SetTime::Now), ..WantAttr::default() };
    t.rig.call(A, Mutation::SetAttr { id: t.f, want }).unwrap();
    let Some(Op::SetAttr { set, .. }) = t.rig.log.last().map(|s| &s.op) else { panic!("no record") };
    assert_eq!((set.mode, set.size, set.atime, set.mtime), (Some(0o644), Some(3), now, now));

    for (mode, kept) in [(0o4755, Some(0o4755)), (0o755, None)] {
        for want in [
            WantAttr { mode: Some(mode), ..WantAttr::default() },
            WantAttr { uid: Some(3), ..WantAttr::default() },
        ] {
            t.rig.call(A, Mutation::SetAttr { id: t.f, want }).unwrap();
        }
        let Some(Op::SetAttr { set, .. }) = t.rig.log.last().map(|s| &s.op) else { panic!("no record") };
        assert_eq!((set.uid, set.mode), (Some(3), kept), "chown of {mode:o}");
    }

    t.rig.now = Timestamp { secs: 1500, nanos: 0 };
    t.rig.call(A, append(t.f, "xy")).unwrap();
    let last = t.rig.log.last().unwrap();
    assert_eq!(Some(last.time), now, "a clock that goes back does not take records along");
    assert!(matches!(last.op, Op::Write { offset: 3, .. }));
}

#[test]
fn extended_attributes() {
    const CREATE: u32 = 1;
    const REPLACE: u32 = 2;
    let Tree { d, f, s, .. } = tree();
    let set = |id, key: &'static str, value: &[u8], flags| {
        let value = Bytes::copy_from_slice(value);
        Mutation::SetXattr { id, name: name(key), value, flags }
    };
    let remove = |id, key: &'static str| Mutation::RemoveXattr { id, name: name(key) };
    let list = acl::Acl::parse(&[
        2, 0, 0, 0, 1, 0, 7, 0, 255, 255, 255, 255, 4, 0, 5, 0, 255, 255, 255, 255, 32, 0, 1, 0, 255, 255,
        255, 255,
    ]);
    let list = list.unwrap().unwrap().to_bytes();
    let (access, default) = ("system.posix_acl_access", "system.posix_acl_default");
    check(&[
        ("set", set(f, "user.a", b"1", 0), Ok(())),
        ("set of ours", set(f, "trusted.rfs.id", b"1", 0), Err(Refusal::NotPermitted)),
        ("remove of ours", remove(f, "trusted.rfs.id"), Err(Refusal::NotPermitted)),
        ("set on a symlink", set(s, "user.a", b"1", 0), Err(Refusal::NotPermitted)),
        ("trusted on a symlink", set(s, "trusted.a", b"1", 0), Ok(())),
        ("create", set(f, "user.a", b"1", CREATE), Ok(())),
        ("replace nothing", set(f, "user.a", b"1", REPLACE), Err(Refusal::NoAttribute)),
        ("both", set(f, "user.a", b"1", 3), Err(Refusal::Invalid)),
        ("too large", set(f, "user.a", &[0; 65_537], 0), Err(Refusal::Range)),
        ("more than fits", set(f, "user.a", &[0; 5000], 0), Err(Refusal::NoSpace)),
        ("remove nothing", remove(f, "user.a"), Err(Refusal::NoAttribute)),
        ("of nothing", set(GONE, "user.a", b"1", 0), Err(Refusal::Stale)),
        ("access list", set(f, access, &list, 0), Ok(())),
        ("broken list", set(f, access, b"x", 0), Err(Refusal::Invalid)),
        ("list on a symlink", set(s, access, &list, 0), Err(Refusal::NotSupported)),
        ("default list", set(d, default, &list, 0), Ok(())),
        ("default list on a file", set(f, default, &list, 0), Err(Refusal::NotPermitted)),
        ("remove no list", remove(d, default), Ok(())),
        ("empty list", set(d, default, &[2, 0, 0, 0], 0), Ok(())),
    ]);
    let mut t = tree();
    assert!(t.rig.call(A, set(t.f, "user.a", b"1", 0)).is_ok());
    assert_eq!(t.rig.call(A, set(t.f, "user.a", b"1", CREATE)).map(drop), Err(Refusal::Exists));
    assert!(t.rig.call(A, set(t.f, "user.a", b"22", REPLACE)).is_ok());
    assert!(t.rig.call(A, remove(t.f, "user.a")).is_ok());
}

#[test]
fn locks() {
    use LockKind::{Exclusive, Shared, Unlock};
    let mut t = tree();
    let lock = |kind, start, end| Mutation::Lock {
        id: t.f,
        owner: 1,
        range: LockRange { kind, start, end, pid: 9 },
    };
    let table = [
        ("take", A, lock(Exclusive, 0, 9), Ok(())),
        ("again", A, lock(Exclusive, 5, 9), Ok(())),
        ("somebody else", B, lock(Shared, 9, 20), Err(Refusal::Locked)),
        ("next to it", B, lock(Shared, 10, 20), Ok(())),
        ("weaker", A, lock(Shared, 0, 9), Ok(())),
        ("now together", B, lock(Shared, 0, 20), Ok(())),
        ("not alone", A, lock(Exclusive, 0, 9), Err(Refusal::Locked)),
        ("free", B, lock(Unlock, 0, u64::MAX), Ok(())),
        ("alone", A, lock(Exclusive, 0, u64::MAX), Ok(())),
        ("end before start", A, lock(Shared, 9, 0), Err(Refusal::Invalid)),
    ];
    for (what, session, op, want) in table {
        assert_eq!(t.rig.call(session, op).map(drop), want, "{what}");
    }
    let before = t.rig.log.len();
    t.rig.call(B, lock(Unlock, 0, 5)).unwrap();
    t.rig.call(B, Mutation::Unlock { id: t.f, owner: 1 }).unwrap();
    assert_eq!(t.rig.log.len(), before, "nothing held, nothing recorded");
}

#[test]
fn new_inodes_inherit() {
    let mut t = tree();
    let born = |t: &mut Tree, text, kind| {
        let id = t.rig.call(A, make(t.d, text, kind)).unwrap().id;
        t.rig.tree.node(id).unwrap().clone()
    };
    assert_eq!(born(&mut t, "1", FileKind::File).mode, 0o644, "umask");
    assert_eq!(born(&mut t, "2", FileKind::Symlink).mode, 0o777);

    let want = WantAttr { mode: Some(0o2775), gid: Some(77), ..WantAttr::default() };
    t.rig.call(A, Mutation::SetAttr { id: t.d, want }).unwrap();
    let file = born(&mut t, "3", FileKind::File);
    assert_eq!((file.mode, file.uid, file.gid), (0o644, 10, 77));
    let dir = born(&mut t, "4", FileKind::Dir);
    assert_eq!((dir.mode, dir.gid), (0o2644, 77));

    let default = Bytes::from_static(&[
        2, 0, 0, 0, 1, 0, 7, 0, 255, 255, 255, 255, 2, 0, 7, 0, 5, 0, 0, 0, 4, 0, 5, 0, 255, 255, 255, 255,
        16, 0, 7, 0, 255, 255, 255, 255, 32, 0, 6, 0, 255, 255, 255, 255,
    ]);
    let key = Bytes::from_static(acl::DEFAULT);
    let set = Mutation::SetXattr { id: t.d, name: key.clone(), value: default.clone(), flags: 0 };
    t.rig.call(A, set).unwrap();
    let file = born(&mut t, "5", FileKind::File);
    assert_eq!(file.mode, 0o666, "a default list overrides the umask");
    assert!(file.xattrs.contains_key(acl::ACCESS) && !file.xattrs.contains_key(acl::DEFAULT));
    let dir = born(&mut t, "6", FileKind::Dir);
    assert_eq!(dir.xattrs.get(&key), Some(&default));
    assert!(born(&mut t, "7", FileKind::Symlink).xattrs.is_empty());
}
