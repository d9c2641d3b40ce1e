//! One connection kept to each other node: it tells who is there, and carries what the nodes tell each other.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use rfs_model::admin::{Reply, Request};
use rfs_model::ids::NodeId;

use super::line::{AskError, Caller, Line};
use super::notify::Bell;
use super::service::Pool;
use crate::net::NetError;

/// Between two pings, and between two attempts to connect.
const PING: Duration = Duration::from_secs(1);
/// A node that is silent for so long is not connected.
const SILENCE: Duration = Duration::from_secs(3);
/// How long an operation that needs all nodes waits for those that are about to connect.
const SETTLE: Duration = Duration::from_secs(4);
const POLL: Duration = Duration::from_millis(20);

/// What is known about the connection to one node.
#[derive(Debug, Default)]
pub struct Link {
    connected: Cell<bool>,
    /// Rung when there is something to tell.
    bell: Bell,
    /// Why it is not connected, as logged last.
    trouble: RefCell<String>,
}

impl Link {
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.connected.get()
    }

    pub(super) fn ring(&self) {
        self.bell.ring();
    }
}

impl Pool {
    /// Starts a task for each node that has none, and lets all know that there is news.
    pub(super) fn keep_links(self: &Rc<Self>) {
        let wanted = self.linked_nodes();
        for node in wanted {
            let mut links = self.links.borrow_mut();
            if let Some(link) = links.get(&node) {
                link.ring();
                continue;
            }
            let link = Rc::new(Link::default());
            links.insert(node, Rc::clone(&link));
            glommio::spawn_local(Rc::clone(self).keep(node, link)).detach();
        }
    }

    /// The other nodes of the pool, and those that must still be told something.
    fn linked_nodes(&self) -> Vec<NodeId> {
        if self.stopped.get() {
            return Vec::new();
        }
        let file = self.file();
        let mut nodes: Vec<NodeId> = file.peers().map(|(id, _)| id).collect();
        nodes.extend(file.errands.iter().map(|e| e.to).filter(|to| *to != file.node));
        nodes.sort_unstable();
        nodes.dedup();
        nodes
    }

    async fn keep(self: Rc<Self>, node: NodeId, link: Rc<Link>) {
        while self.linked_nodes().contains(&node) {
            let ended = self.converse(node, &link).await;
            link.connected.set(false);
            if let Err(e) = ended {
                self.note_trouble(node, &link, &e.to_string());
            }
            link.bell.wait(PING).await;
        }
        self.links.borrow_mut().remove(&node);
    }

    fn note_trouble(&self, node: NodeId, link: &Link, why: &str) {
        if *link.trouble.borrow() != why {
            tracing::warn!(%node, "{} is not connected: {why}", self.name_of(node));
            why.clone_into(&mut link.trouble.borrow_mut());
        }
    }

    /// One connection's life.
    async fn converse(self: &Rc<Self>, node: NodeId, link: &Link) -> Result<(), AskError> {
        let mut line = self.open_to(node).await?;
        if self.file().is_member(node) {
            self.exchange(&mut line).await?;
            link.connected.set(true);
            tracing::info!(%node, "{} is connected", self.name_of(node));
            link.trouble.borrow_mut().clear();
        }
        self.run_errands(node).await;
        while self.file().is_member(node) && !self.stopped.get() {
            let request = Request::Ping { digest: self.digest() };
            match line.ask(&request, SILENCE).await? {
                Reply::Digest { digest } if digest == self.digest() => {}
                _ => self.exchange(&mut line).await?,
            }
            link.bell.wait(PING).await;
        }
        Ok(())
    }

    async fn exchange(self: &Rc<Self>, line: &mut Line) -> Result<(), AskError> {
        let request = Request::Exchange { port: self.port, pool: self.file().pool.clone() };
        let Reply::Exchanged(theirs) = line.ask(&request, SILENCE).await? else {
            return Err(NetError::Unexpected("another answer than a pool state".to_owned()).into());
        };
        self.merge(&theirs).await.map_err(AskError::Refused)
    }

    /// Connects to a node as a member of its pool, wherever it can be found.
    pub(super) async fn open_to(self: &Rc<Self>, node: NodeId) -> Result<Line, NetError> {
        let caller = Caller::Member { me: self.node(), secret: self.secret(), whom: node };
        let mut why = NetError::Unresolved(self.name_of(node));
        for address in self.addresses(node) {
            match Line::open(&self.dial, &address, &caller).await {
                Ok(line) => return Ok(line),
                Err(e) => why = e,
            }
        }
        Err(why)
    }

    /// Tells all connected nodes what has changed, and returns when they know.
    pub(super) async fn spread(self: &Rc<Self>) {
        let peers: Vec<NodeId> = self.file().peers().map(|(id, _)| id).collect();
        for node in peers.into_iter().filter(|node| self.is_connected(*node)) {
            let told = async { self.exchange(&mut self.open_to(node).await?).await };
            if let Err(e) = told.await {
                tracing::warn!(%node, "{} has not been told of a change yet: {e}", self.name_of(node));
            }
        }
    }

    /// Waits until a node is connected; false when it is not soon.
    pub(super) async fn await_link(&self, node: NodeId) -> bool {
        let mut waited = Duration::ZERO;
        while !self.is_connected(node) && waited < SETTLE {
            glommio::timer::sleep(POLL).await;
            waited += POLL;
        }
        self.is_connected(node)
    }

    /// # Errors
    /// Names the node that is not connected; `but` need not be.
    pub(super) async fn need_all(&self, what: &str, but: Option<NodeId>) -> Result<(), String> {
        let peers: Vec<NodeId> =
            self.file().peers().map(|(id, _)| id).filter(|id| Some(*id) != but).collect();
        for node in peers {
            if !self.await_link(node).await {
                let name = self.name_of(node);
                return Err(format!(
                    "{what} needs all nodes of the pool and {name} is not connected: start rfs-brickd there, or mend the network"
                ));
            }
        }
        Ok(())
    }
}
