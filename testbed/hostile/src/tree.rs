//! A brick's directory on a real file system (needs root, as a brick does), with traps in it: symlinks that lead out of it, under names that
//! records use. A leader, a mount or the sender of a full copy says anything.
//!
//! Promises: no panic; nothing outside of the brick's directory is read into the volume, changed or removed; nothing in
//! `.rfs` changes but what the tree keeps there; a mount's question is no fault of the brick; a record or an item that
//! makes no sense is refused.

mod answers;
mod room;

use rfs_engine::tree::{Limits, RootAttr, Sink, Tree};
use rfs_model::ids::BrickId;
use rfs_model::label::{BrickState, Label};
use rfs_model::resync::{Body, Item};
use rfs_model::{Index, InodeId, NodeId, Term, Timestamp, VolumeId};

use crate::ops;
use crate::source::Source;
use room::Room;

const LABEL: Label = Label {
    state: BrickState::Live,
    volume: VolumeId([5; 16]),
    node: NodeId([1; 16]),
    brick: BrickId::NIL,
    set: 0,
};

/// The target.
///
/// # Panics
/// When a promise is broken.
pub fn run(data: &[u8]) {
    let mut source = Source::new(data);
    let room = Room::new();
    if source.below(4) == 0 {
        copied(&room, &mut source)
    } else {
        applied(&room, &mut source)
    }
    room.check();
}

fn applied(room: &Room, source: &mut Source<'_>) {
    let time = Timestamp { secs: 900, nanos: 9 };
    let root = RootAttr { mode: 0o755, uid: 0, gid: 0, time };
    let mut tree =
        Tree::create(&room.brick(), &Limits::default(), root, bytes::Bytes::new()).expect("a brick");
    room.set_traps();
    let mut known = vec![InodeId::ROOT];
    while !source.is_empty() {
        if source.below(3) == 0 {
            answers::ask(&tree, source, &known);
            continue;
        }
        let index = tree.applied().next();
        let new = InodeId { term: Term(1), index };
        let op = ops::op(source, new, &known);
        let stamped = ops::stamped(source, op);
        known.push(new);
        let unsound = stamped.problem().is_some();
        match tree.apply(index, Term(1), &stamped) {
            Ok(applied) => {
                assert!(!unsound, "an unsound record was carried out");
                applied.leftover.map(|leftover| leftover.run()).transpose().expect("a dead file goes");
            }
            // The brick stops: what a record could not do is not undone.
            Err(_) => break,
        }
    }
    let _ = tree.end_batch();
}

fn copied(room: &Room, source: &mut Source<'_>) {
    let begun = Sink::begin(&room.brick(), LABEL).and_then(|mut wipe| {
        while wipe.step()? {}
        Sink::new(&room.brick(), &Limits::default(), LABEL)
    });
    let mut sink = begun.expect("a copy begins");
    room.set_traps();
    let mut known = vec![InodeId::ROOT];
    let (mut inodes, mut bytes) = (0, 0);
    let first = Item::Begin { at: Index(9), term: Term(1), inodes: source.number(3) };
    let mut item = Some(first);
    while let Some(next) = item {
        inodes += u64::from(matches!(next, Item::Inode { .. }));
        bytes += if let Item::Data { data, .. } = &next { data.len() as u64 } else { 0 };
        if sink.take(next).is_err() || sink.is_done() {
            return;
        }
        item = (!source.is_empty()).then(|| piece(source, &mut known, inodes, bytes));
    }
}

/// Any piece of a copy, some of them as they should be.
fn piece(source: &mut Source<'_>, known: &mut Vec<InodeId>, inodes: u64, bytes: u64) -> Item {
    let new = InodeId { term: Term(1), index: Index(known.len() as u64 + 1) };
    let places = |source: &mut Source<'_>, known: &[InodeId]| {
        (0..source.below(3)).map(|_| (source.inode(known), source.name())).collect()
    };
    let id = if source.below(4) == 0 { source.inode(known) } else { *known.last().unwrap_or(&new) };
    match source.below(12) {
        0..6 => {
            let id = if source.below(6) == 0 { source.inode(known) } else { new };
            let places = places(source, known);
            known.push(id);
            let kind = ops::kind(source);
            let body = source.maybe(|source| Body {
                mode: source.small(0o755),
                uid: 0,
                gid: 0,
                rdev: 0,
                size: source.number(10),
                atime: Timestamp { secs: source.number(1) as i64, nanos: source.small(1) },
                mtime: Timestamp { secs: 1, nanos: 1 },
                target: ops::target(source, kind),
            });
            Item::Inode { id, kind, version: Index(1), ctime: Timestamp::default(), places, body }
        }
        6 => Item::Places { id, places: places(source, known) },
        7 if source.below(4) == 0 => Item::Rotten { id, block: source.number(5) },
        7..9 => Item::Data { id, offset: source.number(5), data: source.bytes(30) },
        9 => {
            let (name, value) = ops::xattr(source);
            Item::Xattr { id, name, value }
        }
        10 => Item::State { data: source.bytes(30) },
        _ if source.flag() => Item::End { until: Index(9), inodes, bytes },
        _ => Item::Begin { at: source.index(Index(9)), term: Term(1), inodes },
    }
}
