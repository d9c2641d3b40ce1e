//! Setting a tail aside.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use bytes::Bytes;
use rfs_model::codec::{Decode, Encode};
use rfs_model::op::{Op, Stamped};
use rfs_model::{FileKind, Index, InodeId, Record, RecordKind};

use super::list::{Did, Entry, Kind, List, VERSION};
use super::{FILES, RECORDS, Tail};
use crate::tree::{Fault, Tree};

/// The brick's log, read as often as asked.
pub trait Records {
    /// Calls `each` with all records from `from` to the log's end, in order.
    ///
    /// # Errors
    /// Those of `each`, at once; [`Fault::Log`] when the log cannot be read.
    fn each(&mut self, from: Index, each: &mut dyn FnMut(&Record) -> Result<(), Fault>) -> Result<(), Fault>;
}

/// What the tail did, by inode and by name.
#[derive(Default)]
struct Touched {
    inodes: BTreeMap<InodeId, Did>,
    /// Names that went away: whose they were, and where.
    gone: Vec<(InodeId, InodeId, Bytes)>,
}

impl Touched {
    fn note(&mut self, id: InodeId, did: Did) {
        let known = self.inodes.entry(id).or_insert(did);
        if *known == Did::Changed {
            *known = did;
        }
    }

    fn fold(&mut self, op: &Op) {
        match op {
            Op::Make { id, .. } => self.note(*id, Did::Created),
            Op::Link { id, .. } => self.note(*id, Did::Changed),
            Op::Unlink { id, parent, name, .. } => self.gone.push((*id, *parent, name.clone())),
            Op::Rename { id, from, from_name, to, to_name, replaced, .. } => {
                self.note(*id, Did::Renamed);
                self.gone.push((*id, *from, from_name.clone()));
                if *replaced != InodeId::NIL {
                    self.gone.push((*replaced, *to, to_name.clone()));
                }
            }
            Op::Exchange { id, other, .. } => {
                self.note(*id, Did::Renamed);
                self.note(*other, Did::Renamed);
            }
            Op::Write { id, .. }
            | Op::SetAttr { id, .. }
            | Op::SetXattr { id, .. }
            | Op::RemoveXattr { id, .. }
            | Op::Allocate { id, .. } => self.note(*id, Did::Changed),
            Op::Reap { .. }
            | Op::Lock { .. }
            | Op::Unlock { .. }
            | Op::SessionOpen { .. }
            | Op::SessionClose {}
            | Op::Compare { .. } => {}
        }
    }
}

fn failed(doing: &'static str, path: &Path, source: io::Error) -> Fault {
    Fault::System { doing, path: path.to_string_lossy().into_owned(), source }
}

/// Sets a tail aside. `tree` shows the end of the tail; nothing of it is changed. Blocks. Durable on return.
///
/// # Errors
/// [`Fault`]: nothing may be taken from the brick then. Called again, it starts over.
pub fn set_aside(tree: &Tree, tail: &Tail, log: &mut dyn Records) -> Result<usize, Fault> {
    let (brick, home) = (tree.path().to_owned(), tail.home(tree.path()));
    match fs::remove_dir_all(&home) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(failed("remove", &home, e)),
        _ => {}
    }
    let files = home.join(FILES);
    fs::create_dir_all(&files).map_err(|e| failed("create", &files, e))?;
    let touched = keep_records(&home.join(RECORDS), tail, log)?;
    let mut inodes = touched.inodes.clone();
    if tail.common < tail.base {
        // The log has lost a part of the tail; the index still knows what was changed by it.
        for id in tree.changed_after(tail.common)? {
            inodes.entry(id).or_insert(Did::Changed);
        }
    }
    let mut entries = Vec::new();
    for (id, did) in inodes.iter().filter(|(id, _)| **id != InodeId::ROOT) {
        for (path, kind) in tree.places_of(*id)? {
            entries.push(keep(&brick, &files, &path, *did, kind)?);
        }
    }
    entries.extend(removed(tree, &touched)?);
    entries.sort_by(|a, b| (&a.path, a.did == Did::Removed).cmp(&(&b.path, b.did == Did::Removed)));
    let count = entries.len();
    let list = List {
        version: VERSION,
        common: tail.common.0,
        term: tail.last.term.0,
        index: tail.last.index.0,
        set_aside_ms: ms_since_1970(SystemTime::now()),
        settled: false,
        entries,
    };
    list.save(&home).map_err(|e| failed("write the list in", &home, e))?;
    let dir = File::open(&home).map_err(|e| failed("open", &home, e))?;
    rustix::fs::syncfs(&dir).map_err(|e| failed("sync", &home, e.into()))?;
    Ok(count)
}

/// Copies the tail's records, and learns from them what it touched.
fn keep_records(path: &Path, tail: &Tail, log: &mut dyn Records) -> Result<Touched, Fault> {
    let file = File::create(path).map_err(|e| failed("create", path, e))?;
    let (mut out, mut bytes, mut touched) = (BufWriter::new(file), Vec::new(), Touched::default());
    log.each(tail.first(), &mut |record| {
        bytes.clear();
        record.encode(&mut bytes);
        out.write_all(&bytes).map_err(|e| failed("write", path, e))?;
        if record.meta.kind == RecordKind::Op {
            let stamped = Stamped::from_all(&record.payload)
                .map_err(|e| Fault::Log(format!("record {}: {e}", record.meta.index)))?;
            touched.fold(&stamped.op);
        }
        Ok(())
    })?;
    out.flush().map_err(|e| failed("write", path, e))?;
    Ok(touched)
}

/// Keeps one path: a file by a link, a directory by a new one of the same owner and mode.
fn keep(brick: &Path, files: &Path, path: &Path, did: Did, kind: FileKind) -> Result<Entry, Fault> {
    let (from, to) = (brick.join(path), files.join(path));
    let meta = fs::symlink_metadata(&from).map_err(|e| failed("look at", &from, e))?;
    let kind = match kind {
        FileKind::Dir => Kind::Dir,
        FileKind::File => Kind::File,
        FileKind::Symlink => Kind::Symlink,
        _ => Kind::Special,
    };
    if kind == Kind::Dir {
        make_dirs(brick, files, path)?;
    } else {
        make_dirs(brick, files, path.parent().unwrap_or(Path::new("")))?;
        match fs::hard_link(&from, &to) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(failed("link", &to, e)),
            _ => {}
        }
    }
    let mut entry = Entry::new(path, did, kind);
    entry.size = if kind == Kind::File { meta.len() } else { 0 };
    entry.mtime_ms = meta.modified().map_or(0, ms_since_1970);
    Ok(entry)
}

/// Makes a directory of the volume under `files`, and those that it is in.
fn make_dirs(brick: &Path, files: &Path, path: &Path) -> Result<(), Fault> {
    let mut done = PathBuf::new();
    for part in path.components() {
        done.push(part);
        let (from, to) = (brick.join(&done), files.join(&done));
        match fs::create_dir(&to) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => continue,
            Err(e) => return Err(failed("create", &to, e)),
        }
        let meta = fs::symlink_metadata(&from).map_err(|e| failed("look at", &from, e))?;
        std::os::unix::fs::chown(&to, Some(meta.uid()), Some(meta.gid()))
            .map_err(|e| failed("chown", &to, e))?;
        let mode = fs::Permissions::from_mode(meta.mode() & 0o7777);
        fs::set_permissions(&to, mode).map_err(|e| failed("chmod", &to, e))?;
    }
    Ok(())
}

/// Names that the tail took away and that nobody has now. What it had made itself does not count.
fn removed(tree: &Tree, touched: &Touched) -> Result<Vec<Entry>, Fault> {
    let places: HashMap<InodeId, (InodeId, &Bytes)> =
        touched.gone.iter().map(|(id, parent, name)| (*id, (*parent, name))).collect();
    let mut out = Vec::new();
    for (id, parent, name) in &touched.gone {
        let made_here = touched.inodes.get(id) == Some(&Did::Created);
        let Some(dir) = path_then(tree, &places, *parent)?.filter(|_| !made_here) else { continue };
        let path = dir.join(std::ffi::OsStr::from_bytes(name));
        let nobody = fs::symlink_metadata(tree.path().join(&path)).is_err();
        if nobody && !out.iter().any(|e: &Entry| e.place() == path) {
            out.push(Entry::new(&path, Did::Removed, Kind::File));
        }
    }
    Ok(out)
}

/// Where a directory is, or was before the tail removed it; `None` for one that cannot be told.
fn path_then(
    tree: &Tree,
    gone: &HashMap<InodeId, (InodeId, &Bytes)>,
    dir: InodeId,
) -> Result<Option<PathBuf>, Fault> {
    let (mut names, mut at) = (Vec::new(), dir);
    loop {
        if at == InodeId::ROOT {
            return Ok(Some(names.iter().rev().collect()));
        }
        if let Some((path, _)) = tree.places_of(at)?.into_iter().next() {
            return Ok(Some(names.iter().rev().fold(path, |path: PathBuf, name: &PathBuf| path.join(name))));
        }
        let Some((parent, name)) = gone.get(&at).filter(|_| names.len() < 4096) else { return Ok(None) };
        names.push(PathBuf::from(std::ffi::OsStr::from_bytes(name)));
        at = *parent;
    }
}

fn ms_since_1970(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
