//! The index on disk: one redb file with three tables. It is exactly at its checkpoint, always: one durable transaction
//! moves it from one to the next.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use redb::{
    Builder, Database, Durability, ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTable, Table,
    TableDefinition, TableError, WriteTransaction,
};
use rfs_model::{Decode, Encode, Index, InodeId, Term, Timestamp};

use super::Fault;
use super::entry::{Entry, checked};
use super::sums::{BLOCKS, ChunkSums, FileSums, SumChanges};

/// Identity (as in the xattr) to [`Entry::to_value`].
const INODES: TableDefinition<&[u8; InodeId::BYTES], &[u8]> = TableDefinition::new("inodes");
/// Two keys, `checkpoint` and `notes`.
const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");
const CHECKPOINT: &str = "checkpoint";
const NOTES: &str = "notes";
/// Identity and number of the chunk, big endian, to [`ChunkSums::to_value`].
const SUMS: TableDefinition<&SumKey, &[u8]> = TableDefinition::new("sums");
type SumKey = [u8; InodeId::BYTES + 8];
/// Version of this layout. 1: tables `inodes` and `meta`, values end in their CRC-32. 2: table `sums`, which whoever writes
/// files must keep; it is made by the first checkpoint. 3: entries of files end in their size, and there is the key `notes`;
/// whoever applies records must keep both.
const VERSION: u32 = 3;
const READABLE: std::ops::RangeInclusive<u32> = 1..=VERSION;
/// The store's own page cache, bytes: its default of 1 GiB is no guest's manners.
const CACHE_BYTES: usize = 32 * 1024 * 1024;

/// What the index is the index of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Every record up to here is in the tree, durably.
    pub index: Index,
    pub term: Term,
    /// A tree that was copied from a running brick shows effects of records up to here: recovery must not end before.
    pub floor: Index,
    /// The replicated state that is not in the tree (sessions, locks, volume), as the caller encoded it.
    pub state: Bytes,
}
rfs_model::layout!(Checkpoint { index, term, floor, state });

/// What is to be remembered over a loss of power; all zero in an index that has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Notes {
    /// The clock when the checkpoint began: what was changed on disk since has this ctime or a later one.
    pub(super) clock: Timestamp,
    /// Power was lost, and [`Tree::converge`](super::Tree::converge) has not yet looked at what changed since then.
    pub(super) sweep: Option<Timestamp>,
    /// Inodes to be compared with the leader's.
    pub(super) doubts: Vec<InodeId>,
}
rfs_model::layout!(Notes { clock, sweep, doubts });

#[derive(Clone, Debug)]
pub(super) struct Store {
    db: Arc<Database>,
}

/// The index as of one checkpoint, however many come after.
pub(super) struct Snapshot {
    txn: ReadTransaction,
    inodes: ReadOnlyTable<&'static [u8; InodeId::BYTES], &'static [u8]>,
    sums: Option<ReadOnlyTable<&'static SumKey, &'static [u8]>>,
}

impl Store {
    pub(super) fn create(path: &Path) -> Result<Self, Fault> {
        let db = builder().create(path).map_err(|e| Fault::index("be created", e))?;
        Ok(Self { db: Arc::new(db) })
    }

    pub(super) fn open(path: &Path) -> Result<Self, Fault> {
        let db = builder().open(path).map_err(|e| Fault::index("be opened", e))?;
        Ok(Self { db: Arc::new(db) })
    }

    /// As [`Store::open`], with every page compared with its checksum. Panics over damage, too.
    pub(super) fn open_checked(path: &Path) -> Result<Self, Fault> {
        let mut db = builder().open(path).map_err(|e| Fault::index("be opened", e))?;
        let whole = db.check_integrity().map_err(|e| Fault::index("be believed", e))?;
        if !whole {
            return Err(Fault::index("be believed", "a page does not have its checksum"));
        }
        Ok(Self { db: Arc::new(db) })
    }

    /// The one transaction of a checkpoint. Durable on return.
    pub(super) fn commit<'a>(
        &self,
        checkpoint: &Checkpoint,
        changes: impl Iterator<Item = (InodeId, Option<&'a Entry>)>,
        sums: &SumChanges,
        notes: &Notes,
    ) -> Result<(), Fault> {
        let wrong = |e: redb::Error| Fault::index("be written", e);
        let txn = self.begin()?;
        {
            let mut inodes = txn.open_table(INODES).map_err(|e| wrong(e.into()))?;
            for (id, entry) in changes {
                match entry {
                    Some(entry) => inodes.insert(&id.to_bytes(), entry.to_value().as_slice()),
                    None => inodes.remove(&id.to_bytes()),
                }
                .map_err(|e| wrong(e.into()))?;
            }
            let mut table = txn.open_table(SUMS).map_err(|e| wrong(e.into()))?;
            for (id, file) in sums {
                change_sums(&mut table, *id, file)?;
            }
            let mut meta = txn.open_table(META).map_err(|e| wrong(e.into()))?;
            meta.insert(CHECKPOINT, to_value(checkpoint).as_slice()).map_err(|e| wrong(e.into()))?;
            meta.insert(NOTES, note_value(notes).as_slice()).map_err(|e| wrong(e.into()))?;
        }
        txn.commit().map_err(|e| wrong(e.into()))
    }

    /// Changes the notes and nothing else. Durable on return.
    pub(super) fn note(&self, notes: &Notes) -> Result<(), Fault> {
        let wrong = |e: redb::Error| Fault::index("be written", e);
        let txn = self.begin()?;
        {
            let mut meta = txn.open_table(META).map_err(|e| wrong(e.into()))?;
            meta.insert(NOTES, note_value(notes).as_slice()).map_err(|e| wrong(e.into()))?;
        }
        txn.commit().map_err(|e| wrong(e.into()))
    }

    fn begin(&self) -> Result<WriteTransaction, Fault> {
        let wrong = |e: redb::Error| Fault::index("be written", e);
        let mut txn = self.db.begin_write().map_err(|e| wrong(e.into()))?;
        txn.set_durability(Durability::Immediate).map_err(|e| wrong(e.into()))?;
        // A little more to write once in a checkpoint, and no scan of the whole file after a crash.
        txn.set_quick_repair(true);
        Ok(txn)
    }

    pub(super) fn snapshot(&self) -> Result<Snapshot, Fault> {
        let wrong = |e: redb::Error| Fault::index("be read", e);
        let txn = self.db.begin_read().map_err(|e| wrong(e.into()))?;
        let inodes = txn.open_table(INODES).map_err(|e| wrong(e.into()))?;
        let sums = match txn.open_table(SUMS) {
            Ok(table) => Some(table),
            Err(TableError::TableDoesNotExist(_)) => None,
            Err(e) => return Err(wrong(e.into())),
        };
        Ok(Snapshot { txn, inodes, sums })
    }
}

impl Snapshot {
    pub(super) fn checkpoint(&self) -> Result<Checkpoint, Fault> {
        let wrong = |e: redb::Error| Fault::index("be read", e);
        let meta = self.txn.open_table(META).map_err(|e| wrong(e.into()))?;
        let value = meta.get(CHECKPOINT).map_err(|e| wrong(e.into()))?;
        let value = value.ok_or_else(|| Fault::index("be read", "it has no checkpoint"))?;
        from_value(value.value())
    }

    pub(super) fn notes(&self) -> Result<Notes, Fault> {
        let wrong = |e: redb::Error| Fault::index("be read", e);
        let meta = self.txn.open_table(META).map_err(|e| wrong(e.into()))?;
        let Some(value) = meta.get(NOTES).map_err(|e| wrong(e.into()))? else { return Ok(Notes::default()) };
        let wrong = |e: rfs_model::DecodeError| Fault::index("be read", format_args!("its notes: {e}"));
        let body = Bytes::copy_from_slice(checked(value.value()).map_err(wrong)?);
        Notes::from_all(&body).map_err(wrong)
    }

    pub(super) fn get(&self, id: InodeId) -> Result<Option<Entry>, Fault> {
        let value = self.inodes.get(&id.to_bytes()).map_err(|e| Fault::index("be read", e))?;
        value.map(|value| decode(id, value.value())).transpose()
    }

    /// Up to `max` entries in the order of identity, from the first one after `after`.
    pub(super) fn page(&self, after: Option<InodeId>, max: usize) -> Result<Vec<(InodeId, Entry)>, Fault> {
        use std::ops::Bound::{Excluded, Unbounded};
        let wrong = |e: redb::StorageError| Fault::index("be read", e);
        let start = after.map(InodeId::to_bytes);
        let bounds = (start.as_ref().map_or(Unbounded, Excluded), Unbounded);
        let range = self.inodes.range::<&[u8; InodeId::BYTES]>(bounds).map_err(wrong)?;
        let mut out = Vec::new();
        for item in range.take(max) {
            let (key, value) = item.map_err(wrong)?;
            let id = InodeId::from_bytes(*key.value());
            out.push((id, decode(id, value.value())?));
        }
        Ok(out)
    }

    /// What is known of a chunk.
    pub(super) fn sums(&self, id: InodeId, chunk: u64) -> Result<Option<ChunkSums>, Fault> {
        let Some(table) = &self.sums else { return Ok(None) };
        let value = table.get(&sum_key(id, chunk)).map_err(|e| Fault::index("be read", e))?;
        value.map(|value| decode_sums(id, value.value())).transpose()
    }

    /// Chunks of a file with rotten blocks, as bits; the seal, at the end of the numbers, is none.
    pub(super) fn rotten_chunks(&self, id: InodeId) -> Result<Vec<(u64, u32)>, Fault> {
        let Some(table) = &self.sums else { return Ok(Vec::new()) };
        let wrong = |e: redb::StorageError| Fault::index("be read", e);
        let mut out = Vec::new();
        for item in table.range::<&SumKey>(&sum_key(id, 0)..&sum_key(id, u64::MAX)).map_err(wrong)? {
            let (key, value) = item.map_err(wrong)?;
            let sums = decode_sums(id, value.value())?;
            if sums.rotten != 0 {
                out.push((chunk_of(key.value()), sums.rotten));
            }
        }
        Ok(out)
    }

    pub(super) fn len(&self) -> Result<u64, Fault> {
        use redb::ReadableTableMetadata;
        self.inodes.len().map_err(|e| Fault::index("be read", e))
    }
}

/// Writes what has become of one file's sums.
fn change_sums(table: &mut Table<'_, &SumKey, &[u8]>, id: InodeId, file: &FileSums) -> Result<(), Fault> {
    let wrong = |e: redb::StorageError| Fault::index("be written", e);
    let of = |blocks: &Range<u64>| (blocks.start / BLOCKS, (blocks.end - 1) / BLOCKS);
    let dropped =
        if file.gone { vec![(0, u64::MAX)] } else { file.dropped.ranges().iter().map(of).collect() };
    let mut changed: Vec<(u64, Option<ChunkSums>)> = Vec::new();
    for (first, last) in dropped {
        for item in table.range::<&SumKey>(&sum_key(id, first)..=&sum_key(id, last)).map_err(wrong)? {
            let (key, value) = item.map_err(wrong)?;
            let chunk = chunk_of(key.value());
            let before = decode_sums(id, value.value())?;
            changed.push((chunk, file.over(chunk, Some(&before))));
        }
    }
    changed.extend(file.chunks.keys().map(|chunk| (*chunk, file.over(*chunk, None))));
    for (chunk, now) in changed {
        let key = sum_key(id, chunk);
        match now {
            Some(now) => table.insert(&key, now.to_value().as_slice()),
            None => table.remove(&key),
        }
        .map_err(wrong)?;
    }
    Ok(())
}

fn sum_key(id: InodeId, chunk: u64) -> SumKey {
    let mut key = [0; InodeId::BYTES + 8];
    key[..InodeId::BYTES].copy_from_slice(&id.to_bytes());
    key[InodeId::BYTES..].copy_from_slice(&chunk.to_be_bytes());
    key
}

fn chunk_of(key: &SumKey) -> u64 {
    key.last_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

fn decode_sums(id: InodeId, value: &[u8]) -> Result<ChunkSums, Fault> {
    ChunkSums::from_value(value).map_err(|e| Fault::index("be read", format_args!("sums of inode {id}: {e}")))
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

fn decode(id: InodeId, value: &[u8]) -> Result<Entry, Fault> {
    Entry::from_value(value).map_err(|e| Fault::index("be read", format_args!("inode {id}: {e}")))
}

fn to_value(checkpoint: &Checkpoint) -> Vec<u8> {
    let mut out = VERSION.encoded();
    checkpoint.encode(&mut out);
    crc32fast::hash(&out).encode(&mut out);
    out
}

fn note_value(notes: &Notes) -> Vec<u8> {
    let mut out = notes.encoded();
    crc32fast::hash(&out).encode(&mut out);
    out
}

fn from_value(value: &[u8]) -> Result<Checkpoint, Fault> {
    let wrong = |e: &dyn std::fmt::Display| Fault::index("be read", format_args!("its checkpoint: {e}"));
    let body = Bytes::copy_from_slice(checked(value).map_err(|e| wrong(&e))?);
    let version = rfs_model::Reader::new(&body).u32().map_err(|e| wrong(&e))?;
    if !READABLE.contains(&version) {
        return Err(wrong(&format_args!("version {version} is not known here (this is version {VERSION})")));
    }
    Checkpoint::from_all(&body.slice(4..)).map_err(|e| wrong(&e))
}
