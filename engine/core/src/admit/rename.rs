//! Names that move.

use bytes::Bytes;
use rfs_model::op::Fate;
use rfs_model::{Attr, FileKind, InodeId, Op, Refusal};

use super::names::{check_new, check_old};
use super::remove::fate;
use super::scene::{Judged, Ruling, Scene, Stop};
use super::view::Fault;
use crate::sessions::Outcome;

const NOREPLACE: u32 = 1;
const EXCHANGE: u32 = 2;
/// More directories than this above one another cannot be: the tree has a loop.
const DEPTH: usize = 1 << 20;

/// [`Mutation::Rename`](rfs_model::client::Mutation::Rename).
pub(super) struct Rename<'a> {
    pub from: InodeId,
    pub from_name: &'a Bytes,
    pub to: InodeId,
    pub to_name: &'a Bytes,
    pub flags: u32,
}

impl Rename<'_> {
    pub fn judge(&self, scene: &Scene<'_>) -> Judged {
        if !matches!(self.flags, 0 | NOREPLACE | EXCHANGE) {
            return Err(Refusal::Invalid.into());
        }
        check_old(self.from, self.from_name, scene.limits)?;
        check_new(self.to, self.to_name, scene.limits)?;
        scene.own_dir(self.from)?;
        scene.own_dir(self.to)?;
        let moved = scene.child(self.from, self.from_name)?.ok_or(Refusal::NoEntry)?;
        let other = scene.child(self.to, self.to_name)?;
        match (self.flags, other) {
            (NOREPLACE, Some(_)) => return Err(Refusal::Exists.into()),
            (EXCHANGE, None) => return Err(Refusal::NoEntry.into()),
            _ => {}
        }
        if moved.kind == FileKind::Dir {
            self.not_into_itself(scene, moved.id, self.to)?;
        }
        if other.is_some_and(|o| o.id == moved.id) {
            return Err(Stop::Nothing(Outcome::Done { id: moved.id, offset: 0, attr: false }));
        }
        match other {
            Some(other) if self.flags == EXCHANGE => self.exchange(scene, &moved, &other),
            _ => self.replace(scene, &moved, other.as_ref()),
        }
    }

    fn exchange(&self, scene: &Scene<'_>, moved: &Attr, other: &Attr) -> Judged {
        if other.kind == FileKind::Dir {
            self.not_into_itself(scene, other.id, self.from)?;
        }
        let op = Op::Exchange {
            id: moved.id,
            from: self.from,
            from_name: self.from_name.clone(),
            other: other.id,
            to: self.to,
            to_name: self.to_name.clone(),
        };
        let dirs = moved.kind == FileKind::Dir || other.kind == FileKind::Dir;
        Ok(Ruling { kind: dirs.then_some(FileKind::Dir), ..Ruling::free(op) })
    }

    fn replace(&self, scene: &Scene<'_>, moved: &Attr, victim: Option<&Attr>) -> Judged {
        let mut end = Fate::Stays;
        if let Some(victim) = victim {
            match (moved.kind == FileKind::Dir, victim.kind == FileKind::Dir) {
                (true, false) => return Err(Refusal::NotDirectory.into()),
                (false, true) => return Err(Refusal::IsDirectory.into()),
                (true, true) => scene.may_go(victim.id)?,
                (false, false) => {}
            }
            end = fate(scene, victim);
        }
        let op = Op::Rename {
            id: moved.id,
            from: self.from,
            from_name: self.from_name.clone(),
            to: self.to,
            to_name: self.to_name.clone(),
            replaced: victim.map_or(InodeId::NIL, |v| v.id),
            fate: end,
        };
        Ok(Ruling { kind: Some(moved.kind), ..Ruling::free(op) })
    }

    /// `dir` must not be `target` or above it. Moves of directories that are on the way could change that: they are waited
    /// for.
    fn not_into_itself(&self, scene: &Scene<'_>, dir: InodeId, target: InodeId) -> Judged<()> {
        scene.moves_settled()?;
        let mut at = target;
        for _ in 0..DEPTH {
            if at == dir {
                return Err(Refusal::Invalid.into());
            }
            match scene.tree.parent_of(at)? {
                Some(parent) => at = parent,
                None if at == InodeId::ROOT => return Ok(()),
                None => return Err(Fault(format!("directory {at} has no parent")).into()),
            }
        }
        Err(Fault(format!("directories above {target} form a loop")).into())
    }
}
