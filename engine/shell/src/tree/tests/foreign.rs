//! What people put into the brick directory by hand: the volume is as if it were not there, and it is not lost.

use std::fs;

use rfs_model::op::Fate;
use rfs_model::{FileKind, InodeId, Op};

use super::rig::{Rig, make, name, rename, rename_over, unlink};
use crate::tree::{Fault, Page, Tree};

const ROOT: InodeId = InodeId::ROOT;

fn names(tree: &Tree, dir: InodeId, entries: usize) -> Vec<String> {
    let (mut out, mut after) = (Vec::<String>::new(), Vec::new());
    loop {
        let page = Page { entries, bytes: 10_000 };
        let (got, end) = tree.readdir(dir, &after, true, page).unwrap().unwrap();
        assert!(end || got.len() == entries, "pages are full");
        out.extend(got.iter().map(|e| String::from_utf8(e.name.to_vec()).unwrap()));
        match out.last() {
            Some(last) if !end => after = last.clone().into_bytes(),
            _ => return out,
        }
    }
}

/// What was set aside, by name.
fn aside(rig: &Rig) -> Vec<(String, String)> {
    let Ok(entries) = fs::read_dir(rig.dir.join(".rfs/foreign")) else { return vec![] };
    let one = |path: std::path::PathBuf| {
        let text = fs::read_to_string(&path).unwrap_or_default();
        (path.file_name().unwrap().to_str().unwrap().to_owned(), text)
    };
    let mut all: Vec<_> = entries.map(|e| one(e.unwrap().path())).collect();
    all.sort();
    all
}

#[test]
fn they_are_not_shown_and_harm_nothing() {
    let mut rig = Rig::new();
    let d = rig.make(ROOT, "d", FileKind::Dir);
    let e = rig.make(ROOT, "e", FileKind::Dir);
    for i in 0..6 {
        rig.make(d, &format!("f{i}"), FileKind::File);
    }
    let f0 = rig.dir.join("d/f0");
    let identity = super::rig::id(3);
    assert_eq!(rig.tree.child(d, b"f0").unwrap(), Some(identity));
    for (file, text) in [("d/f00", "x"), ("d/a", "x"), ("d/z", ""), ("top", "x"), ("e/only", "x")] {
        fs::write(rig.dir.join(file), text).unwrap();
    }
    fs::create_dir(rig.dir.join("d/f3dir")).unwrap();
    fs::write(rig.dir.join("d/f3dir/in"), "x").unwrap();
    // A second name of a file of the volume, and a copy with its identity.
    fs::hard_link(&f0, rig.dir.join("d/f1link")).unwrap();
    for (file, id) in [("d/f2copy", identity), ("d/f4old", super::rig::id(77))] {
        let (path, flags) = (rig.dir.join(file), rustix::fs::XattrFlags::empty());
        fs::write(&path, "x").unwrap();
        rustix::fs::setxattr(&path, "trusted.rfs.id", &id.to_bytes(), flags).unwrap();
    }
    for entries in [1, 2, 100] {
        rig.tree.listings.borrow_mut().forget(d);
        assert_eq!(names(&rig.tree, d, entries), ["f0", "f1", "f2", "f3", "f4", "f5"]);
        assert_eq!(names(&rig.tree, d, entries).len(), 6, "from the cache");
    }
    assert_eq!(names(&rig.tree, ROOT, 10), ["d", "e"]);
    assert_eq!(names(&rig.tree, e, 10), Vec::<String>::new());
    rig.tree.listings.borrow_mut().forget(e);
    for (dir, name) in [(d, "a"), (d, "f1link"), (d, "f2copy"), (d, "f4old"), (ROOT, "top"), (e, "only")] {
        assert_eq!(rig.tree.child(dir, name.as_bytes()).unwrap(), None, "{name}");
    }
    assert!(rig.tree.is_empty_dir(e).unwrap() && !rig.tree.is_empty_dir(d).unwrap());
    assert!(aside(&rig).is_empty(), "nothing was in the way");
}

#[test]
fn they_are_set_aside_where_the_volume_needs_the_place() {
    let mut rig = Rig::new();
    let d = rig.make(ROOT, "d", FileKind::Dir);
    let f = rig.make(ROOT, "f", FileKind::File);
    let put = |rig: &Rig, at: &str| fs::write(rig.dir.join(at), at).unwrap();
    for at in ["new", "link", "moved", "d/in", "f2"] {
        put(&rig, at);
    }
    fs::create_dir(rig.dir.join("sub")).unwrap();
    put(&rig, "sub/in");
    rig.make(ROOT, "new", FileKind::File);
    rig.make(ROOT, "sub", FileKind::File);
    rig.run(Op::Link { id: f, parent: ROOT, name: name("link") });
    rig.run(rename(f, (ROOT, "f"), (ROOT, "moved")));
    // A directory that another one replaces, and one that is removed; both hold foreign files.
    let e = rig.make(ROOT, "e", FileKind::Dir);
    rig.run(rename_over(e, (ROOT, "e"), (ROOT, "d"), d, Fate::Dies));
    put(&rig, "d/in");
    rig.run(unlink(e, ROOT, "d", Fate::Dies));
    fs::remove_file(rig.dir.join("f2")).unwrap();
    let got = aside(&rig);
    let want =
        [("in", "d/in"), ("in.1", "d/in"), ("link", "link"), ("moved", "moved"), ("new", "new"), ("sub", "")];
    assert_eq!(got, want.map(|(n, t)| (n.to_owned(), t.to_owned())));
    assert_eq!(fs::read_to_string(rig.dir.join(".rfs/foreign/sub/in")).unwrap(), "sub/in");
    rig.check();
}

#[test]
fn a_file_of_the_volume_is_never_taken_for_one() {
    let mut rig = Rig::new();
    let d = rig.make(ROOT, "d", FileKind::Dir);
    rig.make(d, "f", FileKind::File);
    let removed = rig.try_run(&unlink(d, ROOT, "d", Fate::Dies)).unwrap_err();
    assert!(removed.to_string().contains("not empty"), "{removed}");
    let made = rig.try_run(&make(super::rig::id(99), d, "f", FileKind::File)).unwrap_err();
    assert!(made.to_string().contains("exists"), "{made}");
    // It was moved by hand: the volume lacks it where it belongs, and that is told.
    fs::rename(rig.dir.join("d/f"), rig.dir.join("d/g")).unwrap();
    assert!(matches!(rig.tree.child(d, b"g"), Err(Fault::Place { .. })));
    assert!(aside(&rig).is_empty());
}
