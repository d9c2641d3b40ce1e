//! The index on disk: one redb file with two tables. It is exactly at its checkpoint, always: one durable transaction
//! moves it from one to the next.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use redb::{
    Builder, Database, Durability, ReadOnlyTable, ReadTransaction, ReadableDatabase, TableDefinition,
};
use rfs_model::{Decode, Encode, Index, InodeId, Term};

use super::Fault;
use super::entry::{Entry, checked};

/// Identity (as in the xattr) to [`Entry::to_value`].
const INODES: TableDefinition<&[u8; InodeId::BYTES], &[u8]> = TableDefinition::new("inodes");
/// One key, `checkpoint`.
const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");
const CHECKPOINT: &str = "checkpoint";
/// Version of this layout. 1: tables `inodes` and `meta`, values end in their CRC-32.
const VERSION: u32 = 1;
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

#[derive(Clone, Debug)]
pub(super) struct Store {
    db: Arc<Database>,
}

/// The index as of one checkpoint, however many come after.
pub(super) struct Snapshot {
    txn: ReadTransaction,
    inodes: ReadOnlyTable<&'static [u8; InodeId::BYTES], &'static [u8]>,
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
    ) -> Result<(), Fault> {
        let wrong = |e: redb::Error| Fault::index("be written", e);
        let mut txn = self.db.begin_write().map_err(|e| wrong(e.into()))?;
        txn.set_durability(Durability::Immediate).map_err(|e| wrong(e.into()))?;
        // A little more to write once in a checkpoint, and no scan of the whole file after a crash.
        txn.set_quick_repair(true);
        {
            let mut inodes = txn.open_table(INODES).map_err(|e| wrong(e.into()))?;
            for (id, entry) in changes {
                match entry {
                    Some(entry) => inodes.insert(&id.to_bytes(), entry.to_value().as_slice()),
                    None => inodes.remove(&id.to_bytes()),
                }
                .map_err(|e| wrong(e.into()))?;
            }
            let mut meta = txn.open_table(META).map_err(|e| wrong(e.into()))?;
            meta.insert(CHECKPOINT, to_value(checkpoint).as_slice()).map_err(|e| wrong(e.into()))?;
        }
        txn.commit().map_err(|e| wrong(e.into()))
    }

    pub(super) fn snapshot(&self) -> Result<Snapshot, Fault> {
        let wrong = |e: redb::Error| Fault::index("be read", e);
        let txn = self.db.begin_read().map_err(|e| wrong(e.into()))?;
        let inodes = txn.open_table(INODES).map_err(|e| wrong(e.into()))?;
        Ok(Snapshot { txn, inodes })
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

    pub(super) fn len(&self) -> Result<u64, Fault> {
        use redb::ReadableTableMetadata;
        self.inodes.len().map_err(|e| Fault::index("be read", e))
    }
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

fn from_value(value: &[u8]) -> Result<Checkpoint, Fault> {
    let wrong = |e: &dyn std::fmt::Display| Fault::index("be read", format_args!("its checkpoint: {e}"));
    let body = Bytes::copy_from_slice(checked(value).map_err(|e| wrong(&e))?);
    let version = rfs_model::Reader::new(&body).u32().map_err(|e| wrong(&e))?;
    if version != VERSION {
        return Err(wrong(&format_args!("version {version} is not known here (this is version {VERSION})")));
    }
    Checkpoint::from_all(&body.slice(4..)).map_err(|e| wrong(&e))
}
