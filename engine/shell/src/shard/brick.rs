//! The bricks of this node: laid out, opened, closed, taken away.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use bytes::Bytes;
use rfs_model::codec::Encode;
use rfs_model::config::{ConfigEntry, GENESIS_CONFIG, GENESIS_LAST, GENESIS_TERM};
use rfs_model::hard::HardState;
use rfs_model::label::{BrickState, Label};
use rfs_model::volume::VolumeState;
use rfs_model::{BrickId, NodeId, Record, RecordKind, VolumeId};

use super::{End, Shard, Surroundings, life, start};
use crate::durable;
use crate::journal::{self, Journal};
use crate::pool::{BrickSpec, Bricks, LocalBoxFuture, ReplicaSet};
use crate::tree::{self, Tree, read_label, write_label};

/// The running bricks of a daemon.
#[derive(Default)]
pub struct NodeBricks {
    around: RefCell<Option<Surroundings>>,
    shards: RefCell<BTreeMap<VolumeId, Rc<Shard>>>,
    /// Bricks that are damaged and wait for another one to lead.
    damaged: RefCell<BTreeMap<VolumeId, PathBuf>>,
    /// Why bricks did not open, the damaged ones among them.
    unopened: RefCell<BTreeMap<VolumeId, String>>,
}

impl NodeBricks {
    /// Tells what the shards need of the daemon, which is made after this.
    pub fn settle_in(&self, around: Surroundings) {
        *self.around.borrow_mut() = Some(around);
    }

    #[must_use]
    pub fn shard(&self, volume: VolumeId) -> Option<Rc<Shard>> {
        self.shards.borrow().get(&volume).cloned()
    }

    #[must_use]
    pub fn named(&self, name: &str) -> Option<Rc<Shard>> {
        let shards = self.shards.borrow();
        let by_name = shards.values().find(|s| s.state().name == name);
        by_name.or_else(|| name.parse().ok().and_then(|id: VolumeId| shards.get(&id))).cloned()
    }

    #[must_use]
    pub fn all(&self) -> Vec<Rc<Shard>> {
        self.shards.borrow().values().cloned().collect()
    }

    /// Lets every brick leave in good order; true when all could.
    pub async fn leave_all(&self) -> bool {
        let mut clean = true;
        let leaves: Vec<_> = self
            .all()
            .into_iter()
            .map(|shard| glommio::spawn_local(async move { shard.leave().await }))
            .collect();
        for leave in leaves {
            clean &= leave.await == End::Clean;
        }
        clean
    }

    fn around(&self) -> Result<Surroundings, String> {
        self.around.borrow().clone().ok_or_else(|| "the daemon is not ready".into())
    }

    async fn open(&self, volume: VolumeId, path: &Path) -> Result<(), String> {
        let opened = self.open_unnoted(volume, path).await;
        let mut unopened = self.unopened.borrow_mut();
        match &opened {
            Ok(()) => unopened.remove(&volume),
            Err(why) => unopened.insert(volume, why.clone()),
        };
        opened
    }

    async fn open_unnoted(&self, volume: VolumeId, path: &Path) -> Result<(), String> {
        if self.shards.borrow().get(&volume).is_some_and(|s| s.end().is_none()) {
            return Ok(());
        }
        let around = self.around()?;
        let label =
            label_of(path)?.ok_or_else(|| format!("{} is no brick: it has no label", path.display()))?;
        if label.volume != volume || label.node != around.me {
            return Err(format!("{} belongs to another volume or node", path.display()));
        }
        if label.state == BrickState::Creating {
            return Err(format!("{} was never finished: 'volume create' was interrupted", path.display()));
        }
        if label.state == BrickState::Resyncing {
            let path = path.to_owned();
            blocking(move || start::begin_blank(&path, label)).await?;
        }
        match start::open(around, path, volume).await {
            Ok(shard) => {
                self.shards.borrow_mut().insert(volume, shard);
                self.damaged.borrow_mut().remove(&volume);
                Ok(())
            }
            Err(unfit) if unfit.copy_helps && has_others(path) => {
                self.damaged.borrow_mut().insert(volume, path.to_owned());
                Err(format!("{}: it begins anew, with a copy, as soon as another brick leads", unfit.why))
            }
            Err(unfit) => Err(unfit.why),
        }
    }

    /// Empties a damaged brick and opens it as one whose disk was replaced.
    async fn renew(&self, volume: VolumeId, path: PathBuf) -> Result<(), String> {
        let label = label_of(&path)?.filter(|l| l.volume == volume).ok_or("the brick is another's now")?;
        let dir = path.clone();
        blocking(move || start::begin_blank(&dir, label)).await?;
        self.open(volume, &path).await
    }

    async fn close(&self, volume: VolumeId) {
        let shard = self.shards.borrow_mut().remove(&volume);
        if let Some(shard) = shard {
            shard.leave().await;
        }
    }
}

impl Bricks for NodeBricks {
    fn get(&self, volume: VolumeId) -> Option<Rc<dyn ReplicaSet>> {
        self.shard(volume).map(|shard| shard as Rc<dyn ReplicaSet>)
    }

    fn prepare_brick(&self, state: VolumeState, path: PathBuf) -> LocalBoxFuture<'_, Result<(), String>> {
        Box::pin(async move {
            let me = self.around()?.me;
            blocking(move || {
                write_label(&path, &label(&state, me, BrickState::Creating)).map_err(|e| e.to_string())
            })
            .await
        })
    }

    fn commit_brick(&self, state: VolumeState, path: PathBuf) -> LocalBoxFuture<'_, Result<(), String>> {
        Box::pin(async move {
            let me = self.around()?.me;
            if label_of(&path)?.is_none_or(|l| l.state == BrickState::Creating) {
                lay_out(&state, &path).await?;
                let (state, path) = (state.clone(), path.clone());
                blocking(move || {
                    write_label(&path, &label(&state, me, BrickState::Live)).map_err(|e| e.to_string())
                })
                .await?;
            }
            self.open(state.id, &path).await
        })
    }

    fn abort_brick(&self, brick: BrickSpec) -> LocalBoxFuture<'_, Result<(), String>> {
        Box::pin(async move {
            let ours = label_of(&brick.path)?;
            if ours.is_some_and(|l| l.volume == brick.volume && l.state == BrickState::Creating) {
                blocking(move || strip(&brick.path)).await?;
            }
            Ok(())
        })
    }

    fn open_brick(&self, brick: BrickSpec) -> LocalBoxFuture<'_, Result<(), String>> {
        Box::pin(async move {
            let label = label_of(&brick.path)?;
            if label.is_some_and(|label| label.volume == brick.volume && label.brick != brick.id) {
                let why = format!(
                    "{} is not a brick of the volume any more: another one took its place",
                    brick.path.display()
                );
                self.unopened.borrow_mut().insert(brick.volume, why.clone());
                return Err(why);
            }
            self.open(brick.volume, &brick.path).await
        })
    }

    fn why_closed(&self, volume: VolumeId) -> Option<String> {
        match self.shard(volume).and_then(|shard| shard.end()) {
            Some(End::Failed(why)) => Some(why),
            _ => self.unopened.borrow().get(&volume).cloned(),
        }
    }

    fn adopt_brick(&self, state: VolumeState, brick: BrickSpec) -> LocalBoxFuture<'_, Result<(), String>> {
        Box::pin(async move {
            let me = self.around()?.me;
            self.damaged.borrow_mut().remove(&brick.volume);
            self.close(brick.volume).await;
            let label = Label { brick: brick.id, ..label(&state, me, BrickState::Creating) };
            let path = brick.path.clone();
            blocking(move || {
                write_label(&path, &label).map_err(|e| e.to_string())?;
                life::save_volume(&path, &state).map_err(|e| e.to_string())?;
                let nodes: Vec<NodeId> = state.bricks.iter().map(|place| place.node).collect();
                let hard = HardState::blank(&nodes).to_file();
                durable::replace(&life::hard_state_path(&path), &hard).map_err(|e| e.to_string())?;
                start::begin_blank(&path, label)
            })
            .await?;
            self.open(brick.volume, &brick.path).await
        })
    }

    fn close_brick(&self, volume: VolumeId) -> LocalBoxFuture<'_, ()> {
        Box::pin(async move {
            self.damaged.borrow_mut().remove(&volume);
            self.unopened.borrow_mut().remove(&volume);
            self.close(volume).await;
        })
    }

    fn damaged(&self) -> Vec<BrickSpec> {
        let damaged = self.damaged.borrow();
        let spec = |(volume, path): (&VolumeId, &PathBuf)| BrickSpec {
            volume: *volume,
            path: path.clone(),
            id: label_of(path).ok().flatten().map_or(BrickId::NIL, |label| label.brick),
        };
        damaged.iter().map(spec).collect()
    }

    fn renew_brick(&self, brick: BrickSpec) -> LocalBoxFuture<'_, Result<(), String>> {
        Box::pin(async move {
            tracing::warn!("{}: the brick begins anew, with a copy from another one", brick.path.display());
            self.renew(brick.volume, brick.path).await
        })
    }

    fn delete_brick(&self, brick: BrickSpec) -> LocalBoxFuture<'_, Result<(), String>> {
        Box::pin(async move {
            self.damaged.borrow_mut().remove(&brick.volume);
            self.unopened.borrow_mut().remove(&brick.volume);
            self.close(brick.volume).await;
            match label_of(&brick.path)? {
                Some(label) if label.volume == brick.volume => blocking(move || strip(&brick.path)).await,
                _ => Ok(()),
            }
        })
    }
}

/// Whether the brick is one of several, as was noted beside it last.
fn has_others(path: &Path) -> bool {
    life::load_volume(path).is_some_and(|state| state.bricks.len() > 1)
}

async fn blocking<T: Send + 'static>(job: impl FnOnce() -> T + Send + 'static) -> T {
    glommio::executor().spawn_blocking(job).await
}

fn label(state: &VolumeState, node: NodeId, brick: BrickState) -> Label {
    Label { state: brick, volume: state.id, node, set: 0, brick: BrickId::NIL }
}

fn label_of(path: &Path) -> Result<Option<Label>, String> {
    read_label(path).map_err(|e| e.to_string())
}

/// Makes the tree, the log with its first two records and the hard state: all that a brick of a new volume begins with.
/// What an interrupted attempt left is made anew. Durable on return.
async fn lay_out(state: &VolumeState, path: &Path) -> Result<(), String> {
    let (bricks, log) = (state.bricks.iter().map(|b| b.node).collect::<Vec<_>>(), path.join(".rfs/log"));
    let (dir, noted) = (path.to_owned(), state.clone());
    blocking(move || {
        for leftover in ["index.redb", "log", "limbo", "orphans"] {
            remove(&dir.join(".rfs").join(leftover))?;
        }
        Tree::create(&dir, &tree::Limits::default(), start::ROOT, Bytes::new()).map_err(|e| e.to_string())?;
        life::save_volume(&dir, &noted).map_err(|e| e.to_string())?;
        let hard = HardState::genesis(&bricks).to_file();
        durable::replace(&life::hard_state_path(&dir), &hard).map_err(|e| e.to_string())
    })
    .await?;
    let (mut journal, _) = Journal::open(&log, journal::Options::default()).map_err(|e| e.to_string())?;
    journal.append(&genesis(state)).map_err(|e| e.to_string())?;
    journal.sync_start().await.map_err(|e| e.to_string())?;
    drop(journal);
    let dir = path.to_owned();
    blocking(move || life::end_clean(&dir).map_err(|e| e.to_string())).await
}

/// The first two records of a volume: the same bytes on every brick.
fn genesis(state: &VolumeState) -> [Record; 2] {
    let bricks: Vec<NodeId> = state.bricks.iter().map(|b| b.node).collect();
    let config: Bytes = ConfigEntry::genesis(&bricks).record.encoded().into();
    let first = Record::new(GENESIS_CONFIG, GENESIS_TERM, RecordKind::Config, 0, config);
    let chain = first.meta.crc();
    let second = Record::new(GENESIS_LAST, GENESIS_TERM, RecordKind::Volume, chain, state.encoded().into());
    [first, second]
}

fn remove(path: &Path) -> Result<(), String> {
    let gone = match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(e) => Err(e),
    };
    match gone {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(format!("{}: {e}", path.display())),
        _ => Ok(()),
    }
}

/// Makes a brick's directory a plain one: its files stay, what we added to them goes.
fn strip(path: &Path) -> Result<(), String> {
    let mut todo = vec![path.to_owned()];
    while let Some(at) = todo.pop() {
        for name in ["trusted.rfs.id"] {
            match rustix::fs::lremovexattr(&at, name) {
                Ok(()) | Err(rustix::io::Errno::NODATA | rustix::io::Errno::OPNOTSUPP) => {}
                Err(e) => return Err(format!("{}: {e}", at.display())),
            }
        }
        let meta = fs::symlink_metadata(&at).map_err(|e| format!("{}: {e}", at.display()))?;
        if meta.is_dir() && at != path.join(".rfs") {
            let entries = fs::read_dir(&at).map_err(|e| format!("{}: {e}", at.display()))?;
            for entry in entries {
                todo.push(entry.map_err(|e| e.to_string())?.path());
            }
        }
    }
    remove(&path.join(".rfs"))?;
    fs::File::open(path).and_then(|dir| dir.sync_all()).map_err(|e| format!("{}: {e}", path.display()))
}
