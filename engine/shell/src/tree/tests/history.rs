//! Random histories: operations that a leader would have admitted, one seed each.

use bytes::Bytes;
use rfs_model::op::{Allocate, Fate};
use rfs_model::{FileKind, Index, InodeId, Op, SetAttr};

use super::model::Model;
use super::rig::{TERM, rename_over, time};

/// splitmix64.
#[derive(Clone, Debug)]
pub struct Dice(pub u64);

impl Dice {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    pub fn chance(&mut self, percent: u64) -> bool {
        self.next() % 100 < percent
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        if from.is_empty() { None } else { Some(&from[self.below(from.len())]) }
    }
}

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "\u{f6}\n\t"];
const KINDS: [FileKind; 7] = [
    FileKind::File,
    FileKind::Dir,
    FileKind::Dir,
    FileKind::File,
    FileKind::Symlink,
    FileKind::Fifo,
    FileKind::CharDevice,
];

/// The next operation of a history, at `index`.
pub fn next_op(model: &Model, index: Index, dice: &mut Dice) -> Op {
    loop {
        let choice = dice.below(100);
        let op = match choice {
            0..30 => make(model, index, dice),
            30..37 => link(model, dice),
            37..52 => unlink(model, dice),
            52..68 => rename(model, dice),
            68..71 => exchange(model, dice),
            71..73 => reap(model, dice),
            _ => inside(model, index, dice),
        };
        if let Some(op) = op {
            return op;
        }
    }
}

type Name = (InodeId, Bytes);

fn of_kind(model: &Model, dice: &mut Dice, dir: bool) -> Option<InodeId> {
    let ids: Vec<_> =
        model.nodes.iter().filter(|(_, n)| (n.kind == FileKind::Dir) == dir).map(|(id, _)| *id).collect();
    dice.pick(&ids).copied()
}

/// A directory with a name: an orphaned one takes no entries.
fn some_dir(model: &Model, dice: &mut Dice) -> InodeId {
    loop {
        let id = of_kind(model, dice, true).unwrap();
        if id == InodeId::ROOT || model.slots.values().any(|v| *v == id) {
            return id;
        }
    }
}

fn some_name(model: &Model, dice: &mut Dice) -> Option<(Name, InodeId)> {
    let all: Vec<_> = model.slots.iter().map(|(k, v)| (k.clone(), *v)).collect();
    dice.pick(&all).cloned()
}

fn any_slot(model: &Model, dice: &mut Dice) -> Name {
    let name = NAMES[dice.below(NAMES.len())];
    (some_dir(model, dice), Bytes::from_static(name.as_bytes()))
}

fn free_slot(model: &Model, dice: &mut Dice) -> Option<Name> {
    let slot = any_slot(model, dice);
    (!model.slots.contains_key(&slot)).then_some(slot)
}

fn make(model: &Model, index: Index, dice: &mut Dice) -> Option<Op> {
    let (parent, name) = free_slot(model, dice)?;
    let kind = KINDS[dice.below(KINDS.len())];
    Some(Op::Make {
        id: InodeId { term: TERM, index },
        parent,
        name,
        kind,
        mode: if kind == FileKind::Symlink {
            0o777
        } else {
            [0o644, 0o755, 0o4755, 0o1777, 0][dice.below(5)]
        },
        uid: [0, 1000][dice.below(2)],
        gid: [0, 100][dice.below(2)],
        rdev: if kind == FileKind::CharDevice { 0x0103 } else { 0 },
        target: if kind == FileKind::Symlink { Bytes::from_static(b"../x") } else { Bytes::new() },
        acl_access: Bytes::new(),
        acl_default: Bytes::new(),
    })
}

fn link(model: &Model, dice: &mut Dice) -> Option<Op> {
    let (_, id) = some_name(model, dice)?;
    let (parent, name) = free_slot(model, dice)?;
    (model.nodes[&id].kind != FileKind::Dir).then_some(Op::Link { id, parent, name })
}

/// What becomes of an inode that loses one name; `None` when a directory cannot go.
fn fate(model: &Model, id: InodeId, dice: &mut Dice) -> Option<Fate> {
    if model.slots.keys().any(|(parent, _)| *parent == id) {
        return None;
    }
    let last = model.names_of(id).len() == 1;
    Some(match last {
        false => Fate::Stays,
        true if dice.chance(30) => Fate::Orphan,
        true => Fate::Dies,
    })
}

fn unlink(model: &Model, dice: &mut Dice) -> Option<Op> {
    let ((parent, name), id) = some_name(model, dice)?;
    let fate = fate(model, id, dice)?;
    Some(Op::Unlink { id, parent, name, fate })
}

/// Whether `dir` is `above` or below it.
fn inside_of(model: &Model, dir: InodeId, above: InodeId) -> bool {
    let mut at = dir;
    while at != above {
        match model.names_of(at).first() {
            Some((parent, _)) => at = *parent,
            None => return false,
        }
    }
    true
}

fn rename(model: &Model, dice: &mut Dice) -> Option<Op> {
    let (from, id) = some_name(model, dice)?;
    let to = any_slot(model, dice);
    let dir = model.nodes[&id].kind == FileKind::Dir;
    if dir && inside_of(model, to.0, id) {
        return None;
    }
    let (replaced, fate) = match model.slots.get(&to) {
        None => (InodeId::NIL, Fate::Stays),
        Some(old) if *old == id || (model.nodes[old].kind == FileKind::Dir) != dir => return None,
        Some(old) => (*old, fate(model, *old, dice)?),
    };
    let text = |b: &Bytes| String::from_utf8(b.to_vec()).unwrap();
    Some(rename_over(id, (from.0, &text(&from.1)), (to.0, &text(&to.1)), replaced, fate))
}

fn exchange(model: &Model, dice: &mut Dice) -> Option<Op> {
    let (from, id) = some_name(model, dice)?;
    let (to, other) = some_name(model, dice)?;
    if id == other || inside_of(model, to.0, id) || inside_of(model, from.0, other) {
        return None;
    }
    Some(Op::Exchange { id, from: from.0, from_name: from.1, other, to: to.0, to_name: to.1 })
}

fn reap(model: &Model, dice: &mut Dice) -> Option<Op> {
    let orphans: Vec<_> = model
        .nodes
        .keys()
        .filter(|id| **id != InodeId::ROOT && model.names_of(**id).is_empty())
        .copied()
        .collect();
    dice.pick(&orphans).map(|id| Op::Reap { id: *id })
}

/// An operation on one inode.
fn inside(model: &Model, index: Index, dice: &mut Dice) -> Option<Op> {
    let dir = dice.chance(20);
    let id = of_kind(model, dice, dir)?;
    let node = &model.nodes[&id];
    let file = node.kind == FileKind::File;
    match dice.below(10) {
        0..5 if file => {
            let data = vec![dice.next() as u8 | 1; 1 + dice.below(5000)];
            Some(Op::Write { id, offset: dice.below(9000) as u64, data: data.into() })
        }
        5 if file => {
            let range = |mode| Allocate {
                mode,
                offset: dice.clone().below(9000) as u64,
                len: 1 + dice.clone().below(5000) as u64,
            };
            Some(Op::Allocate { id, range: range([0, 1, 3][dice.clone().below(3)]) })
        }
        6 if file => {
            let set = SetAttr { size: Some(dice.below(9000) as u64), ..SetAttr::default() };
            Some(Op::SetAttr { id, set })
        }
        7 => Some(Op::SetAttr { id, set: some_attrs(node.kind, index, dice) }),
        8 => {
            let name = if file || node.kind == FileKind::Dir { &b"user.x"[..] } else { b"trusted.x" };
            let value = Bytes::from(vec![dice.next() as u8; dice.below(100)]);
            Some(Op::SetXattr { id, name: Bytes::copy_from_slice(name), value })
        }
        9 => {
            let names: Vec<_> = node.xattrs.keys().cloned().collect();
            dice.pick(&names).map(|name| Op::RemoveXattr { id, name: name.clone() })
        }
        _ => None,
    }
}

fn some_attrs(kind: FileKind, index: Index, dice: &mut Dice) -> SetAttr {
    let mode = [0o600, 0o4711, 0o2755, 0o640][dice.below(4)];
    let mut set = SetAttr::default();
    if kind != FileKind::Symlink {
        set.mode = Some(mode);
    }
    if dice.chance(50) {
        (set.uid, set.gid) = (Some(dice.below(3) as u32), Some(dice.below(3) as u32));
    }
    if dice.chance(50) {
        set.mtime = Some(time(Index(index.0 + 5000)));
        set.atime = Some(time(Index(index.0 + 6000)));
    }
    set
}
