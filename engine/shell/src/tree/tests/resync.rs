//! Full copies, taken while writes go on.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use rfs_model::label::{BrickState, Label};
use rfs_model::op::{Allocate, Fate};
use rfs_model::resync::Item;
use rfs_model::{Decode, Encode, FileKind, Index, InodeId, NodeId, Op, VolumeId};

use super::rig::{Rig, id, make, name, scratch, unlink, write};
use crate::tree::testing::{Log, Model, Picture, ROOT_ATTR, TERM};
use crate::tree::{Checked, Copy, Fault, Lender, Lent, Limits, Sink, Source, Tree, read_label};

const ROOT: InodeId = InodeId::ROOT;
const LABEL: Label = Label {
    state: BrickState::Live,
    volume: VolumeId([1; 16]),
    node: NodeId([2; 16]),
    set: 0,
    brick: rfs_model::BrickId::NIL,
};

fn wipe(dir: &Path) {
    let mut wipe = Sink::begin(dir, LABEL).unwrap();
    while wipe.step().unwrap() {}
}

/// Takes a copy over a wire, and gives the index that must be reached.
fn copy(source: &mut Source, lender: &mut dyn Lender, dir: &Path) -> Index {
    wipe(dir);
    assert_eq!(read_label(dir).unwrap().unwrap().state, BrickState::Resyncing);
    let mut sink = Sink::new(dir, &Limits::default(), LABEL).unwrap();
    let mut until = Index::ZERO;
    source
        .run(lender, &mut |item| {
            if let Item::End { until: end, .. } = item {
                until = end;
            }
            let wire = Bytes::from(item.encoded());
            assert!(wire.len() < rfs_model::limits::FRAME_BYTES);
            sink.take(Item::from_all(&wire).unwrap())
        })
        .unwrap();
    assert!(sink.is_done());
    assert_eq!(sink.progress().inodes, sink.progress().total);
    assert_eq!(read_label(dir).unwrap().unwrap(), LABEL);
    until
}

fn converge(dir: &Path, ops: &[Op]) -> Tree {
    let mut tree = Tree::open(dir, &Limits::default()).unwrap();
    let through = Index(ops.len() as u64);
    let mut log = Log { ops, after: tree.applied(), through };
    tree.converge(through, TERM, &mut log).unwrap();
    tree.leftovers().unwrap().into_iter().for_each(|l| l.run().unwrap());
    tree
}

fn check(dir: &Path, tree: &Tree, model: &Model) {
    Picture::of_brick(dir).assert_is(&model.picture());
    model.picture().assert_index(tree);
}

struct Quiet<'a>(&'a Tree);

impl Lender for Quiet<'_> {
    fn lend(&mut self, id: InodeId) -> Result<Option<Lent>, Fault> {
        self.0.lend(id)
    }

    fn check(&mut self, id: InodeId, offset: u64, data: Bytes) -> Result<Checked, Fault> {
        self.0.check_copied(id, offset, data)
    }

    fn applied(&mut self) -> Result<Index, Fault> {
        Ok(self.0.applied())
    }
}

#[test]
fn holes_links_attributes_and_orphans_are_copied() {
    let mut rig = Rig::new();
    let d = rig.make(ROOT, "d", FileKind::Dir);
    let f = rig.make(d, "f", FileKind::File);
    rig.run(write(f, (5 << 20) + 3, &[7; 100_000]));
    rig.run(Op::Allocate { id: f, range: Allocate { mode: 3, offset: 5 << 20, len: 8192 } });
    rig.run(write(f, 3, b"start"));
    for i in 0..1500 {
        rig.run(Op::Link { id: f, parent: ROOT, name: name(&format!("link{i}")) });
    }
    rig.run(Op::SetXattr { id: f, name: name("security.capability"), value: capability() });
    rig.run(Op::SetXattr { id: ROOT, name: name("user.root"), value: name("yes") });
    let orphan = rig.make(d, "o", FileKind::File);
    rig.run(write(orphan, 0, b"orphan"));
    rig.run(unlink(orphan, d, "o", Fate::Orphan));
    rig.check();
    let state: &'static [u8] = vec![5; 2_500_000].leak();
    rig.checkpoint(state);
    let target = scratch();
    let dir = target.path().join("brick");
    let mut source = rig.tree.copy_source().unwrap();
    assert_eq!(source.at(), rig.tree.applied());
    copy(&mut source, &mut Quiet(&rig.tree), &dir);
    let tree = Tree::open(&dir, &Limits::default()).unwrap();
    check(&dir, &tree, &rig.model);
    assert_eq!(tree.checkpoint().unwrap().state, state);
    let blocks = |tree: &Tree| tree.attr(f).unwrap().unwrap().blocks;
    assert!(blocks(&tree) <= blocks(&rig.tree) + 16, "{} {}", blocks(&tree), blocks(&rig.tree));
}

/// A file capability: cap_net_raw, permitted and effective.
fn capability() -> Bytes {
    let mut value = vec![1, 0, 0, 2, 0, 32, 0, 0];
    value.resize(20, 0);
    value.into()
}

#[test]
fn children_may_come_before_their_directories() {
    let mut rig = Rig::new();
    let f = rig.make(ROOT, "f", FileKind::File);
    let a = rig.make(ROOT, "a", FileKind::Dir);
    let b = rig.make(ROOT, "b", FileKind::Dir);
    rig.run(super::rig::rename(f, (ROOT, "f"), (b, "f")));
    rig.run(super::rig::rename(a, (ROOT, "a"), (b, "a")));
    rig.checkpoint(b"");
    let target = scratch();
    let dir = target.path().join("brick");
    copy(&mut rig.tree.copy_source().unwrap(), &mut Quiet(&rig.tree), &dir);
    check(&dir, &Tree::open(&dir, &Limits::default()).unwrap(), &rig.model);
}

#[test]
fn recovery_that_ends_before_what_the_copy_has_seen_is_refused() {
    let mut rig = Rig::new();
    let f = rig.make(ROOT, "f", FileKind::File);
    rig.checkpoint(b"");
    let mut source = rig.tree.copy_source().unwrap();
    rig.run(write(f, 0, b"later"));
    let target = scratch();
    let dir = target.path().join("brick");
    assert_eq!(copy(&mut source, &mut Quiet(&rig.tree), &dir), Index(2));
    let ops = vec![make(id(1), ROOT, "f", FileKind::File), write(f, 0, b"later")];
    let mut tree = Tree::open(&dir, &Limits::default()).unwrap();
    let mut short = Log { ops: &ops, after: Index(1), through: Index(1) };
    let refused = tree.converge(Index(1), TERM, &mut short);
    assert!(matches!(refused, Err(Fault::Short { floor: Index(2), end: Index(1) })));
    drop(tree);
    check(&dir, &converge(&dir, &ops), &rig.model);
}

#[test]
fn a_copy_that_was_cut_short_starts_over() {
    let mut rig = Rig::new();
    let d = rig.make(ROOT, "d", FileKind::Dir);
    for i in 0..20 {
        let f = rig.make(d, &format!("f{i}"), FileKind::File);
        rig.run(write(f, i, b"data"));
    }
    rig.checkpoint(b"");
    let target = scratch();
    let dir = target.path().join("brick");
    for stop in [0, 1, 2, 3, 10, 30, 43] {
        wipe(&dir);
        let mut sink = Sink::new(&dir, &Limits::default(), LABEL).unwrap();
        let mut left = stop;
        let cut = rig.tree.copy_source().unwrap().run(&mut Quiet(&rig.tree), &mut |item| {
            if left == 0 {
                return Err(Fault::Copy("cut".into()));
            }
            left -= 1;
            sink.take(item)
        });
        assert!(matches!(cut, Err(Fault::Copy(_))), "{stop}");
        assert_eq!(read_label(&dir).unwrap().unwrap().state, BrickState::Resyncing);
    }
    copy(&mut rig.tree.copy_source().unwrap(), &mut Quiet(&rig.tree), &dir);
    check(&dir, &Tree::open(&dir, &Limits::default()).unwrap(), &rig.model);
}

/// A sink that has got `Begin`, and where it is.
fn begun() -> (Sink, PathBuf, tempfile::TempDir) {
    let target = scratch();
    let dir = target.path().join("brick");
    wipe(&dir);
    let mut sink = Sink::new(&dir, &Limits::default(), LABEL).unwrap();
    sink.take(Item::Begin { at: Index(1), term: TERM, inodes: 1 }).unwrap();
    (sink, dir, target)
}

fn bare(id: InodeId, kind: FileKind, places: &[(InodeId, &'static [u8])]) -> Item {
    let places = places.iter().map(|(parent, name)| (*parent, Bytes::from_static(name))).collect();
    Item::Inode { id, kind, version: Index(1), ctime: ROOT_ATTR.time, places, body: None }
}

#[test]
fn what_does_not_make_a_tree_is_refused() {
    let (f, dir) = (FileKind::File, FileKind::Dir);
    let table: Vec<Vec<Item>> = vec![
        vec![Item::Begin { at: Index(1), term: TERM, inodes: 1 }],
        vec![bare(id(1), f, &[(ROOT, b"a/b")])],
        vec![bare(id(1), f, &[(ROOT, b"..")])],
        vec![bare(id(1), f, &[(ROOT, b".rfs")])],
        vec![bare(ROOT, dir, &[(ROOT, b"root")])],
        vec![bare(id(1), f, &[(ROOT, b"a")]), bare(id(1), f, &[(ROOT, b"b")])],
        vec![bare(id(2), dir, &[(ROOT, b"a"), (ROOT, b"b")])],
        vec![bare(id(1), f, &[(id(2), b"a")]), bare(id(2), f, &[(ROOT, b"b")])],
        vec![bare(id(1), f, &[(ROOT, b"a")]), Item::Data { id: id(2), offset: 0, data: name("x") }],
        vec![Item::End { until: Index(1), inodes: 1, bytes: 0 }],
        vec![bare(ROOT, dir, &[]), Item::End { until: Index(0), inodes: 1, bytes: 0 }],
        vec![bare(ROOT, dir, &[]), Item::End { until: Index(1), inodes: 1, bytes: 7 }],
    ];
    for (row, items) in table.into_iter().enumerate() {
        let (mut sink, dir, _keep) = begun();
        let results: Vec<_> = items.into_iter().map(|item| sink.take(item)).collect();
        let (last, before) = results.split_last().unwrap();
        assert!(before.iter().all(Result::is_ok), "row {row}: {before:?}");
        assert!(matches!(last, Err(Fault::Copy(_))), "row {row}: {last:?}");
        assert_eq!(read_label(&dir).unwrap().unwrap().state, BrickState::Resyncing);
    }
}

#[test]
fn copies_are_made_on_threads() {
    fn is_send<T: Send>() {}
    is_send::<Source>();
    is_send::<Sink>();
    is_send::<Copy>();
    is_send::<Lent>();
    is_send::<Tree>();
    is_send::<crate::tree::CheckpointJob>();
    is_send::<crate::tree::Wipe>();
}

#[test]
fn a_rotten_block_is_not_copied_as_if_it_were_whole() {
    let mut rig = Rig::new();
    let f = rig.make(ROOT, "f", FileKind::File);
    rig.run(write(f, 0, &[7; 3 * 4096]));
    rig.tree.tell_time(60_000_000, true);
    let job = rig.tree.sum_job().unwrap().unwrap();
    rig.tree.sums_done(Some(job.run().unwrap())).unwrap();
    rig.checkpoint(b"");
    let file = std::fs::OpenOptions::new().write(true).open(rig.dir.join("f")).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"x", 4096).unwrap();
    let temp = scratch();
    let mut source = rig.tree.copy_source().unwrap();
    let _ = copy(&mut source, &mut Quiet(&rig.tree), temp.path());
    let tree = Tree::open(temp.path(), &Limits::default()).unwrap();
    assert_eq!(tree.read(f, 0, 4096).unwrap().unwrap(), vec![7; 4096]);
    assert_eq!(tree.read(f, 8192, 4096).unwrap().unwrap(), vec![7; 4096]);
    assert!(matches!(tree.read(f, 4096, 1), Err(Fault::Rot { offset: 4096, .. })));
    assert_eq!(tree.rotten_in(f, 0).unwrap(), 0b10);
}

#[test]
fn a_file_that_was_cut_is_not_copied_as_if_it_were_whole() {
    let mut rig = Rig::new();
    let f = rig.make(ROOT, "f", FileKind::File);
    rig.run(write(f, 0, &[7; 3 * 4096]));
    rig.tree.tell_time(1_000_000, true);
    rig.checkpoint(b"");
    let file = std::fs::OpenOptions::new().write(true).open(rig.dir.join("f")).unwrap();
    file.set_len(5000).unwrap();
    let temp = scratch();
    let mut source = rig.tree.copy_source().unwrap();
    let _ = copy(&mut source, &mut Quiet(&rig.tree), temp.path());
    let tree = Tree::open(temp.path(), &Limits::default()).unwrap();
    assert_eq!(tree.attr(f).unwrap().unwrap().size, 3 * 4096);
    assert_eq!(tree.read(f, 0, 4096).unwrap().unwrap(), vec![7; 4096]);
    assert_eq!(tree.rotten_in(f, 0).unwrap(), 0b110);
}
