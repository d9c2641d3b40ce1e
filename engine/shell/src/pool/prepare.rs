//! A node's part in making and deleting a volume. Each step may be asked for again.

use std::path::PathBuf;
use std::rc::Rc;

use rfs_model::admin::{Reply, VolumeEntry};
use rfs_model::ids::{BrickId, NodeId, VolumeId};
use rfs_model::volume::VolumeState;

use super::file::Pending;
use super::place;
use super::seam::BrickSpec;
use super::service::{Outcome, Pool, turn};

impl Pool {
    /// Reserves the name, and lays the brick out if one of the volume's is here. What it is about to make is written down
    /// first, so that it can be removed whatever happens.
    pub(super) async fn prepare(self: &Rc<Self>, coordinator: NodeId, state: VolumeState) -> Outcome {
        let _turn = turn(&self.laying).await?;
        let me = self.node();
        self.check_name_free(&state)?;
        let mine = state.bricks.iter().find(|b| b.node == me);
        let brick = mine.map(|b| format!("{}:{}", b.host, b.path));
        let path = mine.map(|b| PathBuf::from(&b.path));
        let missing = match (&brick, &path) {
            (Some(brick), Some(path)) => self.check_place(brick, path).await?,
            _ => Vec::new(),
        };
        let pending = Pending {
            volume: state.id,
            coordinator,
            name: state.name.clone(),
            path: path.clone(),
            made: missing.clone(),
            bricks: state.bricks.clone(),
        };
        self.update(|file| file.pending.push(pending)).await?;
        let (Some(brick), Some(path)) = (brick, path) else { return Ok(Reply::done()) };
        let id = state.id;
        if let Err(why) = self.lay_out(brick, path, missing, state).await {
            self.undo(id).await?;
            return Err(why);
        }
        Ok(Reply::done())
    }

    fn check_name_free(&self, state: &VolumeState) -> Result<(), String> {
        let file = self.file();
        let taken = file.pool.volume_named(&state.name).is_some();
        let reserved = file.pending.iter().any(|p| p.name == state.name && p.volume != state.id);
        if taken || reserved {
            return Err(format!("volume {} already exists on {}", state.name, self.name()));
        }
        Ok(())
    }

    async fn check_place(&self, brick: &str, path: &std::path::Path) -> Result<Vec<PathBuf>, String> {
        let others = self.brick_paths();
        let (brick, path) = (brick.to_owned(), path.to_owned());
        glommio::executor().spawn_blocking(move || place::check(&brick, &path, &others)).await
    }

    /// This node's bricks, those in the making included, with their volumes' names.
    pub(super) fn brick_paths(&self) -> Vec<(PathBuf, String)> {
        let file = self.file();
        let name =
            |id: &VolumeId| file.pool.volumes.get(id).map_or_else(|| id.to_string(), |e| e.name.clone());
        let made = file.bricks.iter().map(|(id, path)| (path.clone(), name(id)));
        let making = file.pending.iter().filter_map(|p| Some((p.path.clone()?, p.name.clone())));
        made.chain(making).collect()
    }

    async fn lay_out(
        &self,
        brick: String,
        path: PathBuf,
        missing: Vec<PathBuf>,
        state: VolumeState,
    ) -> Result<(), String> {
        glommio::executor().spawn_blocking(move || place::make(&brick, &missing)).await?;
        self.bricks.prepare_brick(state, path).await
    }

    /// The volume is: its brick runs.
    pub(super) async fn commit(self: &Rc<Self>, volume: VolumeId, entry: VolumeEntry) -> Outcome {
        let _turn = turn(&self.laying).await?;
        let me = self.node();
        let pending = self.file().pending.iter().find(|p| p.volume == volume).cloned();
        let made = self.file().bricks.contains_key(&volume);
        let brick = entry.bricks.iter().find(|b| b.node == me).map(|b| PathBuf::from(&b.path));
        if let Some(path) = brick.filter(|_| !made) {
            if pending.is_none() {
                return Err(format!("{} has nothing prepared for volume {}", self.name(), entry.name));
            }
            let state = VolumeState {
                id: volume,
                name: entry.name.clone(),
                started: false,
                bricks: entry.bricks.clone(),
                options: Vec::new(),
                sets: 1,
            };
            self.bricks.commit_brick(state, path.clone()).await?;
            self.update(|file| file.bricks.insert(volume, path)).await?;
        }
        self.update(|file| {
            file.pending.retain(|p| p.volume != volume);
            let newer = file.pool.volumes.get(&volume).is_none_or(|known| *known < entry);
            if newer {
                file.pool.volumes.insert(volume, entry);
            }
        })
        .await?;
        Ok(Reply::done())
    }

    /// The volume will not be: what was made for it goes.
    pub(super) async fn abort(self: &Rc<Self>, volume: VolumeId) -> Outcome {
        let _turn = turn(&self.laying).await?;
        self.undo(volume).await
    }

    async fn undo(self: &Rc<Self>, volume: VolumeId) -> Outcome {
        let Some(pending) = self.file().pending.iter().find(|p| p.volume == volume).cloned() else {
            return Ok(Reply::done());
        };
        if let Some(path) = pending.path.clone() {
            self.bricks.abort_brick(BrickSpec { volume, path, id: BrickId::NIL }).await?;
            let made = pending.made;
            glommio::executor().spawn_blocking(move || place::unmake(&made)).await;
        }
        self.update(|file| file.pending.retain(|p| p.volume != volume)).await?;
        Ok(Reply::done())
    }

    /// The volume was deleted: the brick becomes a plain directory.
    pub(super) async fn delete_brick(self: &Rc<Self>, volume: VolumeId) -> Outcome {
        let _turn = turn(&self.laying).await?;
        let path = self.file().bricks.get(&volume).cloned();
        if let Some(path) = path {
            self.bricks.delete_brick(BrickSpec { volume, path, id: BrickId::NIL }).await?;
        }
        self.update(|file| {
            file.brick_ids.remove(&volume);
            file.bricks.remove(&volume)
        })
        .await?;
        Ok(Reply::done())
    }
}
