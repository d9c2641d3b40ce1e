//! The brick's directory, and the world around it that must stay as it is.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// What is seen of a file: all that a write, a rename or an attribute would change.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    mode: u32,
    owner: (u32, u32),
    links: u64,
    changed: (i64, i64),
    content: Vec<u8>,
}

/// See the module.
pub struct Room {
    dir: TempDir,
    outside: BTreeMap<PathBuf, Seen>,
}

const CANARY: &[u8] = b"nothing of the volume's";

impl Room {
    /// # Panics
    /// When a directory cannot be made.
    #[must_use]
    pub fn new() -> Self {
        let fast = Path::new("/dev/shm");
        let dir = if fast.is_dir() { tempfile::tempdir_in(fast) } else { tempfile::tempdir() };
        let dir = dir.expect("a directory");
        let outside = dir.path().join("outside");
        for sub in [&dir.path().join("brick"), &outside, &outside.join("sub")] {
            fs::create_dir(sub).expect("a directory");
        }
        for file in ["canary", "sub/a", "a"] {
            fs::write(outside.join(file), CANARY).expect("a canary");
        }
        let seen = look(&outside);
        Self { dir, outside: seen }
    }

    #[must_use]
    pub fn brick(&self) -> PathBuf {
        self.dir.path().join("brick")
    }

    /// Puts ways out into the brick, under names that hostile records use. They are nobody's: no identity is on them.
    ///
    /// # Panics
    /// When the brick's directory is not there.
    pub fn set_traps(&self) {
        let outside = self.dir.path().join("outside");
        for (name, target) in
            [("out", outside.clone()), ("canary", outside.join("canary")), ("c", outside.join("sub"))]
        {
            symlink(target, self.brick().join(name)).expect("a trap");
        }
        fs::write(self.brick().join(".rfs/label"), CANARY).expect("a label");
    }

    /// # Panics
    /// When anything outside the brick has changed, or the brick's own has something that nobody put there.
    pub fn check(&self) {
        assert_eq!(look(&self.dir.path().join("outside")), self.outside, "the world outside has changed");
        let mut beside: Vec<_> = names(self.dir.path());
        beside.sort_unstable();
        assert_eq!(beside, [&b"brick"[..], b"outside"], "something was made beside the brick");
        let own = self.brick().join(".rfs");
        for name in names(&own) {
            let known = [&b"label"[..], b"limbo", b"orphans", b"foreign", b"index.redb"];
            assert!(known.contains(&&name[..]), "{:?} in .rfs", String::from_utf8_lossy(&name));
        }
        if let Ok(label) = fs::read(own.join("label")) {
            let written = rfs_model::label::Label::from_bytes(&label).is_ok();
            assert!(label == CANARY || written, "the label has changed");
        }
    }
}

impl Default for Room {
    fn default() -> Self {
        Self::new()
    }
}

fn names(dir: &Path) -> Vec<Vec<u8>> {
    let all = fs::read_dir(dir).expect("a directory");
    all.map(|entry| entry.expect("an entry").file_name().as_bytes().to_vec()).collect()
}

fn look(dir: &Path) -> BTreeMap<PathBuf, Seen> {
    let mut seen = BTreeMap::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for path in fs::read_dir(&dir).expect("a directory").map(|entry| entry.expect("an entry").path()) {
            let meta = path.symlink_metadata().expect("what is there");
            let content = if meta.is_file() { fs::read(&path).expect("a file") } else { Vec::new() };
            if meta.is_dir() {
                dirs.push(path.clone());
            }
            let (owner, changed) = ((meta.uid(), meta.gid()), (meta.ctime(), meta.ctime_nsec()));
            seen.insert(path, Seen { mode: meta.mode(), owner, links: meta.nlink(), changed, content });
        }
    }
    seen
}
