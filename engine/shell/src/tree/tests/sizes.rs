//! Sizes that records gave: a file that was cut behind the brick is noticed before it has sums, and by whoever comes.

use std::fs::{File, OpenOptions};
use std::time::{Duration, SystemTime};

use rfs_model::{FileKind, Index, InodeId, Op, SetAttr};

use super::rig::{Rig, make, write};
use crate::tree::testing::{Log, TERM};
use crate::tree::{Fault, Page, Rotten};

const ROOT: InodeId = InodeId::ROOT;
const BLOCK: u64 = 4096;

fn open(rig: &Rig, name: &str) -> File {
    OpenOptions::new().read(true).write(true).open(rig.dir.join(name)).unwrap()
}

fn is_rot<T>(result: &Result<T, Fault>) -> bool {
    matches!(result, Err(Fault::Rot { .. }))
}

/// A file of three and a bit blocks that has no sums, on the disk.
fn fresh() -> (Rig, InodeId) {
    let mut rig = Rig::new();
    let f = rig.make(ROOT, "f", FileKind::File);
    rig.run(write(f, 0, &[7; 3 * BLOCK as usize + 100]));
    rig.tree.tell_time(1_000_000, true);
    rig.tree.end_batch().unwrap();
    (rig, f)
}

fn repair(bad: &Rig, good: &Rig, f: InodeId) -> u32 {
    let given = good.tree.give(f, 0, bad.tree.rotten_in(f, 0).unwrap()).unwrap().unwrap();
    let mend = bad.tree.mend(f, 0, &given).unwrap().unwrap();
    bad.tree.mended(f, 0, &mend.run().unwrap()).unwrap()
}

#[test]
fn a_file_that_is_cut_before_it_has_sums_is_whole_again() {
    for len in [0, 1, BLOCK, BLOCK + 10, 3 * BLOCK, 3 * BLOCK + 99] {
        let ((bad, f), (good, _)) = (fresh(), fresh());
        open(&bad, "f").set_len(len).unwrap();
        assert!(is_rot(&bad.tree.read(f, 0, 1 << 20)), "{len}");
        assert!(is_rot(&bad.tree.reader(f, 0, 1 << 20).unwrap().unwrap().read()));
        assert!(is_rot(&bad.tree.seek(f, 0, true)));
        let size = |rig: &Rig| rig.tree.attr(f).unwrap().unwrap().size;
        assert_eq!(size(&bad), 3 * BLOCK + 100);
        assert_eq!(repair(&bad, &good, f), 4 - (len / BLOCK) as u32);
        assert_eq!(bad.tree.read(f, 0, 1 << 20).unwrap(), good.tree.read(f, 0, 1 << 20).unwrap());
        assert_eq!(open(&bad, "f").metadata().unwrap().len(), 3 * BLOCK + 100);
        assert_eq!(size(&bad), 3 * BLOCK + 100);
        bad.tree.take_rotten();
        // And once more.
        open(&bad, "f").set_len(len).unwrap();
        assert_eq!(size(&bad), 3 * BLOCK + 100);
        assert!(is_rot(&bad.tree.read(f, 0, 1 << 20)), "{len}");
    }
}

#[test]
fn a_listing_shows_the_size_that_a_file_was_given() {
    let (bad, f) = fresh();
    open(&bad, "f").set_len(2 * BLOCK).unwrap();
    let page = Page { entries: 10, bytes: 1 << 20 };
    let (entries, _) = bad.tree.readdir(ROOT, b"", true, page).unwrap().unwrap();
    assert_eq!(entries[0].attr.as_ref().unwrap().size, 3 * BLOCK + 100);
    assert_eq!(bad.tree.take_rotten(), [Rotten { id: f, block: 2 }, Rotten { id: f, block: 3 }]);
}

#[test]
fn sizes_outlive_a_checkpoint_and_follow_the_log() {
    let (mut rig, f) = fresh();
    rig.checkpoint(b"");
    rig.reopen();
    rig.tree.tell_time(0, true);
    assert!(rig.tree.read(f, 0, 1 << 20).is_ok());
    open(&rig, "f").set_len(BLOCK).unwrap();
    assert!(is_rot(&rig.tree.read(f, 0, 1 << 20)));

    let cut = Op::SetAttr { id: f, set: SetAttr { size: Some(10), ..SetAttr::default() } };
    let ops = [
        make(f, ROOT, "f", FileKind::File),
        write(f, 0, &[7; 3 * BLOCK as usize + 100]),
        cut,
        write(f, 50, b"end"),
    ];
    for op in &ops[2..] {
        rig.run(op.clone());
    }
    rig.tree.end_batch().unwrap();
    // The checkpoint has the old size, the disk what recovery makes the same as the log.
    let after = rig.reopen().index;
    rig.tree.tell_time(0, true);
    let through = Index(4);
    rig.tree.converge(through, TERM, &mut Log { ops: &ops, after, through }).unwrap();
    assert_eq!(rig.tree.attr(f).unwrap().unwrap().size, 53);
    assert_eq!(rig.tree.read(f, 0, 99).unwrap().unwrap().len(), 53);
    rig.tree.take_rotten();
    open(&rig, "f").set_len(52).unwrap();
    assert!(is_rot(&rig.tree.read(f, 0, 99)));
}

#[test]
fn a_name_that_is_made_again_does_not_touch_its_directory() {
    let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let pair = || {
        let mut rig = Rig::new();
        let d = rig.make(ROOT, "d", FileKind::Dir);
        let f = rig.make(d, "f", FileKind::File);
        rig.run(write(f, 0, b"text"));
        rig.tree.end_batch().unwrap();
        (rig, f)
    };
    let ((bad, f), (good, _)) = (pair(), pair());
    std::fs::remove_file(bad.dir.join("d/f")).unwrap();
    let dir = File::open(bad.dir.join("d")).unwrap();
    dir.set_modified(old).unwrap();
    assert!(!bad.tree.inspect(f).unwrap().unwrap().lines.is_empty());
    assert!(bad.tree.restore(&good.tree.meta(f).unwrap().unwrap()).unwrap());
    assert_eq!(dir.metadata().unwrap().modified().unwrap(), old);
    // Another file that stands there is set aside, which is no change either.
    std::fs::remove_file(bad.dir.join("d/f")).unwrap();
    std::fs::write(bad.dir.join("d/f"), "other").unwrap();
    dir.set_modified(old).unwrap();
    bad.tree.inspect(f).unwrap().unwrap();
    assert_eq!(dir.metadata().unwrap().modified().unwrap(), old);
}
