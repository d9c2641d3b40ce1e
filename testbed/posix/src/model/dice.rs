//! Random operations: names are few, so that they meet, and mostly ones that exist.

use fastrand::Rng;

use super::op::{Kind, Op, Target};
use super::tree::Model;

/// Handles that are held open at once.
const SLOTS: usize = 4;
/// Files stay below this size, bytes: several pages, and not all aligned.
const SIZE: u64 = 40_000;
const XATTRS: [&str; 3] = ["user.a", "user.b", "trusted.c"];
const NAMES: [&str; 7] = ["a", "b", "c", "d", "e", "f", ".g"];
/// In the past, so that a time that was set is told from one that was not.
const SET_TIMES: std::ops::Range<i64> = 300_000_000..1_300_000_000;

/// The next operation, chosen with a look at what is there.
pub fn operation(dice: &mut Rng, model: &Model) -> Op {
    let mut pick = Pick { dice, model };
    match pick.dice.u32(0..100) {
        0..35 => pick.naming(),
        35..65 => pick.about_data(),
        65..82 => pick.about_attrs(),
        82..92 => pick.about_held(),
        _ => pick.looking(),
    }
}

struct Pick<'a> {
    dice: &'a mut Rng,
    model: &'a Model,
}

impl Pick<'_> {
    fn naming(&mut self) -> Op {
        match self.dice.u32(0..20) {
            0..4 => Op::Create { path: self.any(), mode: self.dice.u32(0..0o1000) },
            4..8 => Op::Mkdir { path: self.any(), mode: self.dice.u32(0..0o2000) },
            8 => Op::Fifo { path: self.any(), mode: self.dice.u32(0..0o1000) },
            9 => Op::Symlink { to: format!("nowhere/{}", self.name()), path: self.any() },
            10..12 => Op::Link { from: self.there(None), to: self.any() },
            12..15 => Op::Unlink { path: self.there(None) },
            15 => Op::Rmdir { path: self.there(Some(Kind::Dir)) },
            _ => {
                let target = match self.dice.u32(0..6) {
                    0 => Target::Refused,
                    1 => Target::Exchanged,
                    _ => Target::Replaced,
                };
                let from = self.there(None);
                let to = if self.dice.bool() { self.there(None) } else { self.any() };
                Op::Rename { from, to, target }
            }
        }
    }

    fn about_data(&mut self) -> Op {
        let path = self.file();
        let (offset, len) = (self.dice.u64(0..SIZE / 2), self.dice.u64(1..SIZE / 2));
        match self.dice.u32(0..16) {
            0..4 => Op::Write { path, offset, data: self.bytes() },
            4..6 => Op::Append { path, data: self.bytes() },
            6..8 => {
                Op::Replace { path: if self.dice.bool() { self.any() } else { path }, data: self.bytes() }
            }
            8..10 => Op::Truncate { path, size: self.dice.u64(0..SIZE) },
            10 => Op::Punch { path, offset, len },
            11 => Op::Allocate { path, offset, len },
            _ => Op::Read { path, offset, len: len as usize },
        }
    }

    fn about_attrs(&mut self) -> Op {
        let (path, name) = (self.there(None), XATTRS[self.dice.usize(0..XATTRS.len())]);
        match self.dice.u32(0..12) {
            0..2 => Op::Chmod { path, mode: self.dice.u32(0..0o10000) },
            2..4 => Op::Chown { path, uid: self.dice.u32(0..70_000), gid: self.dice.u32(0..70_000) },
            4..6 => Op::SetTimes { path, atime: self.time(), mtime: self.time() },
            6..9 => {
                let value = vec![self.dice.u8(..); self.dice.usize(0..100)];
                let (create, replace) = match self.dice.u32(0..4) {
                    0 => (true, false),
                    1 => (false, true),
                    _ => (false, false),
                };
                Op::SetXattr { path, name, value, create, replace }
            }
            9..11 => Op::GetXattr { path, name },
            _ => Op::RemoveXattr { path, name },
        }
    }

    fn about_held(&mut self) -> Op {
        let slot = self.dice.usize(0..SLOTS);
        let offset = self.dice.u64(0..SIZE / 2);
        match self.dice.u32(0..8) {
            0..2 => Op::Hold { slot, path: self.file() },
            2 => Op::Release { slot },
            3 => Op::WriteHeld { slot, offset, data: self.bytes() },
            4 => Op::ReadHeld { slot, offset, len: self.dice.usize(1..SIZE as usize / 2) },
            5 => Op::TruncateHeld { slot, size: self.dice.u64(0..SIZE) },
            _ => Op::LookHeld { slot },
        }
    }

    fn looking(&mut self) -> Op {
        match self.dice.u32(0..8) {
            0..4 => Op::Look { path: self.there(None) },
            4..6 => Op::List { path: self.there(Some(Kind::Dir)) },
            6 => Op::ReadLink { path: self.there(Some(Kind::Symlink)) },
            _ => Op::Look { path: self.any() },
        }
    }

    /// Longer ones than a name may be are rare.
    fn name(&mut self) -> String {
        match self.dice.u32(0..200) {
            0 => "n".repeat(255),
            1 => "n".repeat(256),
            2 => "ä ö".to_owned(),
            _ => NAMES[self.dice.usize(0..NAMES.len())].to_owned(),
        }
    }

    /// A name in a directory that exists, or now and then in something else.
    fn any(&mut self) -> String {
        let name = self.name();
        match self.dice.u32(0..10) {
            0..4 => name,
            4 => format!("{}/{name}", self.there(None)),
            _ => format!("{}/{name}", self.there(Some(Kind::Dir))),
        }
    }

    fn there(&mut self, kind: Option<Kind>) -> String {
        let mut paths = self.model.paths(kind);
        // One level deeper is enough.
        paths.retain(|path| path.matches('/').count() < 4);
        if paths.is_empty() || self.dice.u32(0..20) == 0 {
            return self.name();
        }
        paths.swap_remove(self.dice.usize(0..paths.len()))
    }

    fn file(&mut self) -> String {
        let kind = if self.dice.u32(0..12) == 0 { None } else { Some(Kind::File) };
        self.there(kind)
    }

    fn bytes(&mut self) -> Vec<u8> {
        let first = self.dice.u8(..);
        let len = self.dice.usize(1..SIZE as usize / 4);
        (0..len).map(|n| first.wrapping_add((n / 7) as u8)).collect()
    }

    fn time(&mut self) -> Option<(i64, u32)> {
        (self.dice.u32(0..4) > 0).then(|| (self.dice.i64(SET_TIMES), self.dice.u32(0..1_000_000_000)))
    }
}
