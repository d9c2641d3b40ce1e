//! Directories read page by page.

use rfs_model::client::DirEntry;
use rfs_model::op::Fate;
use rfs_model::{FileKind, InodeId};

use super::rig::{Rig, rename, unlink};
use crate::tree::{Page, Tree};

const ROOT: InodeId = InodeId::ROOT;

fn all(tree: &Tree, dir: InodeId, page: Page) -> Vec<DirEntry> {
    let (mut out, mut after) = (Vec::<DirEntry>::new(), Vec::new());
    loop {
        let (entries, end) = tree.readdir(dir, &after, false, page).unwrap().unwrap();
        assert!(entries.len() <= page.entries && (end || !entries.is_empty()));
        out.extend(entries);
        if end {
            return out;
        }
        after = out.last().unwrap().name.to_vec();
    }
}

#[test]
fn pages_are_in_the_order_of_bytes_and_complete() {
    let mut rig = Rig::new();
    let d = rig.make(ROOT, "d", FileKind::Dir);
    for i in 0..100 {
        rig.make(d, &format!("{}", (i * 37) % 100), FileKind::File);
    }
    for page in
        [Page { entries: 1, bytes: 1 }, Page { entries: 7, bytes: 9999 }, Page { entries: 1000, bytes: 100 }]
    {
        let names: Vec<_> = all(&rig.tree, d, page).into_iter().map(|e| e.name).collect();
        let mut sorted = names.clone();
        sorted.sort();
        assert_eq!((names.len(), &names), (100, &sorted));
    }
    let (plus, end) = rig.tree.readdir(d, b"98", true, Page { entries: 10, bytes: 10_000 }).unwrap().unwrap();
    assert_eq!((plus.len(), end), (1, true));
    assert_eq!(plus[0].attr.unwrap().id, plus[0].id);
    let f = plus[0].id;
    assert_eq!(rig.tree.readdir(f, b"", false, Page { entries: 1, bytes: 1 }).unwrap(), None);
}

#[test]
fn changes_between_pages_are_seen_without_another_scan() {
    let mut rig = Rig::new();
    let d = rig.make(ROOT, "d", FileKind::Dir);
    let ids: Vec<_> = (0..10).map(|i| rig.make(d, &format!("f{i}"), FileKind::File)).collect();
    let page = Page { entries: 3, bytes: 10_000 };
    assert_eq!(all(&rig.tree, d, page).len(), 10);
    rig.run(unlink(ids[5], d, "f5", Fate::Dies));
    rig.run(rename(ids[6], (d, "f6"), (d, "a")));
    let new = rig.make(d, "f55", FileKind::Symlink);
    // The scan is cached: a file that was put there behind the brick's back does not show.
    std::fs::write(rig.dir.join("d/foreign"), b"").unwrap();
    let names: Vec<_> = all(&rig.tree, d, page).iter().map(|e| e.name.clone()).collect();
    assert_eq!(names, ["a", "f0", "f1", "f2", "f3", "f4", "f55", "f7", "f8", "f9"]);
    assert_eq!(all(&rig.tree, d, page)[6].kind, FileKind::Symlink);
    assert_eq!(rig.tree.child(d, b"f55").unwrap(), Some(new));
    assert_eq!(rig.tree.child(d, b"f5").unwrap(), None);
}

#[test]
fn a_long_directory_is_scanned_on_a_thread_unless_it_changed() {
    let mut rig = Rig::new();
    let d = rig.make(ROOT, "d", FileKind::Dir);
    assert!(rig.tree.list_job(ROOT).unwrap().is_none());
    // tmpfs counts 20 bytes an entry, ext4 what the entries take.
    for i in 0..7_000 {
        rig.make(d, &format!("a-rather-long-name-{i:06}"), FileKind::File);
    }
    let job = rig.tree.list_job(d).unwrap().expect("it is long");
    let listed = std::thread::spawn(move || job.run()).join().unwrap().unwrap();
    rig.tree.listed(listed).unwrap();
    assert!(rig.tree.list_job(d).unwrap().is_none());
    assert_eq!(all(&rig.tree, d, Page { entries: 1000, bytes: 100_000 }).len(), 7_000);
    rig.tree.listings.borrow_mut().forget(d);
    let stale = rig.tree.list_job(d).unwrap().unwrap();
    rig.make(d, "new", FileKind::File);
    rig.tree.listed(stale.run().unwrap()).unwrap();
    assert_eq!(all(&rig.tree, d, Page { entries: 1000, bytes: 100_000 }).len(), 7_001);
}
