//! A new index from the tree itself, where the old one is lost: the index is never the only copy of anything but versions
//! and ctimes.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use rfs_model::{FileKind, InodeId, Timestamp};
use rustix::fs::{AtFlags, Stat, statat};

use super::brick::{failed, open_dir};
use super::entry::{Entry, Place};
use super::handle::{Handle, identity_at, kind_of};
use super::index::IndexMap;
use super::layout::{INDEX, LIMBO, LIMBO_DIR, ORPHANS, ORPHANS_DIR, PRIVATE};
use super::listing::names_of;
use super::store::{Checkpoint, Notes, Store};
use super::sums::SumChanges;
use super::{Fault, Limits, Tree};

/// Inodes after which the new index is written.
const BATCH: usize = 8192;

/// A directory to look into.
type SubDir = (InodeId, Box<[u8]>);

struct Scan {
    index: IndexMap,
    checkpoint: Checkpoint,
    /// Files with several links, and their inode numbers: one identity must be one file.
    linked: HashMap<InodeId, (u64, String)>,
    /// Entries that carry no identity and are left out.
    nameless: Vec<String>,
}

/// Makes a new index by a scan of the whole tree and puts it in the old one's place. The tree may be in any state that a
/// crash leaves; `checkpoint` is the last one that is known to have been durable, from which on the log is still there:
/// recovery over that log must follow. All inodes get its index as their version, and ctimes from the file system. Entries
/// without identity are left out, and returned. Slow; durable on return.
///
/// # Errors
/// [`Fault::Twice`] when two files carry one identity, [`Fault::System`], [`Fault::Index`].
pub fn rebuild(dir: &Path, limits: &Limits, checkpoint: Checkpoint) -> Result<Vec<String>, Fault> {
    let private = dir.join(PRIVATE);
    let (new, old) = (private.join(format!("{INDEX}.new")), private.join(INDEX));
    if new.exists() {
        fs::remove_file(&new).map_err(|e| failed("remove", &new, e))?;
    }
    for sub in [LIMBO, ORPHANS] {
        fs::create_dir_all(private.join(sub)).map_err(|e| failed("create", &private, e))?;
    }
    let store = Store::create(&new)?;
    store.commit(&checkpoint, std::iter::empty(), &SumChanges::new(), &unknown())?;
    let index = IndexMap::new(store, limits.clean_entries)?;
    let mut scan = Scan { index, checkpoint, linked: HashMap::new(), nameless: Vec::new() };
    let root = open_dir(dir)?;
    let stat = root.stat().map_err(|e| Fault::system("stat", "/", e))?;
    scan.note(InodeId::ROOT, FileKind::Dir, &stat, None, "/")?;
    scan.below(InodeId::ROOT, root, "/")?;
    scan.below(ORPHANS_DIR, open_dir(&private.join(ORPHANS))?, "/.rfs/orphans/")?;
    scan.below(LIMBO_DIR, open_dir(&private.join(LIMBO))?, "/.rfs/limbo/")?;
    scan.write()?;
    let Scan { index, nameless, .. } = scan;
    drop(index);
    fs::rename(&new, &old).map_err(|e| failed("rename", &new, e))?;
    let synced = fs::File::open(&private).and_then(|dir| dir.sync_all());
    synced.map_err(|e| failed("sync", &private, e))?;
    Tree::open(dir, limits)?;
    Ok(nameless)
}

/// Nobody knows what has changed since when: the recovery that follows looks at everything.
fn unknown() -> Notes {
    Notes { sweep: Some(Timestamp::default()), ..Notes::default() }
}

impl Scan {
    /// Walks down and up with two open directories, however deep the tree is.
    fn below(&mut self, top: InodeId, handle: Handle, path: &str) -> Result<(), Fault> {
        let mut handle = handle;
        let mut levels = vec![(path.to_owned(), self.list(top, &handle, path)?)];
        while let Some((path, dirs)) = levels.last_mut() {
            if let Some((id, name)) = dirs.pop() {
                let path = format!("{path}{}/", String::from_utf8_lossy(&name));
                handle =
                    Handle::open_dir(handle.fd(), &name).map_err(|e| Fault::system("open", &*path, e))?;
                let dirs = self.list(id, &handle, &path)?;
                levels.push((path, dirs));
            } else {
                let path = std::mem::take(path);
                levels.pop();
                if !levels.is_empty() {
                    handle =
                        Handle::open_dir(handle.fd(), b"..").map_err(|e| Fault::system("leave", path, e))?;
                }
            }
        }
        Ok(())
    }

    /// Notes what is in one directory, and gives the directories in it.
    fn list(&mut self, dir: InodeId, handle: &Handle, path: &str) -> Result<Vec<SubDir>, Fault> {
        let wrong = |e| Fault::system("list", path, e);
        let mut dirs = Vec::new();
        for name in names_of(dir, handle.scan().map_err(wrong)?).map_err(wrong)? {
            let name = name.map_err(wrong)?;
            let path = format!("{path}{}", String::from_utf8_lossy(&name));
            let wrong = |e| Fault::system("stat", path.clone(), e);
            let stat = statat(handle.fd(), &*name, AtFlags::SYMLINK_NOFOLLOW).map_err(wrong)?;
            let id = identity_at(handle.fd(), &name).map_err(wrong)?.flatten();
            let (Some(id), Some(kind)) = (id, kind_of(&stat)) else {
                self.nameless.push(path);
                continue;
            };
            let place = (dir != ORPHANS_DIR).then(|| Place::new(dir, &name));
            self.note(id, kind, &stat, place, &path)?;
            if kind == FileKind::Dir {
                dirs.push((id, name));
            }
        }
        Ok(dirs)
    }

    fn note(
        &mut self,
        id: InodeId,
        kind: FileKind,
        stat: &Stat,
        place: Option<Place>,
        path: &str,
    ) -> Result<(), Fault> {
        let known = self.index.get(id)?;
        if let Some(known) = &known {
            let first = self.linked.get(&id).filter(|(ino, _)| *ino == stat.st_ino);
            if first.is_none() || known.kind != kind {
                let first = self.linked.get(&id).map_or("another place", |(_, path)| path).to_owned();
                return Err(Fault::Twice { id, first, second: path.to_owned() });
            }
        } else if kind != FileKind::Dir && stat.st_nlink > 1 {
            self.linked.insert(id, (stat.st_ino, path.to_owned()));
        }
        let ctime = Timestamp { secs: stat.st_ctime, nanos: stat.st_ctime_nsec as u32 };
        // Whether a file has the size that it was given, a scan cannot tell.
        let version = self.checkpoint.index;
        let new = || Arc::new(Entry { kind, version, ctime, places: Vec::new(), size: None });
        let mut entry = known.unwrap_or_else(new);
        if let Some(place) = place {
            Arc::make_mut(&mut entry).add_place(place);
        }
        self.index.put(id, entry);
        if self.index.dirty_entries() >= BATCH { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<(), Fault> {
        let (store, changes, sums) = self.index.freeze();
        store.commit(
            &self.checkpoint,
            changes.iter().map(|(id, entry)| (*id, entry.as_deref())),
            &sums,
            &unknown(),
        )?;
        self.index.thaw()
    }
}
