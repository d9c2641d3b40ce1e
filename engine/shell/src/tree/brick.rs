//! A brick's directory: made, opened.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use lru::LruCache;
use rfs_model::{FileKind, Index, InodeId, Term, Timestamp};
use rustix::fs::{CWD, syncfs};

use super::entry::Entry;
use super::handle::Handle;
use super::index::IndexMap;
use super::layout::{INDEX, LIMBO, LOST_AND_FOUND, ORPHANS, PRIVATE};
use super::listing::Listings;
use super::store::{Checkpoint, Notes, Store};
use super::sums::{Settling, SumChanges};
use super::{Fault, Limits, Tree};

/// What the root directory of a new volume looks like: the same on every brick.
#[derive(Clone, Copy, Debug)]
pub struct RootAttr {
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// Its atime, mtime and ctime.
    pub time: Timestamp,
}

impl Tree {
    /// Makes the tree of a new, empty brick in `dir`, which is made too; its checkpoint is index 0 with `state`. Durable on
    /// return. What is in `.rfs` already (a label, a log) is left alone.
    ///
    /// # Errors
    /// [`Fault::NotEmpty`] when `dir` holds anything but `.rfs` and `lost+found`, [`Fault::AlreadyBrick`] when it has an
    /// index, [`Fault::System`].
    pub fn create(dir: &Path, limits: &Limits, root: RootAttr, state: Bytes) -> Result<Self, Fault> {
        fs::create_dir_all(dir).map_err(|e| failed("create", dir, e))?;
        refuse_occupied(dir)?;
        let private = dir.join(PRIVATE);
        for sub in [LIMBO, ORPHANS] {
            fs::create_dir_all(private.join(sub)).map_err(|e| failed("create", &private, e))?;
        }
        let index = private.join(INDEX);
        if index.exists() {
            return Err(Fault::AlreadyBrick(dir.to_owned()));
        }
        make_root(dir, root)?;
        let entry = Entry {
            kind: FileKind::Dir,
            version: Index::ZERO,
            ctime: root.time,
            places: Vec::new(),
            size: None,
        };
        let checkpoint = Checkpoint { index: Index::ZERO, term: Term::ZERO, floor: Index::ZERO, state };
        let root = std::iter::once((InodeId::ROOT, Some(&entry)));
        Store::create(&index)?.commit(&checkpoint, root, &SumChanges::new(), &Notes::default())?;
        let handle = open_dir(dir)?;
        syncfs(handle.fd()).map_err(|e| Fault::system("sync", dir.to_string_lossy(), e))?;
        drop(handle);
        Self::open(dir, limits)
    }

    /// Opens a brick's tree as of its last checkpoint. When the log has records after it, the tree may hold any part of
    /// their effects, and [`Tree::converge`](super::Tree::converge) must come first; until then nothing else may be called.
    ///
    /// # Errors
    /// [`Fault::NoBrick`], [`Fault::Index`] when the index is missing or cannot be believed
    /// ([`rebuild`](super::rebuild) makes a new one), [`Fault::System`].
    pub fn open(dir: &Path, limits: &Limits) -> Result<Self, Fault> {
        let private = dir.join(PRIVATE);
        if !private.is_dir() {
            return Err(Fault::NoBrick(dir.to_owned()));
        }
        let store = Store::open(&private.join(INDEX))?;
        Self::with_store(dir, limits, store)
    }

    pub(super) fn with_store(dir: &Path, limits: &Limits, store: Store) -> Result<Self, Fault> {
        let private = dir.join(PRIVATE);
        for sub in [LIMBO, ORPHANS] {
            fs::create_dir_all(private.join(sub)).map_err(|e| failed("create", &private, e))?;
        }
        let root = Arc::new(open_dir(dir)?);
        let index = IndexMap::new(store, limits.clean_entries)?;
        let checkpoint = index.checkpoint()?;
        let notes = index.notes()?;
        let tree = Self {
            path: dir.to_owned(),
            limbo: Arc::new(open_dir(&private.join(LIMBO))?),
            orphans: Arc::new(open_dir(&private.join(ORPHANS))?),
            index,
            applied: checkpoint.index,
            term: checkpoint.term,
            dirs: LruCache::new(limits.dir_handles).into(),
            files: LruCache::new(limits.file_handles).into(),
            listings: Listings::new(limits.listed_names).into(),
            times: std::cell::RefCell::default(),
            run: std::cell::RefCell::default(),
            found: std::collections::HashMap::new(),
            told: super::foreign::Told::default(),
            doubts: notes.doubts.into_iter().collect(),
            wall: std::cell::Cell::default(),
            dying: std::cell::RefCell::default(),
            settling: Settling::default().into(),
            #[cfg(any(test, feature = "testing"))]
            trip: std::cell::Cell::new(None),
            #[cfg(any(test, feature = "testing"))]
            planted: None,
            root: root.clone(),
        };
        tree.check_identity(&root, InodeId::ROOT)?;
        Ok(tree)
    }
}

/// Gives the brick directory the root's identity and attributes.
pub(super) fn make_root(dir: &Path, attr: RootAttr) -> Result<(), Fault> {
    let path = dir.to_string_lossy();
    let root = open_dir(dir)?;
    root.set_identity(InodeId::ROOT).map_err(|e| Fault::system("set the identity of", path.clone(), e))?;
    root.chown(Some(attr.uid), Some(attr.gid)).map_err(|e| Fault::system("chown", path.clone(), e))?;
    root.chmod(attr.mode).map_err(|e| Fault::system("chmod", path.clone(), e))?;
    root.set_times(Some(attr.time), Some(attr.time)).map_err(|e| Fault::system("set the times of", path, e))
}

/// A brick directory starts empty, or its files would seem to be the volume's on one brick and not on the other.
fn refuse_occupied(dir: &Path) -> Result<(), Fault> {
    for entry in fs::read_dir(dir).map_err(|e| failed("list", dir, e))? {
        let name = entry.map_err(|e| failed("list", dir, e))?.file_name();
        let name = name.as_bytes();
        if name != PRIVATE.as_bytes() && name != LOST_AND_FOUND.as_bytes() {
            let first = String::from_utf8_lossy(name).into_owned();
            return Err(Fault::NotEmpty { dir: dir.to_owned(), first });
        }
    }
    Ok(())
}

pub(super) fn open_dir(path: &Path) -> Result<Handle, Fault> {
    Handle::open_dir(CWD, path.as_os_str().as_bytes())
        .map_err(|e| Fault::system("open", path.to_string_lossy(), e))
}

pub(super) fn failed(doing: &'static str, path: &Path, source: io::Error) -> Fault {
    Fault::System { doing, path: path.to_string_lossy().into_owned(), source }
}
