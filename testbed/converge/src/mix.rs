//! Crash states. A power loss keeps, of what was not synced, any part that is closed under dependence:
//!
//! - an entry needs its inode, and the directory that it is in;
//! - one name is given again only when its last holder has left it, and a move is one change: so the changes of one inode's
//!   names are kept up to a time, and those that stand in its way are kept too;
//! - a directory is in one place, and not below itself;
//! - an inode without identity (a torn create) is empty: the identity is set before anything else.
//!
//! All else is free: data of each sector, the size, each attribute are as of any time, in any combination.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use rfs_engine::tree::testing::{Dice, LIMBO, Node, ORPHANS, Picture, torn};
use rfs_model::{FileKind, InodeId};

use crate::timeline::{Life, Slot, Timeline};

const PAGE: usize = 4096;
const SECTOR: usize = 512;

/// How much a crash loses.
#[derive(Clone, Copy, Debug)]
pub struct Loss {
    /// States before this one were synced: nothing of it is lost.
    pub synced: usize,
    /// The last state of which anything is kept.
    pub last: usize,
}

/// What the disk itself shows without identity is numbered otherwise: one number is one inode.
const LOST_HERE: u64 = 1 << 63;

/// The times up to which each inode's names are kept.
type Times = BTreeMap<InodeId, usize>;

/// One crash state.
#[must_use]
pub fn mix(timeline: &Timeline, loss: Loss, dice: &mut Dice) -> Picture {
    let mut times = choose(timeline, loss, dice);
    let up = dice.chance(50);
    while let Some(conflict) = conflict(timeline, &times) {
        resolve(timeline, &mut times, &conflict, loss, up);
    }
    let mut picture = Picture { nodes: BTreeMap::new(), slots: BTreeMap::new() };
    let parents: BTreeSet<InodeId> = slots(timeline, &times).map(|((parent, _), _)| *parent).collect();
    let orderly = dice.chance(20);
    for (id, life) in &timeline.lives {
        let time = times[id];
        let names = life.names_at(time);
        if names.is_empty() && *id != InodeId::ROOT {
            if died_as_file(life, time) && dice.chance(10) {
                picture.slots.insert((LIMBO, id.to_string().into()), *id);
                picture.nodes.insert(*id, blend(life, loss, dice));
            }
            continue;
        }
        let (id, node) = if may_be_torn(life, time) && !parents.contains(id) && dice.chance(25) {
            (torn(id.index.0 | LOST_HERE), bare(&life.nodes[0].1))
        } else if orderly {
            (*id, as_of(life, time).clone())
        } else {
            (*id, blend(life, loss, dice))
        };
        picture.slots.extend(names.iter().map(|slot| (slot.clone(), id)));
        picture.nodes.insert(id, node);
    }
    picture
}

/// Times without a thought for each other.
fn choose(timeline: &Timeline, loss: Loss, dice: &mut Dice) -> Times {
    let Loss { synced, last } = loss;
    let free = dice.chance(60);
    let middle = synced + dice.below(last - synced + 1);
    let lives = timeline.lives.keys();
    lives
        .map(|id| {
            let time = if free {
                synced + dice.below(last - synced + 1)
            } else {
                (middle + dice.below(5)).min(last)
            };
            (*id, time)
        })
        .collect()
}

fn slots<'a>(timeline: &'a Timeline, times: &'a Times) -> impl Iterator<Item = (&'a Slot, InodeId)> {
    timeline.lives.iter().flat_map(|(id, life)| life.names_at(times[id]).iter().map(|slot| (slot, *id)))
}

/// Inodes that cannot be as they are side by side.
fn conflict(timeline: &Timeline, times: &Times) -> Option<Vec<InodeId>> {
    let mut holders: BTreeMap<&Slot, InodeId> = BTreeMap::new();
    let mut above: BTreeMap<InodeId, InodeId> = BTreeMap::new();
    for (slot, id) in slots(timeline, times) {
        if let Some(other) = holders.insert(slot, id) {
            return Some(vec![other, id]);
        }
        let parent = slot.0;
        if !has_names(timeline, times, parent) {
            return Some(vec![parent, id]);
        }
        above.insert(id, parent);
    }
    above.keys().find_map(|id| circle(&above, *id))
}

fn has_names(timeline: &Timeline, times: &Times, dir: InodeId) -> bool {
    let named = || timeline.lives.get(&dir).is_some_and(|life| !life.names_at(times[&dir]).is_empty());
    [InodeId::ROOT, LIMBO, ORPHANS].contains(&dir) || named()
}

/// Directories below themselves, on the way up from `start`.
fn circle(above: &BTreeMap<InodeId, InodeId>, start: InodeId) -> Option<Vec<InodeId>> {
    let mut way = vec![start];
    while let Some(parent) = way.last().and_then(|last| above.get(last)) {
        if let Some(at) = way.iter().position(|id| id == parent) {
            return Some(way.split_off(at));
        }
        way.push(*parent);
    }
    None
}

/// Keeps the next change of the one that lags behind most, or loses the last one of the one that is farthest.
fn resolve(timeline: &Timeline, times: &mut Times, conflict: &[InodeId], loss: Loss, up: bool) {
    let step = |id: &InodeId| {
        let (life, time) = (&timeline.lives[id], times[id]);
        let new = if up { life.next_change(time) } else { life.time_before(time) };
        new.filter(|new| (loss.synced..=loss.last).contains(new)).map(|new| (time, *id, new))
    };
    let steps = conflict.iter().filter_map(step);
    let chosen = if up { steps.min() } else { steps.max() };
    let (_, id, new) = chosen.expect("the first and the last state are free of conflicts");
    times.insert(id, new);
}

/// Whether it is a file that has lost its last name: a big one is moved to limbo, and deleted when there is time.
fn died_as_file(life: &Life, time: usize) -> bool {
    let lived = life.names.iter().any(|names| names.from <= time && !names.slots.is_empty());
    lived && life.nodes.first().is_some_and(|(_, node)| node.kind == FileKind::File)
}

/// Whether the identity may be lost: nothing was done yet that comes after it.
fn may_be_torn(life: &Life, time: usize) -> bool {
    let first = life.names.iter().find(|names| !names.slots.is_empty());
    let same = first.is_some_and(|first| first.slots == life.names_at(time) && first.slots.len() == 1);
    life.is_new() && same && life.names_at(time).iter().all(|(parent, _)| ![LIMBO, ORPHANS].contains(parent))
}

/// A node as it is right after it was made.
fn bare(node: &Node) -> Node {
    Node { rdev: node.rdev, target: node.target.clone(), mode: node.mode & 0o777, ..Node::new(node.kind) }
}

fn as_of(life: &Life, time: usize) -> &Node {
    let at = life.nodes.partition_point(|(from, _)| *from <= time);
    &life.nodes[at.saturating_sub(1)].1
}

/// Contents and attributes, each as of a time of its own.
fn blend(life: &Life, loss: Loss, dice: &mut Dice) -> Node {
    let from = life.nodes.partition_point(|(from, _)| *from <= loss.synced).saturating_sub(1);
    let to = life.nodes.partition_point(|(from, _)| *from <= loss.last).max(from + 1);
    let past: Vec<&Node> = life.nodes[from..to].iter().map(|(_, node)| node).collect();
    let mut any = || past[dice.below(past.len())];
    let (mode, owner, atime, mtime) = (any().mode, any(), any().atime, any().mtime);
    let mut node = Node { mode, uid: owner.uid, gid: owner.gid, atime, mtime, ..bare(past[0]) };
    let given_away =
        node.kind != FileKind::Dir && past.iter().any(|one| (one.uid, one.gid) != (past[0].uid, past[0].gid));
    // The kernel takes setuid and setgid away from files with chown, until chmod sets them again.
    node.mode = if given_away && dice.chance(30) { mode & !0o6000 } else { mode };
    if life.is_new() && from == 0 && dice.chance(20) {
        return bare(past[0]);
    }
    node.xattrs = xattrs(&past, dice);
    if node.kind == FileKind::File {
        node.data = data(&past, dice);
    }
    node
}

fn xattrs(past: &[&Node], dice: &mut Dice) -> BTreeMap<Bytes, Bytes> {
    let names: BTreeSet<&Bytes> = past.iter().flat_map(|node| node.xattrs.keys()).collect();
    let value = |name: &Bytes, node: &Node| node.xattrs.get(name).map(|value| (name.clone(), value.clone()));
    names.into_iter().filter_map(|name| value(name, past[dice.below(past.len())])).collect()
}

/// Each page, or each sector of it, as of any time; the size too.
fn data(past: &[&Node], dice: &mut Dice) -> Vec<u8> {
    let mut out = vec![0; past[dice.below(past.len())].data.len()];
    for at in (0..out.len()).step_by(PAGE) {
        let torn = dice.chance(20);
        let mut source = past[dice.below(past.len())];
        for at in (at..(at + PAGE).min(out.len())).step_by(SECTOR) {
            if torn {
                source = past[dice.below(past.len())];
            }
            let end = (at + SECTOR).min(out.len()).min(source.data.len());
            if at < end {
                out[at..end].copy_from_slice(&source.data[at..end]);
            }
        }
    }
    out
}
