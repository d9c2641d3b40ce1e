//! A brick in a directory of its own, and records without a log.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use rfs_model::op::Fate;
use rfs_model::{FileKind, Index, InodeId, Op};
use tempfile::TempDir;

use crate::tree::testing::{Model, Picture, ROOT_ATTR, TERM, stamped};
use crate::tree::{Checkpoint, Fault, Limits, Tree};

/// A directory for a brick: in `RFS_TEST_DIR` where that is set, on tmpfs when that can hold identities.
pub fn scratch() -> TempDir {
    if let Some(dir) = std::env::var_os("RFS_TEST_DIR") {
        return tempfile::tempdir_in(dir).unwrap();
    }
    let fast = Path::new("/dev/shm");
    if let Ok(dir) = tempfile::tempdir_in(fast)
        && rustix::fs::setxattr(dir.path(), "trusted.rfs.id", b"0", rustix::fs::XattrFlags::empty()).is_ok()
    {
        rustix::fs::removexattr(dir.path(), "trusted.rfs.id").unwrap();
        return dir;
    }
    tempfile::tempdir().unwrap()
}

/// Identity of what the record at `index` makes.
pub fn id(index: u64) -> InodeId {
    InodeId { term: TERM, index: Index(index) }
}

/// A brick and what it should look like.
pub struct Rig {
    pub tree: Tree,
    pub model: Model,
    pub dir: PathBuf,
    _temp: TempDir,
}

impl Rig {
    pub fn new() -> Self {
        let temp = scratch();
        let dir = temp.path().join("brick");
        let tree = Tree::create(&dir, &Limits::default(), ROOT_ATTR, Bytes::from_static(b"genesis")).unwrap();
        Self { tree, model: Model::new(), dir, _temp: temp }
    }

    /// Applies an operation to brick and model, and gives the index it got.
    #[allow(clippy::needless_pass_by_value)]
    pub fn run(&mut self, op: Op) -> Index {
        self.try_run(&op).unwrap()
    }

    pub fn try_run(&mut self, op: &Op) -> Result<Index, Fault> {
        let index = self.tree.applied().next();
        let applied = self.tree.apply(index, TERM, &stamped(index, op.clone()))?;
        if let Some(leftover) = applied.leftover {
            leftover.run()?;
        }
        self.model.apply(index, op);
        Ok(index)
    }

    /// Applies an operation to the brick alone.
    pub fn run_unseen(&mut self, op: &Op) {
        let index = self.tree.applied().next();
        let _ = self.tree.apply(index, TERM, &stamped(index, op.clone())).unwrap();
    }

    /// Makes an inode with plain attributes.
    pub fn make(&mut self, parent: InodeId, name: &str, kind: FileKind) -> InodeId {
        let id = id(self.tree.applied().next().0);
        self.run(make(id, parent, name, kind));
        id
    }

    /// Disk, index and answers agree with the model.
    pub fn check(&mut self) {
        self.tree.end_batch().unwrap();
        let want = self.model.picture();
        Picture::of_brick(&self.dir).assert_is(&want);
        want.assert_index(&self.tree);
    }

    pub fn checkpoint(&mut self, state: &'static [u8]) {
        let job = self.tree.checkpoint_begin(Bytes::from_static(state)).unwrap();
        let done = job.run().unwrap();
        self.tree.checkpoint_done(done).unwrap();
    }

    /// Closes the brick without a word: its directory, and what keeps it.
    pub fn close(self) -> (PathBuf, TempDir) {
        (self.dir, self._temp)
    }

    /// Closes the brick without a word, and opens it again.
    pub fn reopen(&mut self) -> Checkpoint {
        let placeholder = scratch();
        let dir = placeholder.path().join("brick");
        let spare = Tree::create(&dir, &Limits::default(), ROOT_ATTR, Bytes::new()).unwrap();
        drop(std::mem::replace(&mut self.tree, spare));
        self.tree = Tree::open(&self.dir, &Limits::default()).unwrap();
        self.tree.checkpoint().unwrap()
    }
}

pub fn make(id: InodeId, parent: InodeId, name: &str, kind: FileKind) -> Op {
    Op::Make {
        id,
        parent,
        name: Bytes::copy_from_slice(name.as_bytes()),
        kind,
        mode: if kind == FileKind::Dir { 0o755 } else { 0o644 },
        uid: 0,
        gid: 0,
        rdev: if matches!(kind, FileKind::CharDevice | FileKind::BlockDevice) { 0x0105 } else { 0 },
        target: if kind == FileKind::Symlink { Bytes::from_static(b"to/nowhere") } else { Bytes::new() },
        acl_access: Bytes::new(),
        acl_default: Bytes::new(),
    }
}

pub fn name(name: &str) -> Bytes {
    Bytes::copy_from_slice(name.as_bytes())
}

pub fn write(id: InodeId, offset: u64, data: &[u8]) -> Op {
    Op::Write { id, offset, data: Bytes::copy_from_slice(data) }
}

pub fn unlink(id: InodeId, parent: InodeId, old: &str, fate: Fate) -> Op {
    Op::Unlink { id, parent, name: name(old), fate }
}

pub fn rename(id: InodeId, from: (InodeId, &str), to: (InodeId, &str)) -> Op {
    rename_over(id, from, to, InodeId::NIL, Fate::Stays)
}

pub fn rename_over(
    id: InodeId,
    from: (InodeId, &str),
    to: (InodeId, &str),
    replaced: InodeId,
    fate: Fate,
) -> Op {
    Op::Rename { id, from: from.0, from_name: name(from.1), to: to.0, to_name: name(to.1), replaced, fate }
}
