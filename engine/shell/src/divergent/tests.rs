//! A tail set aside, and compared with what the volume has. Needs root and `trusted.*` attributes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use bytes::Bytes;
use rfs_model::codec::Encode;
use rfs_model::config::Position;
use rfs_model::op::Fate;
use rfs_model::{FileKind, Index, InodeId, Op, Record, RecordKind};

use super::{Records, Tail, forget, rows, set_aside, settle};
use crate::tree::Fault;
use crate::tree::testing::{TERM, stamped};
use crate::tree::tests::rig::{Rig, make};

struct Log(Vec<Record>);

impl Records for Log {
    fn each(&mut self, from: Index, each: &mut dyn FnMut(&Record) -> Result<(), Fault>) -> Result<(), Fault> {
        self.0.iter().filter(|record| record.meta.index >= from).try_for_each(each)
    }
}

/// A brick, and the log that made it.
struct Brick {
    rig: Rig,
    log: Log,
}

impl Brick {
    fn new() -> Self {
        Self { rig: Rig::new(), log: Log(Vec::new()) }
    }

    fn run(&mut self, op: Op) -> Index {
        let index = self.rig.run(op.clone());
        let payload = stamped(index, op).encoded().into();
        self.log.0.push(Record::new(index, TERM, RecordKind::Op, 0, payload));
        index
    }

    fn make(&mut self, parent: InodeId, name: &str, kind: FileKind) -> InodeId {
        let id = InodeId { term: TERM, index: self.rig.tree.applied().next() };
        self.run(make(id, parent, name, kind));
        id
    }

    fn write(&mut self, id: InodeId, text: &'static str) {
        self.run(Op::Write { id, offset: 0, data: Bytes::from_static(text.as_bytes()) });
    }

    fn unlink(&mut self, id: InodeId, parent: InodeId, name: &'static str) {
        self.run(Op::Unlink { id, parent, name: name.into(), fate: Fate::Dies });
    }

    /// Sets aside all after `common`, and puts the files aside that a copy would replace.
    fn abandon(&mut self, common: Index) -> Tail {
        self.rig.tree.end_batch().unwrap();
        let last = Position::new(TERM, self.rig.tree.applied());
        let tail = Tail { common, base: Index::ZERO, last };
        set_aside(&self.rig.tree, &tail, &mut self.log).unwrap();
        tail
    }

    fn dir(&self) -> &Path {
        &self.rig.dir
    }

    fn listed(&self) -> Vec<(String, String)> {
        rows(self.dir(), "s:/b").unwrap().into_iter().map(|row| (row.path, row.did)).collect()
    }
}

/// What a full copy makes of a file: another inode.
fn replace(path: &Path, text: &str) {
    let mode = fs::metadata(path).unwrap().permissions().mode();
    fs::remove_file(path).unwrap();
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn pairs(all: &[(&str, &str)]) -> Vec<(String, String)> {
    all.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
}

#[test]
fn what_differs_is_kept_with_its_content_and_what_does_not_is_dropped() {
    let mut brick = Brick::new();
    let dir = brick.make(InodeId::ROOT, "dir", FileKind::Dir);
    let old = brick.make(dir, "old", FileKind::File);
    brick.write(old, "one");
    let gone = brick.make(InodeId::ROOT, "gone", FileKind::File);
    let moved = brick.make(InodeId::ROOT, "here", FileKind::File);
    let alike = brick.make(InodeId::ROOT, "alike", FileKind::File);
    brick.make(InodeId::ROOT, "untouched", FileKind::File);
    let common = brick.rig.tree.applied();
    brick.write(old, "two");
    brick.write(alike, "the same");
    brick.unlink(gone, InodeId::ROOT, "gone");
    brick.run(Op::Rename {
        id: moved,
        from: InodeId::ROOT,
        from_name: "here".into(),
        to: dir,
        to_name: "there".into(),
        replaced: InodeId::NIL,
        fate: Fate::Stays,
    });
    let fresh = brick.make(dir, "new", FileKind::File);
    brick.write(fresh, "three");
    let fleeting = brick.make(dir, "fleeting", FileKind::File);
    brick.unlink(fleeting, dir, "fleeting");
    let tail = brick.abandon(common);
    // The volume's: `old` with its first content, no `new`, `gone` and `here` in their places.
    let root = brick.dir().to_owned();
    replace(&root.join("dir/old"), "one");
    replace(&root.join("alike"), "the same");
    fs::remove_file(root.join("dir/new")).unwrap();
    fs::remove_file(root.join("dir/there")).unwrap();
    fs::write(root.join("gone"), "").unwrap();
    fs::write(root.join("here"), "").unwrap();
    let untouched = settle(&root, |at| at == tail.last).unwrap();
    assert_eq!(untouched, (0, 0), "while the tail is in the log, the tree is the old one");
    assert_eq!(settle(&root, |_| false).unwrap(), (5, 6));
    let want = [
        ("/dir/new", "created"),
        ("/dir/old", "changed"),
        ("/dir/there", "renamed"),
        ("/gone", "removed"),
        ("/here", "removed"),
    ];
    assert_eq!(brick.listed(), pairs(&want));
    let copies = rows(&root, "s:/b").unwrap();
    let read = |n: usize| fs::read_to_string(copies[n].copy.as_ref().unwrap()).unwrap();
    assert_eq!((read(0), read(1), read(2)), ("three".into(), "two".into(), String::new()));
    let copy = copies[1].copy.clone().unwrap();
    assert!(rustix::fs::getxattr(&*copy, "trusted.rfs.id", &mut [0; 64][..]).is_err(), "a plain file");
    let home = root.join(".rfs/divergent").join(format!("0.{}-{}", TERM.number(), tail.last.index));
    let records = fs::metadata(home.join("records")).unwrap().len();
    let stored: usize = brick.log.0.iter().filter(|r| r.meta.index > common).map(|r| r.encoded().len()).sum();
    assert_eq!(records, stored as u64);
    assert_eq!(forget(&root).unwrap(), 5);
    assert_eq!(brick.listed(), []);
}

#[test]
fn nothing_is_left_of_a_tail_that_the_volume_has_too() {
    let mut brick = Brick::new();
    let common = brick.rig.tree.applied();
    let file = brick.make(InodeId::ROOT, "file", FileKind::File);
    brick.write(file, "same");
    brick.abandon(common);
    let root = brick.dir().to_owned();
    assert!(forget(&root).is_err(), "not before it was compared");
    replace(&root.join("file"), "same");
    assert_eq!(settle(&root, |_| false).unwrap(), (0, 1));
    assert_eq!(fs::read_dir(root.join(".rfs/divergent")).unwrap().count(), 0);
}

#[test]
fn an_attempt_that_broke_off_is_made_anew() {
    let mut brick = Brick::new();
    let file = brick.make(InodeId::ROOT, "file", FileKind::File);
    let common = brick.rig.tree.applied();
    brick.write(file, "text");
    let tail = brick.abandon(common);
    let home = brick.dir().join(".rfs/divergent").join(format!("0.{}-{}", TERM.number(), tail.last.index));
    fs::remove_file(home.join("list.json")).unwrap();
    assert_eq!(brick.listed(), [], "one without a list was not finished");
    brick.abandon(common);
    assert_eq!(brick.listed(), pairs(&[("/file", "changed")]));
}

/// The log does not reach back to the common record: the index knows what was changed since.
#[test]
fn a_tail_that_the_log_has_lost_a_part_of() {
    let mut brick = Brick::new();
    let kept = brick.make(InodeId::ROOT, "kept", FileKind::File);
    let common = brick.rig.tree.applied();
    let lost = brick.make(InodeId::ROOT, "lost", FileKind::File);
    brick.write(lost, "x");
    let base = brick.rig.tree.applied();
    brick.write(kept, "y");
    brick.rig.checkpoint(b"state");
    let last = Position::new(TERM, brick.rig.tree.applied());
    set_aside(&brick.rig.tree, &Tail { common, base, last }, &mut brick.log).unwrap();
    assert_eq!(brick.listed(), pairs(&[("/kept", "changed"), ("/lost", "changed")]));
}
