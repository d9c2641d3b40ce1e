//! `pool.toml` in the state directory: who this node is and what it knows of the pool. Beside it, `lock` keeps a second
//! daemon out.
//!
//! The file is TOML, its last line a comment with the CRC-32 of all before it: half a file would be valid TOML too, and a
//! daemon that believed it would forget its bricks.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rfs_model::admin::{NodeEntry, PoolSecret, PoolState};
use rfs_model::hello::BrickPlace;
use rfs_model::ids::{BrickId, NodeId, VolumeId};
use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};

use super::auth::{random, random_uuid};
use crate::durable;

/// Name of the file in the state directory.
pub const FILE: &str = "pool.toml";
/// Layout of the file: 1 is the first one.
const FORMAT: u32 = 1;
/// What stands before the checksum in the last line.
const CHECKSUM: &str = "# crc32 ";

/// A volume that was prepared here and of which the coordinator has not said yet whether it will be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    pub volume: VolumeId,
    pub coordinator: NodeId,
    pub name: String,
    /// This node's brick, if it has one.
    pub path: Option<PathBuf>,
    /// Directories that had to be made for it, outermost first.
    pub made: Vec<PathBuf>,
    pub bricks: Vec<BrickPlace>,
}

/// What another node is still to be told about something that was decided here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Commit,
    Abort,
    Delete,
    /// The node was detached; `volume` is nil.
    Leave,
}

/// A verdict on its way: kept until the node has confirmed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Errand {
    pub to: NodeId,
    pub volume: VolumeId,
    pub verdict: Verdict,
}

/// The content of `pool.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolFile {
    format: u32,
    pub node: NodeId,
    pub name: String,
    pub secret: PoolSecret,
    /// Committed bricks of this node. This is what is opened at start; the pool's state is hearsay.
    #[serde(default)]
    pub bricks: BTreeMap<VolumeId, PathBuf>,
    /// Which of the directories that were ever there it is, for bricks that `brick replace` made.
    #[serde(default)]
    pub brick_ids: BTreeMap<VolumeId, BrickId>,
    #[serde(default)]
    pub pending: Vec<Pending>,
    #[serde(default)]
    pub errands: Vec<Errand>,
    #[serde(default)]
    pub pool: PoolState,
}

impl PoolFile {
    /// The content of the file, checksum and all.
    ///
    /// # Errors
    /// One line.
    pub fn parse(text: &str) -> Result<Self, String> {
        parse(text).map_err(|problem| match problem {
            Problem::Newer(format) => format!("format {format} is not known here"),
            Problem::Text(why) => why,
        })
    }

    /// A node nobody has heard of, in a pool of its own.
    ///
    /// # Errors
    /// When the kernel gives no random numbers.
    pub fn new(name: &str, port: u16) -> io::Result<Self> {
        let mut file = Self {
            format: FORMAT,
            node: NodeId(random_uuid()?),
            name: name.to_owned(),
            secret: PoolSecret::new(random()?),
            bricks: BTreeMap::new(),
            brick_ids: BTreeMap::new(),
            pending: Vec::new(),
            errands: Vec::new(),
            pool: PoolState::default(),
        };
        file.introduce(name, port);
        Ok(file)
    }

    /// Makes the node's own entry say `name` and `name:port`; true when it did not.
    pub fn introduce(&mut self, name: &str, port: u16) -> bool {
        name.clone_into(&mut self.name);
        let address = format!("{name}:{port}");
        let known = self.pool.nodes.get(&self.node);
        if known.is_some_and(|e| !e.removed && e.addresses.contains(&address)) {
            return false;
        }
        let version = known.map_or(0, |e| e.version) + 1;
        let mut addresses = known.map_or_else(Vec::new, |e| e.addresses.clone());
        addresses.insert(0, address);
        addresses.truncate(MAX_ADDRESSES);
        let name = known.map_or_else(|| name.to_owned(), |e| e.name.clone());
        self.pool.nodes.insert(self.node, NodeEntry { version, removed: false, name, addresses });
        true
    }

    /// Other nodes that were not detached.
    pub fn peers(&self) -> impl Iterator<Item = (NodeId, &NodeEntry)> {
        self.pool.live_nodes().filter(|(id, _)| *id != self.node)
    }

    /// True for the node itself and for nodes that were not detached.
    #[must_use]
    pub fn is_member(&self, node: NodeId) -> bool {
        node == self.node || self.pool.nodes.get(&node).is_some_and(|e| !e.removed)
    }
}

/// Addresses of one node that are kept at the most.
pub const MAX_ADDRESSES: usize = 8;

#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("another rfs daemon runs on the state directory {}", .0.display())]
    Locked(PathBuf),
    #[error("{}: {why}", path.display())]
    Io { path: PathBuf, why: io::Error },
    #[error(
        "{}: {why}; put back a copy of it, or move it away to make this node a new one (its bricks then need 'brick replace')",
        path.display()
    )]
    Broken { path: PathBuf, why: String },
    #[error("{} has format {format}, and this version knows up to {FORMAT}", path.display())]
    Newer { path: PathBuf, format: u32 },
}

/// The state directory, held by this process until it is dropped.
#[derive(Debug)]
pub struct StateDir {
    path: PathBuf,
    _lock: File,
}

impl StateDir {
    /// Makes the directory if it is missing, and takes its lock.
    ///
    /// # Errors
    /// [`FileError::Locked`] when another process has it.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        let wrong = |path: &Path, why| FileError::Io { path: path.to_owned(), why };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|e| wrong(path, e))?;
        let lock_path = path.join("lock");
        let lock =
            fs::OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&lock_path);
        let lock = lock.map_err(|e| wrong(&lock_path, e))?;
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(FileError::Locked(path.to_owned())),
            Err(e) => Err(wrong(&lock_path, e.into())),
        }
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the pool is written.
    #[must_use]
    pub fn pool_path(&self) -> PathBuf {
        self.path.join(FILE)
    }

    /// Reads `pool.toml`, or makes a new identity where there is none. Durable on return.
    ///
    /// # Errors
    /// [`FileError`]; a file that cannot be read is never replaced.
    pub fn load(&self, name: &str, port: u16) -> Result<PoolFile, FileError> {
        let path = self.pool_path();
        let io_error = |why| FileError::Io { path: path.clone(), why };
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let fresh = PoolFile::new(name, port).map_err(io_error)?;
                save(&path, &fresh).map_err(io_error)?;
                return Ok(fresh);
            }
            Err(e) => return Err(io_error(e)),
        };
        let mut file = parse(&text).map_err(|problem| match problem {
            Problem::Newer(format) => FileError::Newer { path: path.clone(), format },
            Problem::Text(why) => FileError::Broken { path: path.clone(), why },
        })?;
        if file.introduce(name, port) {
            save(&path, &file).map_err(io_error)?;
        }
        Ok(file)
    }
}

enum Problem {
    Newer(u32),
    Text(String),
}

fn parse(text: &str) -> Result<PoolFile, Problem> {
    #[derive(Deserialize)]
    struct Head {
        format: u32,
    }
    let one_line = |e: toml::de::Error| Problem::Text(e.message().lines().collect::<Vec<_>>().join(" "));
    let head: Head = toml::from_str(text).map_err(one_line)?;
    if head.format != FORMAT {
        return Err(Problem::Newer(head.format));
    }
    let (body, sum) =
        text.rsplit_once(CHECKSUM).ok_or_else(|| Problem::Text("its end is missing".to_owned()))?;
    if u32::from_str_radix(sum.trim_end(), 16) != Ok(crc32fast::hash(body.as_bytes())) {
        return Err(Problem::Text("its checksum is wrong".to_owned()));
    }
    toml::from_str(body).map_err(one_line)
}

/// The file as it is written.
fn render(file: &PoolFile) -> io::Result<String> {
    let body = toml::to_string(file).map_err(io::Error::other)?;
    let sum = crc32fast::hash(body.as_bytes());
    Ok(format!("{body}{CHECKSUM}{sum:08x}\n"))
}

/// Replaces the file as a whole. Durable on return. Blocks: not for an executor's thread.
///
/// # Errors
/// The system's own; the old content is then still there.
pub fn save(path: &Path, file: &PoolFile) -> io::Result<()> {
    durable::replace(path, render(file)?.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rfs_model::admin::VolumeEntry;

    fn volume() -> (VolumeId, VolumeEntry) {
        let place = BrickPlace {
            node: NodeId([2; 16]),
            host: "server2".into(),
            addresses: vec!["server2:24007".into()],
            path: "/data".into(),
        };
        (
            VolumeId([5; 16]),
            VolumeEntry { version: 1, removed: false, name: "datavol".into(), bricks: vec![place] },
        )
    }

    #[test]
    fn everything_survives_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(dir.path()).unwrap();
        let mut file = state.load("server1", 24007).unwrap();
        let (id, entry) = volume();
        file.pool.volumes.insert(id, entry.clone());
        file.bricks.insert(id, "/data".into());
        file.errands.push(Errand { to: NodeId([2; 16]), volume: id, verdict: Verdict::Commit });
        file.pending.push(Pending {
            volume: id,
            coordinator: NodeId([2; 16]),
            name: "other".into(),
            path: None,
            made: vec!["/a".into(), "/a/b".into()],
            bricks: entry.bricks,
        });
        save(&state.pool_path(), &file).unwrap();
        assert_eq!(state.load("server1", 24007).unwrap(), file);
    }

    #[test]
    fn an_identity_is_for_life_whatever_the_name() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(dir.path()).unwrap();
        let first = state.load("server1", 24007).unwrap();
        let renamed = state.load("machine7", 24007).unwrap();
        assert_eq!(first.node, renamed.node);
        assert_eq!(first.secret, renamed.secret);
        assert_eq!(renamed.pool.nodes[&first.node].addresses, ["machine7:24007", "server1:24007"]);
        assert_eq!(renamed.node.to_string().as_bytes()[14], b'4', "a random UUID");
    }

    #[test]
    fn a_second_daemon_is_kept_out() {
        let dir = tempfile::tempdir().unwrap();
        let first = StateDir::open(dir.path()).unwrap();
        assert!(matches!(StateDir::open(dir.path()), Err(FileError::Locked(_))));
        drop(first);
        StateDir::open(dir.path()).unwrap();
    }

    #[test]
    fn a_broken_file_is_named_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(dir.path()).unwrap();
        let good = render(&PoolFile::new("a", 1).unwrap()).unwrap();
        let flipped = good.replace("server", "sorver").replace("version = 1", "version = 3");
        let half = &good[..good.len() / 2];
        for bad in ["", "format = 1\nnode = 7\n", half, &flipped, &good[..good.len() - 4], "\0\0\0"] {
            fs::write(state.pool_path(), bad).unwrap();
            let why = state.load("server1", 24007).unwrap_err();
            assert!(matches!(why, FileError::Broken { .. }), "{why}");
            assert!(!why.to_string().contains('\n') && why.to_string().contains("pool.toml"), "{why}");
            assert_eq!(fs::read_to_string(state.pool_path()).unwrap(), bad);
        }
        fs::write(state.pool_path(), "format = 9\n").unwrap();
        assert!(matches!(state.load("server1", 24007), Err(FileError::Newer { format: 9, .. })));
    }
}
