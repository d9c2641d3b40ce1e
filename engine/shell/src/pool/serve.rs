//! One control connection that came in.

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use rfs_model::admin::{self, Request, Response, Right};
use rfs_model::frame::FrameKind;
use rfs_model::hello::{Denial, Hello, Standing, common_version};
use rfs_model::ids::{Index, NodeId, VolumeId};

use super::auth::{Handshake, Side, proof, random, verify};
use super::line::PURPOSE;
use super::service::{Asker, Pool};
use crate::net::framed::within;
use crate::net::handshake::{recv_hello, refuse, send_hello};
use crate::net::{Connection, NetError};

/// How long a caller may take to prove itself.
const PROOF_LIMIT: Duration = Duration::from_secs(5);
/// How long a caller from the network may be silent between requests. Nodes ping every second.
const IDLE: Duration = Duration::from_secs(60);

impl Pool {
    /// Serves a connection that began with `Hello::Control`, until it ends. `local`: it came by the Unix socket, which only
    /// root may connect to.
    pub async fn serve(
        self: &Rc<Self>,
        mut connection: Connection,
        versions: &[u32],
        node: NodeId,
        nonce: [u8; 32],
        local: bool,
    ) {
        let peer = connection.peer().to_owned();
        let greeted = self.greet(&mut connection, versions, node, nonce, local).await;
        let ended = match greeted {
            Ok(asker) if asker.right == Right::Anybody => {
                let (_member, _) = self.strangers.enter(connection.hangup());
                self.converse_with(&mut connection, asker).await
            }
            Ok(asker) => self.converse_with(&mut connection, asker).await,
            Err(e) => Err(e),
        };
        match ended {
            Ok(()) | Err(NetError::Closed) => {}
            Err(e) => {
                let say = |more| tracing::info!(%peer, more, "control connection closed: {e}");
                self.complaints.say(say);
            }
        }
        connection.hangup().hang_up();
    }

    async fn greet(
        &self,
        connection: &mut Connection,
        versions: &[u32],
        node: NodeId,
        nonce: [u8; 32],
        local: bool,
    ) -> Result<Asker, NetError> {
        let Some(version) = common_version(versions) else {
            return Err(refuse(connection, Denial::Version).await);
        };
        let address = (!local).then(|| address_of(connection)).flatten();
        let known = !node.is_nil() && node != self.node() && self.file().pool.nodes.contains_key(&node);
        let asker = if known {
            if !self.file().is_member(node) {
                return Err(refuse(connection, Denial::Stranger).await);
            }
            within(PROOF_LIMIT, self.demand_proof(connection, node, nonce)).await?;
            // It is back: no need to wait for the next attempt to call it.
            if let Some(link) = self.links.borrow().get(&node).filter(|link| !link.is_connected()) {
                link.ring();
            }
            Asker { right: Right::Peer, node: Some(node), address }
        } else {
            let right = if local { Right::Admin } else { Right::Anybody };
            Asker { right, node: None, address }
        };
        let welcome = Hello::Welcome {
            version,
            node: self.node(),
            volume: VolumeId::NIL,
            standing: Standing::Ready,
            bricks: Vec::new(),
            config: Index::ZERO,
            options: Vec::new(),
        };
        send_hello(connection, &welcome).await?;
        Ok(asker)
    }

    async fn demand_proof(
        &self,
        connection: &mut Connection,
        node: NodeId,
        nonce: [u8; 32],
    ) -> Result<(), NetError> {
        let handshake = Handshake {
            purpose: PURPOSE,
            dialer: node,
            accepter: self.node(),
            dialer_nonce: nonce,
            accepter_nonce: random()?,
        };
        let mine = proof(&self.secret(), Side::Accept, &handshake);
        let challenge = Hello::Challenge { node: self.node(), nonce: handshake.accepter_nonce, proof: mine };
        send_hello(connection, &challenge).await?;
        match recv_hello(connection).await? {
            Hello::Proof { proof } if verify(&self.secret(), Side::Dial, &handshake, proof) => Ok(()),
            _ => Err(refuse(connection, Denial::Stranger).await),
        }
    }

    async fn converse_with(
        self: &Rc<Self>,
        connection: &mut Connection,
        asker: Asker,
    ) -> Result<(), NetError> {
        loop {
            let (kind, payload) = match asker.address {
                Some(_) => connection.recv_within(IDLE).await?,
                None => connection.recv().await?,
            };
            if kind != FrameKind::Admin {
                return Err(NetError::Unexpected(format!(
                    "a frame of kind {kind:?} on a control connection"
                )));
            }
            let request: Request = match admin::from_payload(&payload) {
                Ok(request) => request,
                Err(text) => {
                    connection.send(admin::to_frame(&Response::Err { text: text.clone() })).await?;
                    return Err(NetError::Unexpected(text));
                }
            };
            // A node that was detached meanwhile has no say any more.
            if asker.node.is_some_and(|node| !self.file().is_member(node)) {
                return Err(NetError::Unexpected("the node was detached from the pool".to_owned()));
            }
            let response = Response::from(self.handle(asker, request).await);
            connection.send(admin::to_frame(&response)).await?;
        }
    }
}

fn address_of(connection: &Connection) -> Option<IpAddr> {
    connection.peer().parse::<SocketAddr>().ok().map(|a| a.ip())
}
