//! The side that gets the tree.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use rfs_model::label::{BrickState, Label};
use rfs_model::limits::FILE_BYTES;
use rfs_model::resync::{Body, Item};
use rfs_model::sound::fits;
use rfs_model::{FileKind, Index, InodeId, Term, Timestamp};
use rustix::fs::ftruncate;

use super::wipe::Wipe;
use crate::tree::apply::Dress;
use crate::tree::brick::{RootAttr, failed, make_root};
use crate::tree::handle::{Access, Handle};
use crate::tree::layout::{INDEX, LIMBO, LIMBO_DIR, ORPHANS, PRIVATE, is_private, is_private_xattr};
use crate::tree::moves::NewNode;
use crate::tree::resolve::orphan_place;
use crate::tree::store::{Checkpoint, Notes, Store};
use crate::tree::sums::{BLOCK, SumChanges};
use crate::tree::times::Times;
use crate::tree::{Entry, Fault, Limits, Place, Tree, write_label};

/// Inodes after which the index is written: what has not been is held in memory.
const BATCH: usize = 8192;

/// How far a copy is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    pub inodes: u64,
    /// Inodes of the checkpoint that is copied.
    pub total: u64,
    pub bytes: u64,
}

/// A copy being written; may run on any thread. Until [`Sink::take`] has got the last item the brick's label says
/// `resyncing`, and a crash means that the copy starts over.
pub struct Sink {
    tree: Tree,
    label: Label,
    begun: Option<Begun>,
    /// Directories that have children already and wait in limbo for their own item.
    early: HashSet<InodeId>,
    /// Set at the very end: each child that is made changes its directory's.
    dir_times: HashMap<InodeId, Times>,
    /// The file whose items are coming, and its times.
    current: Option<(InodeId, Option<Times>)>,
    progress: Progress,
    done: bool,
}

/// What the copy is of.
struct Begun {
    at: Index,
    term: Term,
    state: BytesMut,
}

impl Sink {
    /// Says on disk that the brick's tree means nothing any more, and gives what removes it. Durable on return.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn begin(dir: &Path, label: Label) -> Result<Wipe, Fault> {
        write_label(dir, &Label { state: BrickState::Resyncing, ..label })?;
        let private = dir.join(PRIVATE);
        for sub in [LIMBO, ORPHANS] {
            fs::create_dir_all(private.join(sub)).map_err(|e| failed("create", &private, e))?;
        }
        remove(&private.join(INDEX))?;
        Wipe::new(dir)
    }

    /// Starts to build, in a directory that has been wiped.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn new(dir: &Path, limits: &Limits, label: Label) -> Result<Self, Fault> {
        let index = dir.join(PRIVATE).join(INDEX);
        remove(&index)?;
        let time = Timestamp::default();
        make_root(dir, RootAttr { mode: 0o700, uid: 0, gid: 0, time })?;
        let entry =
            Entry { kind: FileKind::Dir, version: Index::ZERO, ctime: time, places: Vec::new(), size: None };
        let nowhere =
            Checkpoint { index: Index::ZERO, term: Term::ZERO, floor: Index::ZERO, state: Bytes::new() };
        let store = Store::create(&index)?;
        store.commit(
            &nowhere,
            std::iter::once((InodeId::ROOT, Some(&entry))),
            &SumChanges::new(),
            &Notes::default(),
        )?;
        let tree = Tree::with_store(dir, limits, store)?;
        for name in tree.root.xattr_names().map_err(|e| Fault::system("list the attributes of", "/", e))? {
            if !is_private_xattr(&name) {
                let gone = tree.root.remove_xattr(&name);
                gone.map_err(|e| Fault::system("remove an attribute of", "/", e))?;
            }
        }
        Ok(Self {
            tree,
            label,
            begun: None,
            early: HashSet::from([InodeId::ROOT]),
            dir_times: HashMap::new(),
            current: None,
            progress: Progress::default(),
            done: false,
        })
    }

    #[must_use]
    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// Where the last inode is, for people.
    #[must_use]
    pub fn path(&self) -> String {
        self.current.map_or_else(String::new, |(id, _)| self.tree.path_of(id))
    }

    /// Whether the last item was taken: the brick is durable and live, at the copied checkpoint, and must be opened and
    /// converged next.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// Takes the next item.
    ///
    /// # Errors
    /// [`Fault::Copy`] for items that do not make a tree, [`Fault`]. The copy must then start over.
    pub fn take(&mut self, item: Item) -> Result<(), Fault> {
        if self.done || self.begun.is_none() != matches!(item, Item::Begin { .. }) {
            return Err(Fault::Copy("its pieces come in a wrong order".into()));
        }
        match item {
            Item::Begin { at, term, inodes } => {
                self.progress.total = inodes;
                self.begun = Some(Begun { at, term, state: BytesMut::new() });
            }
            Item::State { data } => {
                if let Some(begun) = &mut self.begun {
                    begun.state.extend_from_slice(&data);
                }
            }
            Item::Inode { id, kind, version, ctime, places, body } => {
                let places = checked(&places)?;
                let size = body.as_ref().filter(|_| kind == FileKind::File).map(|body| body.size);
                self.inode(id, Entry { kind, version, ctime, places, size }, body)?;
            }
            Item::Places { id, places } => {
                self.expect(id)?;
                for place in checked(&places)? {
                    self.link(id, place)?;
                }
            }
            Item::Data { id, offset, data } => {
                self.expect(id)?;
                if !fits(offset, data.len() as u64) {
                    return Err(Fault::Copy(format!("inode {id} would be too large")));
                }
                self.progress.bytes += data.len() as u64;
                self.tree.write(id, offset, &data)?;
            }
            Item::Rotten { id, block } => {
                self.expect(id)?;
                if block > FILE_BYTES / BLOCK {
                    return Err(Fault::Copy(format!("inode {id} would be too large")));
                }
                self.tree.take_as_rotten(id, block)?;
            }
            Item::Xattr { id, name, value } => self.xattr(id, &name, &value)?,
            Item::End { until, inodes, bytes } => return self.end(until, inodes, bytes),
        }
        Ok(())
    }

    fn expect(&self, id: InodeId) -> Result<(), Fault> {
        match self.current {
            Some((current, _)) if current == id => Ok(()),
            _ => Err(Fault::Copy(format!("a piece of inode {id} comes without its head"))),
        }
    }

    fn inode(&mut self, id: InodeId, entry: Entry, body: Option<Body>) -> Result<(), Fault> {
        self.finish_current()?;
        let early = self.early.remove(&id);
        if !early && self.tree.index.get(id)?.is_some() || early && entry.kind != FileKind::Dir {
            return Err(Fault::Copy(format!("inode {id} comes twice")));
        }
        let mut places = entry.places.clone().into_iter();
        let first = places.next();
        if id == InodeId::ROOT && first.is_some() {
            return Err(Fault::Copy("the root has a name".into()));
        }
        let first = first.unwrap_or_else(|| orphan_place(id));
        if id != InodeId::ROOT {
            self.ensure_dir(first.parent)?;
            self.settle_at(id, &first, early, &entry, body.as_ref())?;
        }
        let (kind, mut bare) = (entry.kind, entry);
        bare.places.truncate(1);
        self.tree.index.put(id, Arc::new(bare));
        let times = body.map(|body| self.dress(id, kind, &body)).transpose()?;
        self.current = Some((id, times));
        for place in places {
            self.link(id, place)?;
        }
        self.progress.inodes += 1;
        if self.tree.dirty_entries() >= BATCH {
            self.write_index()?;
        }
        Ok(())
    }

    /// Makes the inode at its first place, or moves it there from where it waited.
    fn settle_at(
        &self,
        id: InodeId,
        place: &Place,
        early: bool,
        entry: &Entry,
        body: Option<&Body>,
    ) -> Result<(), Fault> {
        if early {
            return self.tree.move_entry(id, &waiting(id), place, false);
        }
        let target: &[u8] = match body {
            Some(body) => &body.target,
            None if entry.kind == FileKind::Symlink => b"gone",
            None => b"",
        };
        let rdev = body.map_or(0, |body| body.rdev);
        self.tree.make_node(place, &NewNode { id, kind: entry.kind, mode: 0o600, rdev, target })?;
        Ok(())
    }

    /// A directory that children can be made in, whether its own item has come or not.
    fn ensure_dir(&mut self, dir: InodeId) -> Result<(), Fault> {
        if self.tree.index.get(dir)?.is_some() || dir.term == LIMBO_DIR.term {
            return Ok(());
        }
        let new = NewNode { id: dir, kind: FileKind::Dir, mode: 0o700, rdev: 0, target: b"" };
        self.tree.make_node(&waiting(dir), &new)?;
        let (version, ctime) = (Index::ZERO, Timestamp::default());
        let entry = Entry { kind: FileKind::Dir, version, ctime, places: vec![waiting(dir)], size: None };
        self.tree.index.put(dir, Arc::new(entry));
        self.early.insert(dir);
        Ok(())
    }

    fn dress(&self, id: InodeId, kind: FileKind, body: &Body) -> Result<Times, Fault> {
        let handle = self.handle(id)?;
        let none = Bytes::new();
        let Body { mode, uid, gid, size, .. } = *body;
        let dress = Dress { kind, mode, uid, gid, acl_access: &none, acl_default: &none };
        dress
            .put_on(&handle, true)
            .and_then(|()| if kind == FileKind::File { ftruncate(handle.fd(), size) } else { Ok(()) })
            .map_err(|e| Fault::system("set the attributes of", self.tree.path_of(id), e))?;
        Ok(Times { atime: Some(body.atime), mtime: Some(body.mtime) })
    }

    fn handle(&self, id: InodeId) -> Result<Arc<Handle>, Fault> {
        let entry = self.tree.known("open", id)?;
        self.tree.handle(id, &entry, Access::Write)
    }

    fn link(&mut self, id: InodeId, place: Place) -> Result<(), Fault> {
        self.ensure_dir(place.parent)?;
        let entry = self.tree.known("link", id)?;
        if entry.kind == FileKind::Dir || entry.places.is_empty() {
            return Err(Fault::Copy(format!("inode {id} cannot have another name")));
        }
        self.tree.link_entry(id, &self.tree.place_of(id, &entry), &place)?;
        self.tree.index.update(id, |entry| entry.add_place(place))?;
        Ok(())
    }

    fn xattr(&self, id: InodeId, name: &[u8], value: &[u8]) -> Result<(), Fault> {
        self.expect(id)?;
        // Writing takes file capabilities away, so data must be in the file before them.
        self.tree.flush()?;
        self.tree.set_xattr(id, name, value)
    }

    /// The inode before has all its items.
    fn finish_current(&mut self) -> Result<(), Fault> {
        self.tree.flush()?;
        self.tree.keep_sizes()?;
        let Some((id, Some(times))) = self.current.take() else { return Ok(()) };
        if self.tree.known("finish", id)?.kind == FileKind::Dir {
            self.dir_times.insert(id, times);
            return Ok(());
        }
        let set = self.handle(id)?.set_times(times.atime, times.mtime);
        set.map_err(|e| Fault::system("set the times of", self.tree.path_of(id), e))
    }

    /// Writes what the index has in memory; the brick stays one that is being copied to.
    fn write_index(&mut self) -> Result<(), Fault> {
        let checkpoint = self.tree.index.checkpoint()?;
        self.commit(&checkpoint)
    }

    fn commit(&mut self, checkpoint: &Checkpoint) -> Result<(), Fault> {
        let (store, changes, sums) = self.tree.index.freeze();
        store.commit(
            checkpoint,
            changes.iter().map(|(id, entry)| (*id, entry.as_deref())),
            &sums,
            &Notes::default(),
        )?;
        self.tree.index.thaw()
    }

    fn end(&mut self, until: Index, inodes: u64, bytes: u64) -> Result<(), Fault> {
        self.finish_current()?;
        let Progress { inodes: got, total, bytes: got_bytes } = self.progress;
        if (got, total, got_bytes) != (inodes, inodes, bytes) || !self.early.is_empty() {
            return Err(Fault::Copy(format!(
                "{got} of {inodes} inodes and {got_bytes} of {bytes} bytes came"
            )));
        }
        for (id, times) in std::mem::take(&mut self.dir_times) {
            self.tree.set_later(id, times);
        }
        self.tree.end_batch()?;
        rustix::fs::syncfs(self.tree.root.fd()).map_err(|e| Fault::system("sync", "/", e))?;
        let Some(Begun { at, term, state }) = self.begun.take() else {
            return Err(Fault::Copy("it ends before it begins".into()));
        };
        if until < at {
            return Err(Fault::Copy(format!("it ends at {until}, before its checkpoint {at}")));
        }
        self.commit(&Checkpoint { index: at, term, floor: until, state: state.freeze() })?;
        write_label(self.tree.path(), &Label { state: BrickState::Live, ..self.label })?;
        self.done = true;
        Ok(())
    }
}

/// Where a directory waits that has children before its own item has come.
fn waiting(id: InodeId) -> Place {
    Place::new(LIMBO_DIR, id.to_string().as_bytes())
}

/// Places as another brick names them: single components, and none of them the brick's own.
fn checked(places: &[(InodeId, Bytes)]) -> Result<Vec<Place>, Fault> {
    let good = |(parent, name): &(InodeId, Bytes)| {
        let odd =
            name.is_empty() || name.iter().any(|b| matches!(b, 0 | b'/')) || name == "." || name == "..";
        if odd || is_private(*parent, name) || parent.term == LIMBO_DIR.term {
            return Err(Fault::Copy(format!("{:?} is no name", String::from_utf8_lossy(name))));
        }
        Ok(Place::new(*parent, name))
    };
    places.iter().map(good).collect()
}

fn remove(path: &PathBuf) -> Result<(), Fault> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(failed("remove", path, e)),
        _ => Ok(()),
    }
}
