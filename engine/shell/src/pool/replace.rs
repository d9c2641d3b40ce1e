//! `brick replace`: one brick's place in a volume is taken by an empty one, on the same node or another.
//!
//! The decision is one record of the volume's state, made by its leader: from then on the new brick is one of the volume, and
//! the configuration follows ([`crate::shard`]). Before it, the new place is looked at; after it, the new brick is made and
//! runs. Whatever crashes in between, the same command again, with the new brick's name twice, goes on from there.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use rfs_model::admin::{BrickReport, BrickRole, Reply, Request, VolumeChange, VolumeEntry};
use rfs_model::hello::BrickPlace;
use rfs_model::ids::{BrickId, VolumeId};
use rfs_model::volume::VolumeState;

use super::auth::random_uuid;
use super::change::{Round, patiently};
use super::look::View;
use super::names::{BrickName, HostPort};
use super::place;
use super::seam::BrickSpec;
use super::service::{Outcome, Pool, WORK, turn};

impl Pool {
    pub(super) async fn replace(
        self: &Rc<Self>,
        id: VolumeId,
        entry: &VolumeEntry,
        old: &str,
        new: &str,
    ) -> Outcome {
        let _turn = self.change_turn().await?;
        let name = BrickName::parse(new)?;
        let old = self.brick_called(id, entry, old).await?;
        let state = self.state_vouched_for(id, entry).await?;
        let new = self.new_place(&name, &old, &state).await?;
        self.need_out_of_sync(id, entry, &old).await?;
        let brick = format!("{}:{}", new.host, new.path);
        let look = Request::CheckBrick { volume: id, brick: brick.clone(), path: new.path.clone() };
        self.tell_named(new.node, look, WORK).await?;
        if new != old {
            let change = VolumeChange::Replace { old: old.clone(), new: new.clone() };
            self.at_leader(entry, &Request::Change { volume: id, change }).await?;
        }
        let mut state = state;
        for place in state.bricks.iter_mut().filter(|place| **place == old) {
            *place = new.clone();
        }
        let bricks = state.bricks.clone();
        self.update(|file| {
            if let Some(entry) = file.pool.volumes.get_mut(&id).filter(|entry| entry.bricks != bricks) {
                (entry.version, entry.bricks) = (entry.version + 1, bricks);
            }
        })
        .await?;
        self.spread().await;
        let made = self.tell_named(new.node, Request::AdoptBrick { state }, WORK).await;
        self.drop_replaced().await?;
        made.map_err(|why| {
            format!("{brick} is a brick of the volume now, but was not made: {why}; then run 'rfs-tools brick replace {} {brick} {brick}'", entry.name)
        })?;
        Ok(Reply::Done {
            note: Some(format!("{brick} gets a full copy: 'rfs-tools heal-status {}' shows it", entry.name)),
        })
    }

    /// The state as its leader has it; an election is waited for.
    async fn state_vouched_for(
        self: &Rc<Self>,
        id: VolumeId,
        entry: &VolumeEntry,
    ) -> Result<VolumeState, String> {
        patiently(async || {
            Ok(match self.state_of(id, entry).await {
                Some((state, None)) => Round::Done(state),
                _ => Round::NoLeader(format!(
                    "nobody leads volume {}: a brick can be replaced only while others serve",
                    entry.name
                )),
            })
        })
        .await
    }

    async fn new_place(
        self: &Rc<Self>,
        name: &BrickName,
        old: &BrickPlace,
        state: &VolumeState,
    ) -> Result<BrickPlace, String> {
        let node = self.resolve(&name.host).await?;
        if let Some(other) = state.bricks.iter().find(|place| place.node == node && *place != old) {
            return Err(format!(
                "{}:{} is on that node already: the bricks of a replica need distinct nodes",
                other.host, other.path
            ));
        }
        if node == old.node && name.path == old.path {
            return Ok(old.clone());
        }
        if !self.await_link(node).await {
            return Err(format!("{} is not connected: start rfs-brickd there", name.host));
        }
        let mut addresses = vec![HostPort::parse(&name.host)?.address()];
        addresses.extend(self.addresses(node).into_iter().filter(|a| *a != addresses[0]).collect::<Vec<_>>());
        Ok(BrickPlace { node, host: name.host.clone(), addresses, path: name.path.clone() })
    }

    /// What only the old brick counted for must be the others' first.
    async fn need_out_of_sync(
        self: &Rc<Self>,
        id: VolumeId,
        entry: &VolumeEntry,
        old: &BrickPlace,
    ) -> Result<(), String> {
        let read = |reply| match reply {
            Reply::Reports(mut reports) => reports.pop().map(|r| View { leader: r.leader, value: r }),
            _ => None,
        };
        let Some((report, true)) = self.consult(entry, &Request::ReportHere { volume: id }, read).await
        else {
            return Err(format!("nobody leads volume {}", entry.name));
        };
        let counts = |b: &BrickReport| matches!(b.state, BrickRole::Leader | BrickRole::InSync);
        match report.bricks.iter().find(|b| b.node == old.node).filter(|b| counts(b)) {
            None => Ok(()),
            Some(brick) => Err(format!(
                "{} is in sync: run 'rfs-tools brick leave {} {}' first, or stop rfs-brickd there",
                brick.brick, entry.name, brick.brick
            )),
        }
    }

    /// The new node's look at the place: an empty directory, or none yet.
    pub(super) async fn check_brick(
        self: &Rc<Self>,
        volume: VolumeId,
        brick: String,
        path: String,
    ) -> Outcome {
        self.look_at_place(volume, &brick, &PathBuf::from(path)).await.map(|_| Reply::done())
    }

    async fn look_at_place(
        &self,
        volume: VolumeId,
        brick: &str,
        path: &Path,
    ) -> Result<Vec<PathBuf>, String> {
        let own = self.file().bricks.get(&volume).cloned();
        // What an attempt of this kind left behind is not in the way.
        self.bricks.abort_brick(BrickSpec { volume, path: path.to_path_buf(), id: BrickId::NIL }).await?;
        let others: Vec<_> =
            self.brick_paths().into_iter().filter(|(at, _)| Some(at) != own.as_ref()).collect();
        let (brick, path) = (brick.to_owned(), path.to_path_buf());
        glommio::executor().spawn_blocking(move || place::check(&brick, &path, &others)).await
    }

    /// The volume has decided: this node's brick is that one.
    pub(super) async fn adopt_brick(self: &Rc<Self>, state: VolumeState) -> Outcome {
        let _turn = turn(&self.laying).await?;
        let (volume, me) = (state.id, self.node());
        let place = state.bricks.iter().find(|place| place.node == me).cloned();
        let place = place.ok_or_else(|| format!("{} has no brick of volume {}", self.name(), state.name))?;
        let (brick, path) = (format!("{}:{}", place.host, place.path), PathBuf::from(&place.path));
        let missing = self.look_at_place(volume, &brick, &path).await?;
        let id = BrickId(random_uuid().map_err(|e| e.to_string())?);
        glommio::executor().spawn_blocking(move || place::make(&brick, &missing)).await?;
        // Known before it is made: a start in between finds a directory that is no brick, and says so.
        self.update(|file| {
            file.bricks.insert(volume, path.clone());
            file.brick_ids.insert(volume, id);
            let entry = file.pool.volumes.get_mut(&volume).filter(|entry| entry.bricks != state.bricks);
            if let Some(entry) = entry {
                // Who told this node has told it of the decision as well; it may come later.
                (entry.version, entry.bricks) = (entry.version + 1, state.bricks.clone());
            }
        })
        .await?;
        self.bricks.adopt_brick(state, BrickSpec { volume, path, id }).await?;
        Ok(Reply::done())
    }

    /// Lets go of bricks of this node that others have taken the place of. Their directories stay as they are.
    pub(super) async fn drop_replaced(self: &Rc<Self>) -> Result<(), String> {
        let me = self.node();
        let gone: Vec<(VolumeId, PathBuf, String)> = {
            let file = self.file();
            let without = |volume: &VolumeId| {
                let entry = file.pool.volumes.get(volume).filter(|entry| !entry.removed)?;
                (!entry.bricks.iter().any(|place| place.node == me)).then(|| entry.name.clone())
            };
            file.bricks.iter().filter_map(|(v, path)| Some((*v, path.clone(), without(v)?))).collect()
        };
        for (volume, path, name) in gone {
            tracing::warn!(
                "{} is not a brick of volume {name} any more: another one took its place; its files stay",
                path.display()
            );
            self.bricks.close_brick(volume).await;
            self.update(|file| {
                file.bricks.remove(&volume);
                file.brick_ids.remove(&volume);
            })
            .await?;
        }
        Ok(())
    }
}
