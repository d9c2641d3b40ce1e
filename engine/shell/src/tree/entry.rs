//! What the index knows of an inode that the file system does not keep: where it is, its version, its ctime.

use bytes::Bytes;
use rfs_model::codec::put_bytes;
use rfs_model::{Decode, DecodeError, Encode, FileKind, Index, InodeId, Reader, Timestamp};

/// A name in a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    pub parent: InodeId,
    /// Copied out of the record: an entry outlives the buffer that the record came in.
    pub name: Box<[u8]>,
}

impl Place {
    #[must_use]
    pub fn new(parent: InodeId, name: &[u8]) -> Self {
        Self { parent, name: name.into() }
    }
}

impl Encode for Place {
    fn encode(&self, out: &mut Vec<u8>) {
        self.parent.encode(out);
        put_bytes(out, &self.name);
    }
}

impl Decode for Place {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let parent = InodeId::decode(r)?;
        let name = r.bytes(rfs_model::limits::NAME_BYTES)?;
        Ok(Self { parent, name: name.to_vec().into() })
    }
}

/// One inode. The root has no places, and neither has an orphan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub kind: FileKind,
    /// Index of the last record that changed the inode.
    pub version: Index,
    pub ctime: Timestamp,
    /// Sorted, none twice.
    pub places: Vec<Place>,
    /// Of a file: as records made it, whatever is on disk. `None` where nobody knows, and of all other kinds.
    pub size: Option<u64>,
}

impl Encode for Entry {
    /// The size at the end: entries of older indexes have none.
    fn encode(&self, out: &mut Vec<u8>) {
        self.kind.encode(out);
        self.version.encode(out);
        self.ctime.encode(out);
        self.places.encode(out);
        if let Some(size) = self.size {
            size.encode(out);
        }
    }
}

impl Entry {
    pub(super) fn has(&self, parent: InodeId, name: &[u8]) -> bool {
        self.find(parent, name).is_ok()
    }

    fn find(&self, parent: InodeId, name: &[u8]) -> Result<usize, usize> {
        self.places.binary_search_by(|p| (p.parent, &*p.name).cmp(&(parent, name)))
    }

    pub(super) fn add_place(&mut self, place: Place) {
        if let Err(at) = self.places.binary_search(&place) {
            self.places.insert(at, place);
        }
    }

    pub(super) fn remove_place(&mut self, parent: InodeId, name: &[u8]) {
        if let Ok(at) = self.find(parent, name) {
            self.places.remove(at);
        }
    }

    /// The value in the index: the entry and its CRC-32, since the store does not check what it reads.
    pub(super) fn to_value(&self) -> Vec<u8> {
        let mut out = self.encoded();
        crc32fast::hash(&out).encode(&mut out);
        out
    }

    pub(super) fn from_value(value: &[u8]) -> Result<Self, DecodeError> {
        let body = Bytes::copy_from_slice(checked(value)?);
        let mut r = Reader::new(&body);
        let (kind, version, ctime) =
            (FileKind::decode(&mut r)?, Index::decode(&mut r)?, Timestamp::decode(&mut r)?);
        let places = r.list()?;
        let size = if r.remaining() == 0 { None } else { Some(r.u64()?) };
        r.end()?;
        Ok(Self { kind, version, ctime, places, size })
    }
}

/// The bytes before a trailing CRC-32 that is right.
pub(super) fn checked(value: &[u8]) -> Result<&[u8], DecodeError> {
    let (body, crc) = value.split_last_chunk::<4>().ok_or(DecodeError::Short(4))?;
    if crc32fast::hash(body) == u32::from_le_bytes(*crc) {
        Ok(body)
    } else {
        Err(DecodeError::Text("checksum"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Entry {
        let mut entry = Entry {
            kind: FileKind::File,
            version: Index(7),
            ctime: Timestamp { secs: 5, nanos: 6 },
            places: Vec::new(),
            size: None,
        };
        entry.add_place(Place::new(InodeId::ROOT, b"b"));
        entry.add_place(Place::new(InodeId::ROOT, b"a"));
        entry.add_place(Place::new(InodeId::ROOT, b"b"));
        entry
    }

    #[test]
    fn places_are_a_sorted_set() {
        let mut entry = sample();
        assert_eq!(entry.places, [Place::new(InodeId::ROOT, b"a"), Place::new(InodeId::ROOT, b"b")]);
        entry.remove_place(InodeId::ROOT, b"a");
        assert_eq!(entry.places, [Place::new(InodeId::ROOT, b"b")]);
        assert!(entry.has(InodeId::ROOT, b"b") && !entry.has(InodeId::ROOT, b"a"));
    }

    #[test]
    fn the_layout_is_frozen() {
        let hex: String = sample().to_value().iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(
            hex,
            "01070000000000000005000000000000000600000002000000000000000000000000000000000000010100000061\
             00000000000000000000000000000001010000006297ec47cb"
        );
    }

    #[test]
    fn a_size_comes_last() {
        let sized = Entry { size: Some(0x0102), ..sample() };
        let (with, without) = (sized.to_value(), sample().to_value());
        let body = without.len() - 4;
        assert_eq!(with[..body], without[..body]);
        assert_eq!(with[body..body + 8], [2, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(with.len(), body + 12);
        assert_eq!(Entry::from_value(&with), Ok(sized));
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let good = sample().to_value();
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(Entry::from_value(&bad).is_err(), "bit {bit}");
        }
        assert_eq!(Entry::from_value(&good), Ok(sample()));
        assert!(Entry::from_value(b"").is_err());
    }
}
