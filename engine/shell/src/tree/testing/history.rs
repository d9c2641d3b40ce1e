//! Random histories: operations that a leader would have admitted, one seed each.

use bytes::Bytes;
use rfs_core::acl::Acl;
use rfs_model::op::{Allocate, Fate};
use rfs_model::{FileKind, Index, InodeId, Op, SetAttr};

use super::dice::Dice;
use super::log::{TERM, time};
use super::model::{CAPABILITY, Model};
use super::picture::Node;
use crate::tree::layout::{ACL_ACCESS, ACL_DEFAULT};

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "\u{f6}\n\t"];
const KINDS: [FileKind; 10] = [
    FileKind::File,
    FileKind::File,
    FileKind::Dir,
    FileKind::Dir,
    FileKind::File,
    FileKind::Symlink,
    FileKind::Fifo,
    FileKind::CharDevice,
    FileKind::BlockDevice,
    FileKind::Socket,
];
/// Modes of allocation that are admitted: plain, and with the size kept; a hole; zeros, and with the size kept.
const ALLOCATIONS: [u32; 5] = [0, 1, 3, 16, 17];

/// The next operation of a history, at `index`: one that a leader would admit.
#[must_use]
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
    let mode = [0o644, 0o755, 0o4755, 0o1777, 0][dice.below(5)];
    let listed = kind != FileKind::Symlink && dice.chance(15);
    let device = matches!(kind, FileKind::CharDevice | FileKind::BlockDevice);
    Some(Op::Make {
        id: InodeId { term: TERM, index },
        parent,
        name,
        kind,
        mode: if kind == FileKind::Symlink { 0o777 } else { mode },
        uid: [0, 1000][dice.below(2)],
        gid: [0, 100][dice.below(2)],
        rdev: if device { 0x0103 } else { 0 },
        target: if kind == FileKind::Symlink { Bytes::from_static(b"../x") } else { Bytes::new() },
        acl_access: if listed { list(mode, dice) } else { Bytes::new() },
        acl_default: if listed && kind == FileKind::Dir { list(0o750, dice) } else { Bytes::new() },
    })
}

/// An access list that shows `mode` and says more than it.
fn list(mode: u32, dice: &mut Dice) -> Bytes {
    let rows = [(1, 7, u32::MAX), (2, 7, 1000 + dice.below(3) as u32), (4, 5, u32::MAX), (16, 7, u32::MAX)];
    let mut value = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions, who) in rows.into_iter().chain([(32, 0, u32::MAX)]) {
        value.extend_from_slice(&u16::to_le_bytes(tag));
        value.extend_from_slice(&u16::to_le_bytes(permissions));
        value.extend_from_slice(&u32::to_le_bytes(who));
    }
    let list = Acl::parse(&value).ok().flatten().expect("a well-formed list");
    list.with_mode(mode).to_bytes()
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
    let ((from, from_name), (to, to_name)) = (from, to);
    Some(Op::Rename { id, from, from_name, to, to_name, replaced, fate })
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
            let data = vec![dice.draw() as u8 | 1; 1 + dice.below(5000)];
            let end = node.data.len();
            let offset = if dice.chance(30) && end < 16_000 { end } else { dice.below(9000) };
            Some(Op::Write { id, offset: offset as u64, data: data.into() })
        }
        5 if file => {
            let (offset, len) = (dice.below(9000) as u64, 1 + dice.below(5000) as u64);
            let mode = ALLOCATIONS[dice.below(ALLOCATIONS.len())];
            Some(Op::Allocate { id, range: Allocate { mode, offset, len } })
        }
        6 if file => {
            let set = SetAttr { size: Some(dice.below(9000) as u64), ..SetAttr::default() };
            Some(Op::SetAttr { id, set })
        }
        7 => Some(Op::SetAttr { id, set: some_attrs(node, index, dice) }),
        8 => some_xattr(id, node.kind, dice),
        9 => {
            let names: Vec<_> = node.xattrs.keys().cloned().collect();
            dice.pick(&names).map(|name| Op::RemoveXattr { id, name: name.clone() })
        }
        _ => None,
    }
}

fn some_attrs(node: &Node, index: Index, dice: &mut Dice) -> SetAttr {
    let mode = [0o600, 0o4711, 0o2755, 0o640][dice.below(4)];
    let mut set = SetAttr::default();
    if node.kind != FileKind::Symlink && dice.chance(70) {
        set.mode = Some(mode);
    }
    if dice.chance(50) {
        (set.uid, set.gid) = (Some(dice.below(3) as u32), Some(dice.below(3) as u32));
        let kept = !matches!(node.kind, FileKind::Dir | FileKind::Symlink) && node.mode & 0o6000 != 0;
        set.mode = set.mode.or(kept.then_some(node.mode));
    }
    if dice.chance(50) {
        set.mtime = Some(time(Index(index.0 + 5000)));
        set.atime = Some(time(Index(index.0 + 6000)));
    }
    set
}

fn some_xattr(id: InodeId, kind: FileKind, dice: &mut Dice) -> Option<Op> {
    let (file, dir) = (kind == FileKind::File, kind == FileKind::Dir);
    let short = Bytes::from(vec![dice.draw() as u8; dice.below(100)]);
    let (name, value) = match dice.below(10) {
        0..2 if kind != FileKind::Symlink => (ACL_ACCESS, list([0o640, 0o755, 0][dice.below(3)], dice)),
        2..4 if dir => (ACL_DEFAULT, list(0o750, dice)),
        2 if file => (CAPABILITY, capability()),
        4..7 if file || dir => (&b"user.y"[..], short),
        _ if file || dir => (&b"user.x"[..], short),
        _ => (&b"trusted.x"[..], short),
    };
    Some(Op::SetXattr { id, name: Bytes::from_static(name), value })
}

/// cap_net_raw, permitted and effective.
fn capability() -> Bytes {
    let mut value = vec![1, 0, 0, 2, 0, 32, 0, 0];
    value.resize(20, 0);
    value.into()
}
