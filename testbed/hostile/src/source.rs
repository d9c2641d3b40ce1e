//! Choices made from an input's bytes: small numbers, numbers at the edge of what there is, and names that lead elsewhere.

use arbitrary::{Arbitrary, Unstructured};
use bytes::Bytes;
use rfs_model::{Index, InodeId, Lineage, NodeId, SeatId, SessionId, Term};

/// An input, as it is used up.
pub struct Source<'a>(Unstructured<'a>);

/// Names, good and bad.
const NAMES: &[&[u8]] = &[
    b"a",
    b"b",
    b"c",
    b"d",
    b"",
    b".",
    b"..",
    b".rfs",
    b"lost+found",
    b"a/b",
    b"/etc/passwd",
    b"../../outside",
    b"a\0b",
    b"\xff\xfe",
    b"..\x00",
    b"out",
    b"canary",
    b".rfs/label",
];

impl<'a> Source<'a> {
    #[must_use]
    pub fn new(data: &'a [u8]) -> Self {
        Self(Unstructured::new(data))
    }

    /// Whether all is used up: what is asked for then is zero.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn any<T: Arbitrary<'a> + Default>(&mut self) -> T {
        self.0.arbitrary().unwrap_or_default()
    }

    pub fn byte(&mut self) -> u8 {
        self.any()
    }

    pub fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// 0 to `n` - 1.
    pub fn below(&mut self, n: u8) -> u8 {
        self.byte() % n.max(1)
    }

    /// # Panics
    /// When there is nothing to pick from.
    pub fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[usize::from(self.byte()) % of.len()].clone()
    }

    /// `Some` in most cases.
    pub fn maybe<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.below(4) > 0).then(|| make(self))
    }

    /// Around `near`, or at an edge, or anything.
    pub fn number(&mut self, near: u64) -> u64 {
        match self.below(16) {
            0 => 0,
            1 => u64::MAX,
            2 => u64::MAX - 1,
            3 => i64::MAX as u64,
            4 => 1 << 60,
            5 => self.any(),
            6 => u64::from(self.byte()),
            n @ 7..12 => near.saturating_add(u64::from(n)).saturating_sub(9),
            _ => near,
        }
    }

    pub fn small(&mut self, near: u32) -> u32 {
        self.number(near.into()) as u32
    }

    pub fn index(&mut self, near: Index) -> Index {
        Index(self.number(near.0))
    }

    pub fn term(&mut self, near: Term) -> Term {
        match self.below(12) {
            0 => Term(self.number(near.0)),
            1 => Term::new(Lineage(near.lineage().0.wrapping_add(1)), self.byte().into()),
            2 => Term::new(near.lineage(), u32::MAX - 0xffff),
            3 => Term::new(near.lineage(), u32::MAX),
            4 => Term(near.0.saturating_sub(1)),
            5..7 => Term(near.0.saturating_add(1)),
            _ => near,
        }
    }

    pub fn node(&mut self) -> NodeId {
        NodeId([self.pick(&[1, 2, 3, 4, 2, 3, 9, 0]); 16])
    }

    pub fn seat(&mut self) -> SeatId {
        SeatId([self.pick(&[7, 7, 8, 0]); 16])
    }

    pub fn session(&mut self) -> SessionId {
        SessionId([self.pick(&[1, 1, 2, 3, 0]); 16])
    }

    /// An identity: one of those known, or one that nobody has.
    pub fn inode(&mut self, known: &[InodeId]) -> InodeId {
        match self.below(12) {
            0 => InodeId::NIL,
            1 => InodeId { term: Term(u64::MAX), index: Index(u64::from(self.below(4))) },
            2 => InodeId { term: Term(self.number(1)), index: Index(self.number(5)) },
            3..6 => InodeId::ROOT,
            _ if known.is_empty() => InodeId::ROOT,
            _ => self.pick(known),
        }
    }

    pub fn name(&mut self) -> Bytes {
        match self.below(24) {
            0 => Bytes::from(vec![b'x'; 255]),
            1 => Bytes::from(vec![b'x'; 256]),
            2 => self.bytes(12),
            3 => Bytes::from(vec![b'y'; usize::from(self.byte()) * 257]),
            n => Bytes::from_static(NAMES[usize::from(n) % NAMES.len()]),
        }
    }

    /// At most `most` bytes of the input.
    pub fn bytes(&mut self, most: u8) -> Bytes {
        let len = usize::from(self.below(most)).min(self.0.len());
        Bytes::copy_from_slice(self.0.bytes(len).unwrap_or_default())
    }
}
