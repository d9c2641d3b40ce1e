//! A full copy of one brick to another: the namespace exactly as of the source's checkpoint A, contents and attributes as
//! they were found while writes went on. The log from A on then goes through recovery, which makes the copy exact.
//!
//! ```text
//! Begin  State*  ( Inode Places* Data* Xattr* )*  End
//! ```
//! Inodes come in the order of their identities, the root among them; a child may come before its parent. Each item fits a
//! frame: large fields are sent in pieces of at most [`PIECE_BYTES`].

use bytes::Bytes;

use crate::attr::{FileKind, Timestamp};
use crate::ids::{Index, InodeId, Term};
use crate::{layout, tagged};

/// Largest piece of data or state in one item, bytes.
pub const PIECE_BYTES: usize = 1024 * 1024;
/// Places in one item at the most; of an inode with more the rest follows in [`Item::Places`].
pub const PIECE_PLACES: usize = 1024;

const _: () = assert!(PIECE_BYTES + 1024 < crate::limits::FRAME_BYTES);
const _: () = assert!(PIECE_PLACES * (crate::limits::NAME_BYTES + 32) < crate::limits::FRAME_BYTES / 2);

/// What an inode is, beside its names, data and xattrs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// The lower 12 bits of `st_mode`.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub rdev: u64,
    /// Bytes; 0 for what is not a file.
    pub size: u64,
    pub atime: Timestamp,
    pub mtime: Timestamp,
    /// A symlink's.
    pub target: Bytes,
}
layout!(Body { mode, uid, gid, rdev, size, atime, mtime, target });

/// One piece of a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// The checkpoint that is copied, and how many inodes it has.
    Begin { at: Index, term: Term, inodes: u64 },
    /// The next piece of the checkpoint's replicated state.
    State { data: Bytes },
    /// An inode with its (first) places; the root and orphans have none. Without a body it has died since the checkpoint:
    /// only its names matter, for those in and after it.
    Inode {
        id: InodeId,
        kind: FileKind,
        version: Index,
        ctime: Timestamp,
        places: Vec<(InodeId, Bytes)>,
        body: Option<Body>,
    },
    /// More places of the inode before.
    Places { id: InodeId, places: Vec<(InodeId, Bytes)> },
    /// Data of the inode before; what is not sent is a hole.
    Data { id: InodeId, offset: u64, data: Bytes },
    /// An attribute of the inode before, ACLs among them.
    Xattr { id: InodeId, name: Bytes, value: Bytes },
    /// A block of the inode before is rotten at the source, and zeros here: it must not be read before another brick has
    /// given it. Counted in 4 KiB from the beginning of the file.
    Rotten { id: InodeId, block: u64 },
    /// All was sent. What was read may show effects of records up to `until`: the copy must not be used before recovery has
    /// covered them. The counts are those of the items.
    End { until: Index, inodes: u64, bytes: u64 },
}
tagged!(Item, "a piece of a copy", {
    1 => Begin { at, term, inodes },
    2 => State { data },
    3 => Inode { id, kind, version, ctime, places, body },
    4 => Places { id, places },
    5 => Data { id, offset, data },
    6 => Xattr { id, name, value },
    7 => End { until, inodes, bytes },
    8 => Rotten { id, block },
});

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Decode, Encode};

    #[test]
    fn the_layout_is_frozen() {
        let body = Body {
            mode: 0o644,
            uid: 1,
            gid: 2,
            rdev: 3,
            size: 4,
            atime: Timestamp { secs: 5, nanos: 6 },
            mtime: Timestamp { secs: 7, nanos: 8 },
            target: Bytes::from_static(b"t"),
        };
        let id = InodeId { term: Term(9), index: Index(10) };
        let places = vec![(InodeId::ROOT, Bytes::from_static(b"n"))];
        let ctime = Timestamp { secs: 11, nanos: 12 };
        let items = vec![
            Item::Begin { at: Index(13), term: Term(14), inodes: 15 },
            Item::State { data: Bytes::from_static(b"s") },
            Item::Inode {
                id,
                kind: FileKind::File,
                version: Index(16),
                ctime,
                places: places.clone(),
                body: Some(body),
            },
            Item::Places { id, places },
            Item::Data { id, offset: 17, data: Bytes::from_static(b"d") },
            Item::Xattr { id, name: Bytes::from_static(b"x"), value: Bytes::from_static(b"v") },
            Item::End { until: Index(18), inodes: 19, bytes: 20 },
            Item::Rotten { id, block: 21 },
        ];
        let bytes = Bytes::from(items.encoded());
        assert_eq!(Vec::<Item>::from_all(&bytes), Ok(items));
        assert_eq!((bytes.len(), crc32fast::hash(&bytes)), (305, 0x9d88_5b19));
    }
}
