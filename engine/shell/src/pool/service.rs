//! The pool's state in memory, and who answers which request.

use std::cell::{Cell, Ref, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use glommio::sync::{Permit, Semaphore};
use rfs_model::admin::{Identity, PoolSecret, Reply, Request, Right, VolumeEntry};
use rfs_model::ids::{NodeId, VolumeId};

use super::file::{self, PoolFile, StateDir};
use super::line::{AskError, Caller, Dial, Line, explain};
use super::links::Link;
use super::names::HostPort;
use super::peers::Offer;
use super::seam::{BrickSpec, Bricks, LocalBoxFuture};
use crate::net::{Complaints, Crowd};

/// What an answer to a request is: a reply, or why not, in one line.
pub type Outcome = Result<Reply, String>;

/// How long another node may take for a request that only looks.
pub const LOOK: Duration = Duration::from_secs(1);
/// How long another node may take for a request that makes or removes things.
pub const WORK: Duration = Duration::from_secs(60);

/// Between two looks whether a damaged brick may be copied anew.
const RENEW_PAUSE: Duration = Duration::from_millis(500);

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asker {
    pub right: Right,
    /// The node of the pool that proved to be it.
    pub node: Option<NodeId>,
    /// Where the connection comes from; `None`: from this machine.
    pub address: Option<IpAddr>,
}

/// The pool service of one daemon. All of it lives on one executor.
pub struct Pool {
    pub(super) state_dir: StateDir,
    file: RefCell<PoolFile>,
    pub(super) port: u16,
    pub(super) bricks: Rc<dyn Bricks>,
    pub(super) dial: Rc<dyn Dial>,
    pub(super) links: RefCell<BTreeMap<NodeId, Rc<Link>>>,
    /// `host:port` from where other nodes called last: one more address to try.
    seen: RefCell<BTreeMap<NodeId, String>>,
    /// Volumes that a create or delete of this node is working on: their errands are not delivered behind its back.
    pub(super) busy: RefCell<BTreeSet<VolumeId>>,
    generation: Cell<u64>,
    pub(super) stopped: Cell<bool>,
    saving: Semaphore,
    /// Probe, detach, create and delete take turns.
    changing: Semaphore,
    /// So do changes of volume states at the leader.
    pub(super) proposing: Semaphore,
    /// And the steps by which this node's bricks come and go.
    pub(super) laying: Semaphore,
    /// Control connections of those who may only look.
    pub(super) strangers: Rc<Crowd>,
    /// About them.
    pub(super) complaints: Complaints,
}

/// Control connections of strangers at once.
const STRANGERS: usize = 256;

impl Pool {
    /// `port` is where this daemon listens for others.
    #[must_use]
    pub fn new(
        state_dir: StateDir,
        file: PoolFile,
        port: u16,
        bricks: Rc<dyn Bricks>,
        dial: Rc<dyn Dial>,
    ) -> Rc<Self> {
        Rc::new(Self {
            state_dir,
            file: RefCell::new(file),
            port,
            bricks,
            dial,
            links: RefCell::default(),
            seen: RefCell::default(),
            busy: RefCell::default(),
            generation: Cell::new(1),
            stopped: Cell::new(false),
            saving: Semaphore::new(1),
            changing: Semaphore::new(1),
            proposing: Semaphore::new(1),
            laying: Semaphore::new(1),
            strangers: Crowd::new(STRANGERS),
            complaints: Complaints::default(),
        })
    }

    /// Opens this node's bricks, finishes what an interrupted create or delete left here, and begins to connect to the
    /// other nodes. A brick that does not open is logged: the others are served.
    pub async fn start(self: &Rc<Self>) {
        let bricks: Vec<BrickSpec> = self.local_bricks();
        for brick in bricks {
            let path = brick.path.clone();
            if let Err(why) = self.bricks.open_brick(brick).await {
                tracing::error!("the brick {} does not open: {why}", path.display());
            }
        }
        self.run_errands(self.node()).await;
        self.keep_links();
        glommio::spawn_local(Rc::clone(self).renew_damaged()).detach();
    }

    /// Sees to it that damaged bricks of this node are copied from others, as soon as those can give a copy.
    async fn renew_damaged(self: Rc<Self>) {
        while !self.stopped.get() && !self.bricks.damaged().is_empty() {
            for brick in self.bricks.damaged() {
                let entry = self.file.borrow().pool.volumes.get(&brick.volume).cloned();
                let Some(entry) = entry.filter(|entry| !entry.removed) else { continue };
                // Vouched for by its leader, which is another brick: this one does not run.
                let Some((_, None)) = self.state_of(brick.volume, &entry).await else { continue };
                let path = brick.path.clone();
                if let Err(why) = self.bricks.renew_brick(brick).await {
                    tracing::error!("the brick {} does not begin anew: {why}", path.display());
                }
            }
            glommio::timer::sleep(RENEW_PAUSE).await;
        }
    }

    /// Ends the connections to the other nodes, and with them the last uses of the state directory.
    pub fn stop(&self) {
        self.stopped.set(true);
        self.links.borrow().values().for_each(|link| link.ring());
    }

    #[must_use]
    pub fn node(&self) -> NodeId {
        self.file.borrow().node
    }

    /// Where this daemon keeps what is the node's own.
    #[must_use]
    pub fn state_dir(&self) -> &Path {
        self.state_dir.path()
    }

    /// This node's name in the pool.
    #[must_use]
    pub fn name(&self) -> String {
        let file = self.file.borrow();
        file.pool.nodes.get(&file.node).map_or_else(|| file.name.clone(), |e| e.name.clone())
    }

    #[must_use]
    pub fn secret(&self) -> PoolSecret {
        self.file.borrow().secret.clone()
    }

    /// The state as of now. Not to be held over an await.
    #[must_use]
    pub fn file(&self) -> Ref<'_, PoolFile> {
        self.file.borrow()
    }

    /// Moves on whenever the state changes.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation.get()
    }

    /// Committed bricks of this node.
    #[must_use]
    pub fn local_bricks(&self) -> Vec<BrickSpec> {
        let file = self.file.borrow();
        let id = |volume: &VolumeId| file.brick_ids.get(volume).copied().unwrap_or_default();
        let spec = |(volume, path): (&VolumeId, &PathBuf)| BrickSpec {
            volume: *volume,
            path: path.clone(),
            id: id(volume),
        };
        file.bricks.iter().map(spec).collect()
    }

    /// A volume by name: what a mount that asks any node of the pool is told.
    #[must_use]
    pub fn volume_named(&self, name: &str) -> Option<(VolumeId, VolumeEntry)> {
        self.file.borrow().pool.volume_named(name).map(|(id, entry)| (id, entry.clone()))
    }

    /// All volumes that were not deleted.
    #[must_use]
    pub fn volumes(&self) -> Vec<(VolumeId, VolumeEntry)> {
        self.file.borrow().pool.live_volumes().map(|(id, entry)| (id, entry.clone())).collect()
    }

    /// `host:port` to try for a node, best first.
    #[must_use]
    pub fn addresses(&self, node: NodeId) -> Vec<String> {
        let file = self.file.borrow();
        let mut out = file.pool.nodes.get(&node).map_or_else(Vec::new, |e| e.addresses.clone());
        out.extend(self.seen.borrow().get(&node).filter(|a| !out.contains(a)).cloned());
        out
    }

    /// Remembers from where a node called that listens on `port`.
    pub(super) fn note_seen(&self, node: NodeId, asker: Asker, port: u16) {
        if let Some(ip) = asker.address.filter(|ip| !ip.is_loopback()) {
            let address = std::net::SocketAddr::new(ip.to_canonical(), port).to_string();
            self.seen.borrow_mut().insert(node, address);
        }
    }

    /// What people call a node.
    #[must_use]
    pub fn name_of(&self, node: NodeId) -> String {
        let file = self.file.borrow();
        file.pool.nodes.get(&node).map_or_else(|| node.to_string(), |e| e.name.clone())
    }

    #[must_use]
    pub fn is_connected(&self, node: NodeId) -> bool {
        node == self.node() || self.links.borrow().get(&node).is_some_and(|link| link.is_connected())
    }

    pub(super) fn known_volume(&self, name: &str) -> Result<(VolumeId, VolumeEntry), String> {
        self.volume_named(name)
            .ok_or_else(|| format!("volume {name} does not exist: see 'rfs-tools volume list'"))
    }

    /// Changes the state: on the disk first, then in memory, so that nobody acts on what a crash would undo.
    ///
    /// # Errors
    /// When it cannot be written; nothing is changed then.
    pub(super) async fn update<R>(
        self: &Rc<Self>,
        change: impl FnOnce(&mut PoolFile) -> R,
    ) -> Result<R, String> {
        let _turn = turn(&self.saving).await?;
        let mut next = self.file.borrow().clone();
        let result = change(&mut next);
        if next == *self.file.borrow() {
            return Ok(result);
        }
        let (path, content) = (self.state_dir.pool_path(), next.clone());
        let saved = glommio::executor().spawn_blocking(move || file::save(&path, &content)).await;
        saved.map_err(|e| format!("cannot write {}: {e}", self.state_dir.pool_path().display()))?;
        self.file.replace(next);
        self.generation.set(self.generation.get() + 1);
        self.keep_links();
        Ok(result)
    }

    /// Waits until no other probe, detach, create or delete is under way here.
    pub(super) async fn change_turn(&self) -> Result<Permit<'_>, String> {
        turn(&self.changing).await
    }

    /// As [`Pool::change_turn`], at once or not at all.
    pub(super) fn try_change_turn(&self) -> Option<Permit<'_>> {
        self.changing.try_acquire_permit(1).ok()
    }

    /// Answers one request.
    pub fn handle(self: &Rc<Self>, asker: Asker, request: Request) -> LocalBoxFuture<'static, Outcome> {
        let pool = Rc::clone(self);
        Box::pin(async move {
            if asker.right < request.right() {
                return Err(format!(
                    "{} takes changes on its own machine or from a node of its pool only: run this there",
                    pool.name()
                ));
            }
            pool.answer(asker, request).await
        })
    }

    async fn answer(self: &Rc<Self>, asker: Asker, request: Request) -> Outcome {
        match request {
            Request::Identify => Ok(Reply::Identity(self.identity())),
            Request::PeerProbe { host } => self.probe(&host).await,
            Request::PeerDetach { host, force } => self.detach(&host, force).await,
            Request::PeerStatus => Ok(Reply::Peers(self.peer_rows())),
            Request::PoolList => Ok(Reply::Pool(self.pool_rows())),
            Request::VolumeCreate(want) => self.create(&want).await,
            Request::VolumeDelete { volume } => self.delete(&volume).await,
            Request::VolumeChange { volume, change } => self.change(&volume, change).await,
            Request::VolumeInfo { volume } => self.info(volume.as_deref()).await,
            Request::VolumeList => Ok(Reply::Names(self.volume_names())),
            Request::VolumeGet { volume, key } => self.get(&volume, key.as_deref()).await,
            Request::Status { volume } => self.status(volume.as_deref()).await,
            Request::Operate { volume, operation } => self.operate(&volume, operation).await,
            Request::Relay { host, request } => self.relay(&host, *request).await,
            Request::Ping { .. } => Ok(Reply::Digest { digest: self.digest() }),
            Request::Exchange { port, pool } => self.exchanged(asker, port, &pool).await,
            Request::Join { from, known_as, port, secret, pool } => {
                self.join(asker, Offer { from, known_as: &known_as, port, secret, pool: &pool }).await
            }
            Request::Leave => self.leave().await,
            Request::Prepare { coordinator, state } => self.prepare(coordinator, state).await,
            Request::Commit { volume, entry } => self.commit(volume, entry).await,
            Request::Abort { volume } => self.abort(volume).await,
            Request::DeleteBrick { volume } => self.delete_brick(volume).await,
            Request::CheckBrick { volume, brick, path } => self.check_brick(volume, brick, path).await,
            Request::AdoptBrick { state } => self.adopt_brick(state).await,
            Request::Change { volume, change } => self.change_here(volume, change).await,
            Request::OperateHere { volume, operation } => self.operate_here(volume, operation).await,
            Request::StateHere { volume } => self.state_here(volume),
            Request::ReportHere { volume } => self.report_here(volume),
            Request::WhyClosed { volume } => {
                Ok(Reply::Lines(self.bricks.why_closed(volume).into_iter().collect()))
            }
        }
    }

    pub(super) fn identity(&self) -> Identity {
        let file = self.file.borrow();
        Identity {
            node: file.node,
            name: file.pool.nodes.get(&file.node).map_or_else(|| file.name.clone(), |e| e.name.clone()),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            peers: file.peers().count() as u32,
        }
    }

    pub(super) fn digest(&self) -> u32 {
        self.file.borrow().pool.digest()
    }

    /// Asks a node of the pool, this one included.
    pub(super) async fn tell(
        self: &Rc<Self>,
        node: NodeId,
        request: Request,
        limit: Duration,
    ) -> Result<Reply, AskError> {
        if node == self.node() {
            let me = Asker { right: Right::Peer, node: Some(node), address: None };
            return self.handle(me, request).await.map_err(AskError::Refused);
        }
        self.open_to(node).await?.ask(&request, limit).await
    }

    /// [`Pool::tell`], with errors that name the node.
    pub(super) async fn tell_named(
        self: &Rc<Self>,
        node: NodeId,
        request: Request,
        limit: Duration,
    ) -> Outcome {
        self.tell(node, request, limit).await.map_err(|e| match e {
            AskError::Net(e) => explain(&self.name_of(node), &e),
            AskError::Refused(text) => text,
        })
    }

    /// Which node of the pool a host name means: this one if it is its own name, else whoever answers there, else whoever
    /// is called so.
    pub(super) async fn resolve(self: &Rc<Self>, host: &str) -> Result<NodeId, String> {
        if let Ok(node) = host.parse::<NodeId>()
            && self.file.borrow().is_member(node)
        {
            return Ok(node);
        }
        let target = HostPort::parse(host)?;
        if target.port == self.port && self.file.borrow().name == target.host {
            return Ok(self.node());
        }
        let asked = Line::open(&self.dial, &target.address(), &Caller::Stranger).await;
        let identity = match asked {
            Ok(mut line) => line.ask(&Request::Identify, LOOK).await.ok(),
            Err(_) => None,
        };
        let node = match identity {
            Some(Reply::Identity(identity)) => Some(identity.node),
            _ => self.called(&target),
        };
        node.filter(|node| self.file.borrow().is_member(*node)).ok_or_else(|| {
            format!("{host} is not a peer of this pool; run 'rfs-tools peer probe {host}' first")
        })
    }

    /// The node that goes by a name or address, as far as is known here.
    fn called(&self, target: &HostPort) -> Option<NodeId> {
        let (file, address) = (self.file.borrow(), target.address());
        let mut nodes = file.pool.live_nodes();
        nodes.find(|(_, e)| e.addresses.contains(&address) || e.name == target.host).map(|(id, _)| id)
    }

    async fn relay(self: &Rc<Self>, host: &str, request: Request) -> Outcome {
        if matches!(request, Request::Relay { .. }) || request.right() == Right::Peer {
            return Err("this request cannot be relayed".to_owned());
        }
        let node = self.resolve(host).await?;
        self.tell_named(node, request, WORK).await
    }
}

/// The semaphores are never closed: the error is for form's sake.
pub(super) async fn turn(semaphore: &Semaphore) -> Result<Permit<'_>, String> {
    semaphore.acquire_permit(1).await.map_err(|e| e.to_string())
}
