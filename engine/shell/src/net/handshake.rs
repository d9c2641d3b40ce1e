//! The dialogue that opens a link between bricks: both prove that they know the pool's secret.

use std::rc::Rc;

use bytes::Bytes;
use rfs_model::admin::PoolSecret;
use rfs_model::codec::Decode;
use rfs_model::frame::{FrameKind, frame};
use rfs_model::hello::{Denial, Hello, VERSIONS, common_version};
use rfs_model::{NodeId, SeatId, VolumeId};

use super::framed::{Connection, NetError};
use crate::pool::auth::{Handshake, Side, proof, random, verify};

/// The pool's secret as of now; it is set when a node joins a pool.
pub type Secret = Rc<dyn Fn() -> PoolSecret>;

/// Reads the next frame as a part of the dialogue.
///
/// # Errors
/// [`NetError`]; a frame of another kind is unexpected.
pub async fn recv_hello(connection: &mut Connection) -> Result<Hello, NetError> {
    let (kind, payload) = connection.recv().await?;
    decode_hello(kind, &payload)
}

/// # Errors
/// [`NetError::Unexpected`] for another kind of frame, [`NetError::Message`] for bytes that are no hello.
pub fn decode_hello(kind: FrameKind, payload: &Bytes) -> Result<Hello, NetError> {
    if kind != FrameKind::Hello {
        return Err(NetError::Unexpected(format!("a frame of kind {kind:?} before the hello")));
    }
    Ok(Hello::from_all(payload)?)
}

/// # Errors
/// [`NetError::Io`].
pub async fn send_hello(connection: &mut Connection, hello: &Hello) -> Result<(), NetError> {
    connection.send(frame(FrameKind::Hello, hello)).await
}

/// The dialer's side of a link to `peer`.
///
/// # Errors
/// With the other side's own words when it refuses: [`NetError::NoBrick`], [`NetError::Unexpected`].
pub async fn dial_peer(
    connection: &mut Connection,
    me: NodeId,
    peer: NodeId,
    volume: VolumeId,
    secret: &Secret,
) -> Result<(), NetError> {
    let mine = random()?;
    send_hello(connection, &Hello::Peer { versions: VERSIONS.to_vec(), node: me, volume, nonce: mine })
        .await?;
    let (node, theirs, their_proof) = match recv_hello(connection).await? {
        Hello::Challenge { node, nonce, proof } => (node, nonce, proof),
        other => return Err(unexpected(other)),
    };
    if node != peer {
        return Err(NetError::Unexpected(format!("another node answers there: {node}")));
    }
    let purpose = purpose(volume);
    let handshake = Handshake {
        purpose: &purpose,
        dialer: me,
        accepter: peer,
        dialer_nonce: mine,
        accepter_nonce: theirs,
    };
    if !verify(&secret(), Side::Accept, &handshake, their_proof) {
        return Err(NetError::Unexpected("the peer does not know the pool's secret".into()));
    }
    let proof = proof(&secret(), Side::Dial, &handshake);
    send_hello(connection, &Hello::Proof { proof }).await?;
    match recv_hello(connection).await? {
        Hello::Welcome { .. } => Ok(()),
        other => Err(unexpected(other)),
    }
}

fn purpose(volume: VolumeId) -> String {
    format!("peer {volume}")
}

/// What a dialler said in its `Hello::Peer`.
#[derive(Clone, Debug)]
pub struct PeerHello {
    pub versions: Vec<u32>,
    pub node: NodeId,
    pub volume: VolumeId,
    pub nonce: [u8; 32],
}

/// The other side, after `Hello::Peer` has been read. On success the caller still owes the dialer a `Welcome`.
///
/// # Errors
/// [`NetError`]; the dialer has then been told why.
pub async fn accept_peer(
    connection: &mut Connection,
    hello: &PeerHello,
    me: NodeId,
    secret: &Secret,
) -> Result<u32, NetError> {
    let Some(version) = common_version(&hello.versions) else {
        return Err(refuse(connection, Denial::Version).await);
    };
    let purpose = purpose(hello.volume);
    let handshake = Handshake {
        purpose: &purpose,
        dialer: hello.node,
        accepter: me,
        dialer_nonce: hello.nonce,
        accepter_nonce: random()?,
    };
    let answer = proof(&secret(), Side::Accept, &handshake);
    let challenge = Hello::Challenge { node: me, nonce: handshake.accepter_nonce, proof: answer };
    send_hello(connection, &challenge).await?;
    match recv_hello(connection).await? {
        Hello::Proof { proof } if verify(&secret(), Side::Dial, &handshake, proof) => Ok(version),
        _ => Err(refuse(connection, Denial::Stranger).await),
    }
}

fn seat_purpose(volume: VolumeId) -> String {
    format!("witness {volume}")
}

/// What both sides know of a seat that a node of the pool offers. The nonce of the one who is called makes each proof
/// another one; the seat stands for the caller, who need not be known.
fn seat_handshake<'a>(purpose: &'a str, seat: SeatId, accepter: NodeId, nonce: [u8; 32]) -> Handshake<'a> {
    let dialer = NodeId(seat.0);
    Handshake { purpose, dialer, accepter, dialer_nonce: [0; 32], accepter_nonce: nonce }
}

/// Demands of a caller who offers a seat as a node of the pool that it proves to be one. On success a `Welcome` is still
/// owed.
///
/// # Errors
/// [`NetError`]; the caller has then been told why.
pub async fn accept_seat(
    connection: &mut Connection,
    volume: VolumeId,
    seat: SeatId,
    me: NodeId,
    secret: &Secret,
) -> Result<(), NetError> {
    let purpose = seat_purpose(volume);
    let handshake = seat_handshake(&purpose, seat, me, random()?);
    let answer = proof(&secret(), Side::Accept, &handshake);
    let challenge = Hello::Challenge { node: me, nonce: handshake.accepter_nonce, proof: answer };
    send_hello(connection, &challenge).await?;
    match recv_hello(connection).await? {
        Hello::Proof { proof } if verify(&secret(), Side::Dial, &handshake, proof) => Ok(()),
        _ => Err(refuse(connection, Denial::Stranger).await),
    }
}

/// Offers a seat as a node of the pool, and proves to be one.
///
/// # Errors
/// [`NetError::Unexpected`] with the other side's own words when it takes no witness.
pub async fn offer_seat(
    connection: &mut Connection,
    hello: &Hello,
    secret: &PoolSecret,
) -> Result<(), NetError> {
    let Hello::Witness { volume, seat, .. } = hello else {
        return Err(NetError::Unexpected("no seat is offered".into()));
    };
    send_hello(connection, hello).await?;
    let purpose = seat_purpose(*volume);
    let first = match recv_hello(connection).await? {
        Hello::Challenge { node, nonce, proof: theirs } => {
            let handshake = seat_handshake(&purpose, *seat, node, nonce);
            if !verify(secret, Side::Accept, &handshake, theirs) {
                return Err(NetError::Unexpected("the brick does not know the pool's secret".into()));
            }
            let proof = proof(secret, Side::Dial, &handshake);
            send_hello(connection, &Hello::Proof { proof }).await?;
            recv_hello(connection).await?
        }
        other => other,
    };
    match first {
        Hello::Welcome { .. } => Ok(()),
        other => Err(unexpected(other)),
    }
}

/// Tells the caller why it may not come in, and gives the same as an error.
pub async fn refuse(connection: &mut Connection, why: Denial) -> NetError {
    let text = why.to_string();
    // The caller may be gone already: the refusal stands all the same.
    let _ = send_hello(connection, &Hello::Refused { why, text: text.clone() }).await;
    NetError::Unexpected(text)
}

fn unexpected(hello: Hello) -> NetError {
    match hello {
        Hello::Refused { why: Denial::NoVolume, text } => NetError::NoBrick(text),
        Hello::Refused { text, .. } => NetError::Unexpected(text),
        other => NetError::Unexpected(format!("an answer out of turn: {other:?}")),
    }
}
