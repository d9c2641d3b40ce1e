//! Who is in the pool: probe, join, detach, leave, exchange.

use std::rc::Rc;

use rfs_model::admin::{NodeEntry, PeerRow, PoolRow, PoolSecret, PoolState, Reply, Request};
use rfs_model::ids::{NodeId, VolumeId};

use super::auth::random;
use super::file::{Errand, MAX_ADDRESSES, PoolFile, Verdict};
use super::line::{AskError, Caller, Line, explain};
use super::names::HostPort;
use super::service::{Asker, LOOK, Outcome, Pool, WORK};

impl Pool {
    /// `peer probe`: the target writes first, then this node. A crash in between is mended by probing again.
    pub(super) async fn probe(self: &Rc<Self>, host: &str) -> Outcome {
        let target = HostPort::parse(host)?;
        let _turn = self.change_turn().await?;
        let dialled = Line::open(&self.dial, &target.address(), &Caller::Stranger).await;
        let mut line = dialled.map_err(|e| explain(host, &e))?;
        let named = |e: AskError| match e {
            AskError::Net(e) => explain(host, &e),
            AskError::Refused(text) => text,
        };
        let Reply::Identity(them) = line.ask(&Request::Identify, LOOK).await.map_err(named)? else {
            return Err(format!("{host} does not say who it is: it is of another version"));
        };
        if them.node == self.node() {
            return Ok(note("on localhost not needed"));
        }
        let again = self.file().is_member(them.node);
        let request = Request::Join {
            from: self.node(),
            known_as: host.to_owned(),
            port: self.port,
            secret: self.secret(),
            pool: self.file().pool.clone(),
        };
        let Reply::Exchanged(theirs) = line.ask(&request, WORK).await.map_err(named)? else {
            return Err(format!("{host} answered out of turn: it is of another version"));
        };
        self.merge(&theirs).await?;
        self.await_link(them.node).await;
        self.spread().await;
        Ok(if again {
            note(&format!("host {} port {} already in peer list", target.host, target.port))
        } else {
            Reply::done()
        })
    }

    /// The other side of a probe.
    pub(super) async fn join(self: &Rc<Self>, asker: Asker, offer: Offer<'_>) -> Outcome {
        // Two nodes that probe each other at once must not wait for each other.
        let _turn = self
            .try_change_turn()
            .ok_or_else(|| format!("{} is busy with another change: try again", self.name()))?;
        if offer.secret != self.secret() {
            self.check_free()?;
        }
        let known_as = HostPort::parse(offer.known_as)?;
        self.update(|file| {
            file.secret = offer.secret.clone();
            file.pool.merge(offer.pool);
            adopt_own_entry(file, &known_as, offer.pool);
        })
        .await?;
        self.note_seen(offer.from, asker, offer.port);
        Ok(Reply::Exchanged(self.file().pool.clone()))
    }

    /// Whether this node may become one of another pool.
    fn check_free(&self) -> Result<(), String> {
        let (file, name) = (self.file(), self.name());
        if let Some((_, peer)) = file.peers().next() {
            return Err(format!(
                "{name} is in another pool, with {}: run 'rfs-tools peer detach {name}' there first",
                peer.name
            ));
        }
        if let Some((_, volume)) = file.pool.live_volumes().next() {
            return Err(format!(
                "{name} owns volume {}: probe from {name} instead, or delete the volume there first",
                volume.name
            ));
        }
        if !file.bricks.is_empty() || !file.pending.is_empty() || !file.errands.is_empty() {
            return Err(format!(
                "{name} is still busy with a volume that is being made or deleted: try again later"
            ));
        }
        Ok(())
    }

    /// `peer detach`. With `force` the node itself may be gone: it is told when it comes back.
    pub(super) async fn detach(self: &Rc<Self>, host: &str, force: bool) -> Outcome {
        let node = self.resolve(host).await.map_err(|_| format!("{host} is not a peer of this pool"))?;
        if node == self.node() {
            return Err(format!("{host} is localhost: run this on another node of the pool"));
        }
        let _turn = self.change_turn().await?;
        if let Some((volume, brick)) = self.brick_of(node) {
            return Err(format!(
                "{host} holds {brick} of volume {volume}: delete the volume or move the brick with 'brick replace' first"
            ));
        }
        self.need_all("peer detach", force.then_some(node)).await.map_err(|why| {
            match self.is_connected(node) {
                true => why,
                false => format!("{why}; for a node that is gone for good add the word 'force'"),
            }
        })?;
        self.update(|file| {
            if let Some(entry) = file.pool.nodes.get_mut(&node) {
                entry.version += 1;
                entry.removed = true;
            }
            file.errands.retain(|e| e.to != node);
            file.errands.push(Errand { to: node, volume: VolumeId::NIL, verdict: Verdict::Leave });
        })
        .await?;
        if !force {
            self.run_errands(node).await;
        }
        self.spread().await;
        Ok(Reply::done())
    }

    fn brick_of(&self, node: NodeId) -> Option<(String, String)> {
        let file = self.file();
        file.pool.live_volumes().find_map(|(_, volume)| {
            let brick = volume.bricks.iter().find(|b| b.node == node)?;
            Some((volume.name.clone(), format!("{}:{}", brick.host, brick.path)))
        })
    }

    /// This node was detached: it is a pool of one again, and the old secret is of no use to it.
    pub(super) async fn leave(self: &Rc<Self>) -> Outcome {
        if !self.file().bricks.is_empty() {
            return Err(format!("{} still has bricks", self.name()));
        }
        let secret = PoolSecret::new(random().map_err(|e| e.to_string())?);
        self.update(|file| {
            let me = file.node;
            file.secret = secret;
            file.pool.nodes.retain(|id, _| *id == me);
            if let Some(entry) = file.pool.nodes.get_mut(&me) {
                entry.removed = false;
            }
            file.pool.volumes.clear();
            file.errands.clear();
        })
        .await?;
        tracing::info!("this node was detached from its pool");
        Ok(Reply::done())
    }

    /// Another node's view, merged into this one's.
    pub(super) async fn exchanged(self: &Rc<Self>, asker: Asker, port: u16, theirs: &PoolState) -> Outcome {
        self.merge(theirs).await?;
        if let Some(node) = asker.node {
            self.note_seen(node, asker, port);
        }
        Ok(Reply::Exchanged(self.file().pool.clone()))
    }

    pub(super) async fn merge(self: &Rc<Self>, theirs: &PoolState) -> Result<(), String> {
        self.update(|file| file.pool.merge(theirs)).await?;
        let pool = Rc::clone(self);
        // A brick takes its time to close.
        glommio::spawn_local(async move {
            if let Err(why) = pool.drop_replaced().await {
                tracing::warn!("a brick that was replaced is not let go of yet: {why}");
            }
        })
        .detach();
        let detached = {
            let file = self.file();
            file.pool.nodes.get(&file.node).is_some_and(|e| e.removed)
        };
        if detached && self.file().bricks.is_empty() {
            self.leave().await?;
        }
        Ok(())
    }

    pub(super) fn peer_rows(&self) -> Vec<PeerRow> {
        let file = self.file();
        let row = |(uuid, e): (NodeId, &NodeEntry)| PeerRow {
            hostname: e.name.clone(),
            uuid,
            connected: self.is_connected(uuid),
        };
        file.peers().map(row).collect()
    }

    pub(super) fn pool_rows(&self) -> Vec<PoolRow> {
        let peers = self.peer_rows().into_iter();
        let peers = peers.map(|p| PoolRow { uuid: p.uuid, hostname: p.hostname, connected: p.connected });
        let me = PoolRow { uuid: self.node(), hostname: "localhost".to_owned(), connected: true };
        peers.chain(std::iter::once(me)).collect()
    }
}

/// What a probing node brings along.
pub(super) struct Offer<'a> {
    pub from: NodeId,
    pub known_as: &'a str,
    pub port: u16,
    pub secret: PoolSecret,
    pub pool: &'a PoolState,
}

fn note(text: &str) -> Reply {
    Reply::Done { note: Some(text.to_owned()) }
}

/// The node goes by the name it was probed by, in a version that is newer than any the pool knows of it.
fn adopt_own_entry(file: &mut PoolFile, known_as: &HostPort, theirs: &PoolState) {
    let address = known_as.address();
    let Some(entry) = file.pool.nodes.get(&file.node) else { return };
    if !entry.removed
        && theirs.nodes.get(&file.node).is_some_and(|e| e == entry)
        && entry.addresses.contains(&address)
    {
        return;
    }
    let others = entry.addresses.iter().filter(|a| **a != address).cloned();
    let mut addresses: Vec<String> = std::iter::once(address.clone()).chain(others).collect();
    addresses.truncate(MAX_ADDRESSES);
    let entry =
        NodeEntry { version: entry.version + 1, removed: false, name: known_as.host.clone(), addresses };
    file.pool.nodes.insert(file.node, entry);
}
