//! What a record may say at all, whatever the tree looks like. Admission makes no other records; one that breaks a rule here
//! comes from a liar, and no brick takes it into its log, or carries it out.

use crate::attr::{FileKind, SetAttr};
use crate::ids::{InodeId, Seq};
use crate::limits::{FILE_BYTES, NAME_BYTES, SESSION_RESULTS, SYMLINK_BYTES, XATTR_BYTES};
use crate::op::{COMPARE_IDS, Op, Stamped};

/// Longest name of an extended attribute, bytes.
const XATTR_NAME_BYTES: usize = 255;
/// Prefix of the extended attributes that a brick keeps for itself.
const OWN_XATTR: &[u8] = b"trusted.rfs.";
/// Names in the root that belong to the brick or to its file system.
pub const RESERVED: [&[u8]; 2] = [b".rfs", b"lost+found"];

type Problem = Option<&'static str>;

fn unless(good: bool, problem: &'static str) -> Problem {
    (!good).then_some(problem)
}

impl Stamped {
    /// What is wrong with the record.
    #[must_use]
    pub fn problem(&self) -> Problem {
        let numbered = self.seq <= Seq::LIMIT
            && (self.lowest_kept <= self.seq || self.seq.0 == 0)
            && self.refused.len() <= SESSION_RESULTS;
        unless(numbered, "a request's numbers make no sense")
            .or_else(|| unless(self.time.nanos < 1_000_000_000, "a time makes no sense"))
            .or_else(|| self.op.problem())
    }
}

impl Op {
    /// What is wrong with the outcome.
    #[must_use]
    pub fn problem(&self) -> Problem {
        match self {
            Self::Make { id, parent, name, target, kind, uid, gid, .. } => {
                let owned = *uid != u32::MAX && *gid != u32::MAX;
                let long = target.len() > SYMLINK_BYTES || target.contains(&0);
                let link = target.is_empty() == (*kind == FileKind::Symlink);
                movable(&[*id])
                    .or_else(|| ids(&[*parent]))
                    .or_else(|| place(*parent, name))
                    .or_else(|| unless(!long && !link && owned, "no inode is born so"))
            }
            Self::Link { id, parent, name } | Self::Unlink { id, parent, name, .. } => {
                movable(&[*id]).or_else(|| ids(&[*parent])).or_else(|| place(*parent, name))
            }
            Self::Rename { id, from, from_name, to, to_name, replaced, .. } => {
                let over = unless(*replaced != InodeId::ROOT, "the root is in nobody's way");
                movable(&[*id])
                    .or(over)
                    .or_else(|| ids(&[*from, *to, *replaced]))
                    .or_else(|| place(*from, from_name))
                    .or_else(|| place(*to, to_name))
            }
            Self::Exchange { id, from, from_name, other, to, to_name } => movable(&[*id, *other])
                .or_else(|| ids(&[*from, *to]))
                .or_else(|| place(*from, from_name))
                .or_else(|| place(*to, to_name)),
            Self::Write { id, offset, data } => ids(&[*id]).or_else(|| within(*offset, data.len() as u64)),
            Self::Allocate { id, range } => ids(&[*id]).or_else(|| within(range.offset, range.len)),
            Self::SetAttr { id, set } => ids(&[*id]).or_else(|| attributes(set)),
            Self::SetXattr { id, name, value } => ids(&[*id])
                .or_else(|| xattr(name))
                .or_else(|| unless(value.len() <= XATTR_BYTES, "an attribute is too large")),
            Self::RemoveXattr { id, name } => ids(&[*id]).or_else(|| xattr(name)),
            Self::Lock { id, range, .. } => {
                ids(&[*id]).or_else(|| unless(range.start <= range.end, "a lock ends before it begins"))
            }
            Self::Reap { id } => movable(&[*id]),
            Self::Unlock { id, .. } => ids(&[*id]),
            Self::SessionOpen { name } => unless(name.len() <= NAME_BYTES, "a session's name is too long"),
            Self::SessionClose {} => None,
            Self::Compare { ids: all } => {
                ids(all).or_else(|| unless(all.len() <= COMPARE_IDS, "too many inodes to compare at once"))
            }
        }
    }
}

/// Identities of inodes; those beyond are the brick's own.
fn ids(ids: &[InodeId]) -> Problem {
    unless(ids.iter().all(InodeId::is_believable), "an inode's identity makes no sense")
}

/// Identities of inodes that have names: the root has none.
fn movable(all: &[InodeId]) -> Problem {
    let named = all.iter().all(|id| *id != InodeId::ROOT && *id != InodeId::NIL);
    ids(all).or_else(|| unless(named, "the root is neither made, moved nor removed"))
}

fn place(parent: InodeId, name: &[u8]) -> Problem {
    let plain = !name.is_empty()
        && name.len() <= NAME_BYTES
        && !matches!(name, b"." | b"..")
        && !name.iter().any(|b| matches!(b, 0 | b'/'));
    let own = parent == InodeId::ROOT && RESERVED.contains(&name);
    unless(plain && !own, "a name that nothing can have")
}

/// Whether a file may have data there.
#[must_use]
pub fn fits(offset: u64, len: u64) -> bool {
    offset.checked_add(len).is_some_and(|end| end <= FILE_BYTES)
}

fn within(offset: u64, len: u64) -> Problem {
    unless(fits(offset, len), "a file would be too large")
}

fn attributes(set: &SetAttr) -> Problem {
    let times = [set.atime, set.mtime].into_iter().flatten().all(|time| time.nanos < 1_000_000_000);
    let known = set.uid != Some(u32::MAX) && set.gid != Some(u32::MAX);
    unless(times && known, "an attribute makes no sense").or_else(|| within(0, set.size.unwrap_or(0)))
}

fn xattr(name: &[u8]) -> Problem {
    let plain = !name.is_empty() && name.len() <= XATTR_NAME_BYTES && !name.contains(&0);
    unless(plain && !name.starts_with(OWN_XATTR), "an attribute that nothing can have")
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::ids::{Index, SessionId, Term};
    use crate::op::Fate;

    fn stamped(op: Op) -> Stamped {
        let (session, seq) = (SessionId::NIL, Seq::ZERO);
        Stamped { session, seq, lowest_kept: seq, refused: vec![], time: Default::default(), op }
    }

    fn unlink(parent: InodeId, name: &[u8]) -> Stamped {
        let name = Bytes::copy_from_slice(name);
        stamped(Op::Unlink {
            id: InodeId { index: Index(7), ..InodeId::ROOT },
            parent,
            name,
            fate: Fate::Stays,
        })
    }

    #[test]
    fn names_that_lead_elsewhere_are_none() {
        let long = [b'x'; 256];
        for name in [&b""[..], b".", b"..", b"a/b", b"/etc", b"a\0", b".rfs", b"lost+found", &long] {
            assert!(unlink(InodeId::ROOT, name).problem().is_some(), "{name:?}");
        }
        for name in [&b"a"[..], b"...", b"\xff", &long[..255]] {
            assert_eq!(unlink(InodeId::ROOT, name).problem(), None, "{name:?}");
        }
    }

    #[test]
    fn the_brick_s_own_directories_are_nobody_s_parents() {
        let own = InodeId { term: Term(u64::MAX), index: Index(1) };
        assert!(unlink(own, b"a").problem().is_some());
        let id = InodeId { index: Index(7), ..InodeId::ROOT };
        let write = |offset| stamped(Op::Write { id, offset, data: Bytes::from_static(b"x") });
        assert_eq!(write(FILE_BYTES - 1).problem(), None);
        assert!(write(FILE_BYTES).problem().is_some());
        assert!(write(u64::MAX).problem().is_some());
        let name = Bytes::from_static(b"trusted.rfs.id");
        assert!(stamped(Op::RemoveXattr { id, name }).problem().is_some());
    }

    #[test]
    fn numbers_of_requests_have_an_end() {
        let base = unlink(InodeId::ROOT, b"a");
        let with =
            |seq, lowest_kept| Stamped { seq: Seq(seq), lowest_kept: Seq(lowest_kept), ..base.clone() };
        assert_eq!(with(7, 7).problem(), None);
        assert!(with(7, 8).problem().is_some());
        assert!(with(u64::MAX, 1).problem().is_some());
    }
}
