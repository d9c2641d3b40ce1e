//! Volumes made and deleted: on all nodes or on none. The node that was asked coordinates.
//!
//! Before it asks anybody to prepare, the coordinator writes down that everybody is to abort; when all have prepared, it
//! replaces that by the commits and the volume's entry, in one write: the decision. Whatever crashes when, each node is in
//! the end told what was decided ([`super::errands`]), and what an unfinished create made is removed.

use std::collections::BTreeSet;
use std::rc::Rc;

use rfs_model::admin::{CreateVolume, Reply, Request, VolumeEntry};
use rfs_model::hello::BrickPlace;
use rfs_model::ids::{NodeId, VolumeId};
use rfs_model::limits::BRICKS;
use rfs_model::volume::VolumeState;

use super::auth::random_uuid;
use super::errands::Busy;
use super::file::{Errand, Verdict};
use super::names::{BrickName, HostPort, check_volume_name, is_loopback};
use super::service::{Outcome, Pool, WORK};

impl Pool {
    /// `volume create`
    pub(super) async fn create(self: &Rc<Self>, want: &CreateVolume) -> Outcome {
        let names = check_request(want)?;
        let _turn = self.change_turn().await?;
        if self.volume_named(&want.name).is_some() {
            return Err(format!("volume {} already exists", want.name));
        }
        let bricks = self.places(&names).await?;
        self.need_all("volume create", None).await?;
        let id = VolumeId(random_uuid().map_err(|e| e.to_string())?);
        let name = want.name.clone();
        let state = VolumeState { id, name, started: false, bricks, options: Vec::new(), sets: 1 };
        let _busy = Busy::new(self, id);
        let members = self.members();
        self.update(|file| set_errands(&mut file.errands, id, &members, Verdict::Abort)).await?;
        if let Err(why) = self.prepare_all(&members, &state).await {
            for problem in self.run_errands_of(id).await {
                tracing::warn!("an unfinished create is not undone everywhere yet: {problem}");
            }
            return Err(why);
        }
        let entry =
            VolumeEntry { version: 1, removed: false, name: state.name.clone(), bricks: state.bricks };
        self.update(|file| {
            set_errands(&mut file.errands, id, &members, Verdict::Commit);
            file.pool.volumes.insert(id, entry);
        })
        .await?;
        match self.run_errands_of(id).await.first() {
            None => Ok(Reply::done()),
            Some(why) => {
                Err(format!("volume {} was made, but a node has not finished its part yet: {why}", want.name))
            }
        }
    }

    async fn prepare_all(self: &Rc<Self>, members: &[NodeId], state: &VolumeState) -> Result<(), String> {
        for node in members {
            let request = Request::Prepare { coordinator: self.node(), state: state.clone() };
            self.tell_named(*node, request, WORK).await?;
        }
        Ok(())
    }

    /// All nodes of the pool, this one first.
    fn members(&self) -> Vec<NodeId> {
        let file = self.file();
        std::iter::once(file.node).chain(file.peers().map(|(id, _)| id)).collect()
    }

    /// Which node each brick is on.
    async fn places(self: &Rc<Self>, names: &[BrickName]) -> Result<Vec<BrickPlace>, String> {
        let mut places: Vec<BrickPlace> = Vec::new();
        for name in names {
            let node = self.resolve(&name.host).await?;
            let mut addresses = vec![HostPort::parse(&name.host)?.address()];
            if is_loopback(&name.host) && !self.addresses(node).contains(&addresses[0]) {
                return Err(format!(
                    "{name}: '{}' means another machine on each machine: give its name",
                    name.host
                ));
            }
            if let Some(other) = places.iter().find(|p| p.node == node) {
                return Err(format!(
                    "{}:{} and {name} are on the same node: the bricks of a replica need distinct nodes",
                    other.host, other.path
                ));
            }
            let more = self.addresses(node).into_iter().filter(|a| *a != addresses[0]);
            addresses.extend(more.collect::<Vec<_>>());
            places.push(BrickPlace { node, host: name.host.clone(), addresses, path: name.path.clone() });
        }
        Ok(places)
    }

    /// `volume delete`: the decision is the tombstone; the files stay where they are.
    pub(super) async fn delete(self: &Rc<Self>, name: &str) -> Outcome {
        let _turn = self.change_turn().await?;
        let (id, entry) = self.known_volume(name)?;
        self.need_all("volume delete", None).await?;
        let (state, _) = self
            .state_of(id, &entry)
            .await
            .ok_or("no brick of the volume can be asked whether it is stopped")?;
        if state.started {
            return Err(format!("volume {name} is started: run 'rfs-tools volume stop {name}' first"));
        }
        let _busy = Busy::new(self, id);
        let nodes: Vec<NodeId> = entry.bricks.iter().map(|b| b.node).collect();
        self.update(|file| {
            set_errands(&mut file.errands, id, &nodes, Verdict::Delete);
            if let Some(entry) = file.pool.volumes.get_mut(&id) {
                entry.version += 1;
                entry.removed = true;
            }
        })
        .await?;
        let problems = self.run_errands_of(id).await;
        self.spread().await;
        match problems.first() {
            None => Ok(Reply::done()),
            Some(why) => {
                Err(format!("volume {name} was deleted, but a node has not finished its part yet: {why}"))
            }
        }
    }
}

fn set_errands(errands: &mut Vec<Errand>, volume: VolumeId, nodes: &[NodeId], verdict: Verdict) {
    errands.retain(|e| e.volume != volume);
    errands.extend(nodes.iter().map(|to| Errand { to: *to, volume, verdict }));
}

/// What can be said about a request without asking anybody.
fn check_request(want: &CreateVolume) -> Result<Vec<BrickName>, String> {
    check_volume_name(&want.name)?;
    if let Some(transport) = want.transport.as_deref().filter(|t| *t != "tcp") {
        return Err(format!("transport '{transport}' is not known here: use 'transport tcp'"));
    }
    let names: Vec<BrickName> = want.bricks.iter().map(|b| BrickName::parse(b)).collect::<Result<_, _>>()?;
    let count = names.len();
    let mut seen = BTreeSet::new();
    if let Some(twice) = names.iter().find(|n| !seen.insert(n.to_string())) {
        return Err(format!("the brick {twice} is given twice"));
    }
    match want.replica {
        Some(0) => Err("replica 0 makes no sense: use 'replica 2'".to_owned()),
        Some(n) if n as usize > BRICKS => {
            Err(format!("replica {n} is more than the {BRICKS} bricks that a replica set may have"))
        }
        Some(n) if n as usize == count => Ok(names),
        Some(n) if count > n as usize && count.is_multiple_of(n as usize) => Err(format!(
            "volumes of several replica sets are not supported yet: give replica {n} exactly {n} bricks"
        )),
        Some(n) => Err(format!(
            "replica {n} needs {n} bricks, and {count} {} given",
            if count == 1 { "is" } else { "are" }
        )),
        None if count == 1 => Ok(names),
        None => Err(format!("say how many copies there shall be, such as 'replica {count}'")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn want(name: &str, replica: Option<u32>, bricks: &[&str]) -> CreateVolume {
        let bricks = bricks.iter().map(|b| (*b).to_owned()).collect();
        CreateVolume { name: name.into(), replica, transport: None, bricks }
    }

    #[test]
    fn requests_that_make_no_sense_are_refused_before_anybody_is_asked() {
        let table: &[(&str, Option<u32>, &[&str], &str)] = &[
            ("v1", Some(2), &["server1:/data/x"], "replica 2 needs 2 bricks, and 1 is given"),
            ("v1", Some(3), &["a:/x", "b:/x"], "replica 3 needs 3 bricks, and 2 are given"),
            ("v1", Some(2), &["a:/x", "b:/x", "c:/x"], "replica 2 needs 2 bricks, and 3 are given"),
            ("v1", Some(2), &["a:/x", "b:/x", "c:/x", "d:/x"], "not supported yet"),
            ("v1", Some(5), &["a:/x", "b:/x", "c:/x", "d:/x", "e:/x"], "replica 5 is more"),
            ("v1", Some(0), &["a:/x"], "makes no sense"),
            ("v1", None, &["a:/x", "b:/x"], "'replica 2'"),
            ("a/b", Some(2), &["a:/x", "b:/x"], "volume name"),
            ("v1", Some(2), &["a:/x", "a:/x/"], "given twice"),
            ("v1", Some(2), &["a:/x", "b:x"], "'b:x' is no brick"),
        ];
        for (name, replica, bricks, wanted) in table {
            let why = check_request(&want(name, *replica, bricks)).unwrap_err();
            assert!(why.contains(wanted) && !why.contains('\n'), "{bricks:?}: {why}");
        }
        check_request(&want("v1", Some(2), &["a:/x", "b:/x"])).unwrap();
        check_request(&want("v1", None, &["a:/x"])).unwrap();
        check_request(&want("v1", Some(1), &["a:/x"])).unwrap();
    }
}
