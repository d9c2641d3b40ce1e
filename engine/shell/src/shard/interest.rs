//! What a mount may hold in its caches: every inode that it has named, or was told of, on its present connection. Changes of others
//! are no news to it.
//!
//! A Bloom filter (B. H. Bloom, 1970) with one hash: it never forgets, and may take an inode for a known one, which costs a
//! push. Whoever attaches anew has dropped everything, and begins with an empty one.

use rfs_model::client::{Answer, Change, Mutation, Query, ToBrick};
use rfs_model::hello::OpenInode;
use rfs_model::{Attr, InodeId};

/// 16 KiB. A mount that has looked at more than a hundred thousand inodes is told of nearly everything.
const BITS: usize = 1 << 17;

pub struct Interest {
    bits: Box<[u64]>,
}

impl Default for Interest {
    fn default() -> Self {
        Self { bits: vec![0; BITS / 64].into() }
    }
}

impl Interest {
    fn place(id: InodeId) -> (usize, u64) {
        // Fibonacci hashing: indexes follow each other.
        let mixed = (id.index.0 ^ id.term.0.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let bit = (mixed >> (u64::BITS - BITS.trailing_zeros())) as usize;
        (bit / 64, 1 << (bit % 64))
    }

    fn note(&mut self, id: InodeId) {
        let (word, bit) = Self::place(id);
        self.bits[word] |= bit;
    }

    fn has(&self, id: InodeId) -> bool {
        let (word, bit) = Self::place(id);
        self.bits[word] & bit != 0
    }

    /// What it holds open when it comes.
    pub fn opens(&mut self, opens: &[OpenInode]) {
        opens.iter().for_each(|open| self.note(open.id));
    }

    /// It has asked for something.
    pub fn asked(&mut self, message: &ToBrick) {
        match message {
            ToBrick::Query { op, .. } => self.questioned(op),
            ToBrick::Mutate { op, .. } => self.changes(op),
            ToBrick::Beat { .. } | ToBrick::Detach {} => {}
        }
    }

    fn questioned(&mut self, op: &Query) {
        let dir = if let Query::Lookup { parent, .. } = op { Some(*parent) } else { None };
        dir.into_iter().chain(op.inode()).for_each(|id| self.note(id));
    }

    fn changes(&mut self, op: &Mutation) {
        match op {
            Mutation::Make { parent, as_id, .. } => {
                [*parent, *as_id].into_iter().for_each(|id| self.note(id))
            }
            Mutation::Link { id, parent, .. } => [*id, *parent].into_iter().for_each(|id| self.note(id)),
            Mutation::Rename { from, to, .. } => [*from, *to].into_iter().for_each(|id| self.note(id)),
            Mutation::Unlink { parent: id, .. }
            | Mutation::Write { id, .. }
            | Mutation::Append { id, .. }
            | Mutation::SetAttr { id, .. }
            | Mutation::SetXattr { id, .. }
            | Mutation::RemoveXattr { id, .. }
            | Mutation::Allocate { id, .. }
            | Mutation::Lease { id, .. } => self.note(*id),
            Mutation::Lock { .. } | Mutation::Unlock { .. } | Mutation::Void {} => {}
        }
    }

    /// It is about to be told of an inode that it has made.
    pub fn made(&mut self, id: InodeId) {
        self.note(id);
    }

    /// It is about to be answered.
    pub fn told(&mut self, answer: &Answer) {
        match answer {
            Answer::Attr { attr } | Answer::Opened { attr, .. } => self.note(attr.id),
            Answer::Dir { entries, .. } => {
                let attrs = entries.iter().filter_map(|entry| entry.attr.as_ref());
                attrs.for_each(|attr: &Attr| self.note(attr.id));
            }
            Answer::Done
            | Answer::Data { .. }
            | Answer::Names { .. }
            | Answer::Statfs { .. }
            | Answer::Offset { .. }
            | Answer::Lock { .. }
            | Answer::ReadAt { .. } => {}
        }
    }

    /// Whether a change may be of what it holds.
    #[must_use]
    pub fn concerns(&self, change: &Change) -> bool {
        let (Change::Inode { id, .. } | Change::Entry { parent: id, .. }) = change;
        self.has(*id)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use rfs_model::client::DirEntry;
    use rfs_model::{FileKind, Index, Term, Timestamp};

    use super::*;

    fn id(index: u64) -> InodeId {
        InodeId { term: Term(3), index: Index(index) }
    }

    fn inode(index: u64) -> Change {
        Change::Inode { id: id(index), offset: 0, len: 0 }
    }

    fn entry(parent: u64) -> Change {
        Change::Entry { parent: id(parent), name: Bytes::from_static(b"a") }
    }

    fn attr(index: u64) -> Attr {
        Attr::new(id(index), FileKind::File, 0o644, Timestamp::default(), Index(1))
    }

    #[test]
    fn a_mount_hears_of_what_it_named_or_was_told_of_and_of_nothing_else() {
        let mut interest = Interest::default();
        let lookup = Query::Lookup { parent: id(5), name: Bytes::from_static(b"a") };
        interest.asked(&ToBrick::Query { tag: 1, at: Index::ZERO, op: lookup });
        interest.told(&Answer::Attr { attr: attr(6) });
        assert!(interest.concerns(&entry(5)) && interest.concerns(&inode(5)) && interest.concerns(&inode(6)));
        let entries =
            vec![DirEntry { name: Bytes::new(), id: id(7), kind: FileKind::File, attr: Some(attr(7)) }];
        interest.told(&Answer::Dir { entries, end: true });
        interest.opens(&[OpenInode { id: id(8), count: 1 }]);
        interest.made(id(9));
        let rename = Mutation::Rename {
            from: id(10),
            from_name: Bytes::new(),
            to: id(11),
            to_name: Bytes::new(),
            flags: 0,
        };
        interest.asked(&ToBrick::Mutate {
            seq: rfs_model::Seq(1),
            lowest_kept: rfs_model::Seq(1),
            op: rename,
        });
        assert!((7..12).all(|n| interest.concerns(&inode(n))));
        assert!((12..500).all(|n| !interest.concerns(&inode(n)) && !interest.concerns(&entry(n))));
    }

    #[test]
    fn inodes_that_follow_each_other_have_places_of_their_own() {
        let mut interest = Interest::default();
        (0..10_000).for_each(|n| interest.made(id(n)));
        let taken = (10_000..20_000).filter(|n| interest.concerns(&inode(*n))).count();
        assert!(taken < 2_000, "{taken} of 10,000 are taken for known ones");
    }
}
