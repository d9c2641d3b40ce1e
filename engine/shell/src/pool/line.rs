//! A control connection to another daemon: greeting, proofs, requests.

use std::rc::Rc;
use std::time::Duration;

use rfs_model::admin::{self, PoolSecret, Reply, Request, Response};
use rfs_model::frame::FrameKind;
use rfs_model::hello::{Hello, VERSIONS};
use rfs_model::ids::NodeId;

use super::auth::{Handshake, Side, proof, random, verify};
use super::seam::LocalBoxFuture;
use crate::net::framed::within;
use crate::net::handshake::{recv_hello, send_hello};
use crate::net::{Connection, NetError, connect};

/// What proofs on control connections are made for.
pub const PURPOSE: &str = "control";
/// How long a daemon may take to be reached and to greet.
pub const DIAL_LIMIT: Duration = Duration::from_secs(3);

/// How connections are made; tests put names of their own before it.
pub trait Dial {
    fn dial(&self, address: String) -> LocalBoxFuture<'_, Result<Connection, NetError>>;
}

/// TCP, names resolved by the system.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tcp;

impl Dial for Tcp {
    fn dial(&self, address: String) -> LocalBoxFuture<'_, Result<Connection, NetError>> {
        Box::pin(async move { connect(&address, DIAL_LIMIT).await })
    }
}

/// As whom to call.
#[derive(Clone, Debug)]
pub enum Caller {
    /// Somebody: may look, and offer to join.
    Stranger,
    /// A node of the pool, calling `whom` and nobody else.
    Member { me: NodeId, secret: PoolSecret, whom: NodeId },
}

#[derive(Debug, thiserror::Error)]
pub enum AskError {
    #[error(transparent)]
    Net(#[from] NetError),
    /// The other daemon said no, in one line.
    #[error("{0}")]
    Refused(String),
}

/// A greeted connection.
pub struct Line {
    connection: Connection,
}

impl Line {
    /// Dials and greets.
    ///
    /// # Errors
    /// [`NetError`]; [`NetError::Unexpected`] when another node answers than was called, or one of another pool.
    pub async fn open(dial: &Rc<dyn Dial>, address: &str, caller: &Caller) -> Result<Self, NetError> {
        let mut connection = within(DIAL_LIMIT, dial.dial(address.to_owned())).await?;
        within(DIAL_LIMIT, greet(&mut connection, caller)).await?;
        Ok(Self { connection })
    }

    /// One request, one answer.
    ///
    /// # Errors
    /// [`AskError`]; after [`AskError::Net`] the line is of no use.
    pub async fn ask(&mut self, request: &Request, limit: Duration) -> Result<Reply, AskError> {
        self.connection.send(admin::to_frame(request)).await?;
        let (kind, payload) = self.connection.recv_within(limit).await?;
        if kind != FrameKind::Admin {
            return Err(NetError::Unexpected(format!("a frame of kind {kind:?} instead of an answer")).into());
        }
        match admin::from_payload(&payload).map_err(NetError::Unexpected)? {
            Response::Ok(reply) => Ok(reply),
            Response::Err { text } => Err(AskError::Refused(text)),
        }
    }
}

async fn greet(connection: &mut Connection, caller: &Caller) -> Result<(), NetError> {
    let versions = VERSIONS.to_vec();
    let Caller::Member { me, secret, whom } = caller else {
        let hello = Hello::Control { versions, node: NodeId::NIL, nonce: [0; 32] };
        send_hello(connection, &hello).await?;
        return welcome(connection).await;
    };
    let mine = random()?;
    send_hello(connection, &Hello::Control { versions, node: *me, nonce: mine }).await?;
    let (node, theirs, their_proof) = match recv_hello(connection).await? {
        Hello::Challenge { node, nonce, proof } => (node, nonce, proof),
        Hello::Welcome { .. } => return Err(unexpected("it does not know this node as one of its pool")),
        Hello::Refused { text, .. } => return Err(NetError::Unexpected(text)),
        _ => return Err(unexpected("it greets out of turn")),
    };
    if node != *whom {
        return Err(NetError::Unexpected(format!("another node answers there: {node}")));
    }
    let handshake = Handshake {
        purpose: PURPOSE,
        dialer: *me,
        accepter: node,
        dialer_nonce: mine,
        accepter_nonce: theirs,
    };
    if !verify(secret, Side::Accept, &handshake, their_proof) {
        return Err(unexpected("it does not know the pool's secret"));
    }
    send_hello(connection, &Hello::Proof { proof: proof(secret, Side::Dial, &handshake) }).await?;
    welcome(connection).await
}

async fn welcome(connection: &mut Connection) -> Result<(), NetError> {
    match recv_hello(connection).await? {
        Hello::Welcome { .. } => Ok(()),
        Hello::Refused { text, .. } => Err(NetError::Unexpected(text)),
        _ => Err(unexpected("it greets out of turn")),
    }
}

fn unexpected(text: &str) -> NetError {
    NetError::Unexpected(text.to_owned())
}

/// Why `host` could not be talked to, for a person.
#[must_use]
pub fn explain(host: &str, e: &NetError) -> String {
    match e {
        NetError::Unresolved(_) => {
            format!("unknown host '{host}': check its spelling, /etc/hosts and the DNS")
        }
        e if e.is_refusal() => format!("nobody listens at {host}: is rfs-brickd running there?"),
        NetError::Timeout(limit) => {
            format!(
                "{host} did not answer within {} s: is it up, and its port 24007 reachable?",
                limit.as_secs()
            )
        }
        NetError::Closed => format!("{host} closed the connection; its log says why"),
        NetError::Io(e) => format!("{host} cannot be reached: {e}"),
        other => format!("{host}: {other}"),
    }
}
