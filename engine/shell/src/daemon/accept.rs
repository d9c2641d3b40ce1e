//! The door: each connection says who it is, and goes to whom it wants.

use std::rc::Rc;
use std::time::Duration;

use rfs_model::hello::{Denial, Hello, SeatClass, common_version};

use super::Daemon;
use super::door::Place;
use crate::net::framed::within;
use crate::net::handshake::{self, PeerHello};
use crate::net::listen::Listener;
use crate::net::{Connection, NetError};
use crate::shard::{MountHello, WitnessHello};

/// How long a caller may take to say who it is.
const HELLO_LIMIT: Duration = Duration::from_secs(5);
/// Pause after a failed accept (too many open files), so that it does not become a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Accepts until the daemon ends.
pub async fn serve(daemon: Rc<Daemon>, listener: Listener, local: bool) {
    loop {
        match listener.accept().await {
            Ok(connection) => {
                let place = daemon.door.enter(connection.hangup());
                glommio::spawn_local(greet(Rc::clone(&daemon), connection, place, local)).detach();
            }
            Err(e) => {
                daemon.door.complaints.say(|more| tracing::warn!(more, "cannot accept a connection: {e}"));
                glommio::timer::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn greet(daemon: Rc<Daemon>, mut connection: Connection, place: Place, local: bool) {
    let peer = connection.peer().to_owned();
    let first = async {
        let (kind, payload) = connection.recv_counted(|bytes| place.count(bytes)).await?;
        handshake::decode_hello(kind, &payload)
    };
    let hello = match within(HELLO_LIMIT, first).await {
        Ok(hello) => hello,
        // Somebody who only looked whether the port is open.
        Err(NetError::Closed) => return,
        Err(e) => {
            let complaints = &daemon.door.complaints;
            complaints.say(|more| tracing::warn!(%peer, more, "connection closed: {e}"));
            connection.hangup().hang_up();
            return;
        }
    };
    if let Err(e) = dispatch(&daemon, connection, hello, place, local).await {
        daemon.door.complaints.say(|more| tracing::info!(%peer, more, "turned away: {e}"));
    }
}

async fn dispatch(
    daemon: &Rc<Daemon>,
    mut connection: Connection,
    hello: Hello,
    place: Place,
    local: bool,
) -> Result<(), NetError> {
    match hello {
        Hello::Control { versions, node, nonce } => {
            drop(place);
            daemon.pool.serve(connection, &versions, node, nonce, local).await;
            Ok(())
        }
        Hello::Peer { versions, node, volume, nonce } => {
            let hello = PeerHello { versions, node, volume, nonce };
            let answer = handshake::accept_peer(&mut connection, &hello, daemon.node, &daemon.secret);
            within(HELLO_LIMIT, answer).await?;
            drop(place);
            match daemon.bricks.shard(volume) {
                Some(shard) => shard.accept_peer(connection, node).await,
                None => Err(handshake::refuse(&mut connection, Denial::NoVolume).await),
            }
        }
        Hello::Witness { versions, volume, seat, class, host } => {
            if common_version(&versions).is_none() {
                return Err(handshake::refuse(&mut connection, Denial::Version).await);
            }
            // A node of the pool proves that it is one; other machines are judged by their address.
            let proven = class == SeatClass::PoolNode;
            if proven {
                let answer =
                    handshake::accept_seat(&mut connection, volume, seat, daemon.node, &daemon.secret);
                within(HELLO_LIMIT, answer).await?;
            }
            drop(place);
            match daemon.bricks.shard(volume) {
                Some(shard) => {
                    let hello = WitnessHello { seat, class, host, proven };
                    shard.accept_witness(connection, hello).await
                }
                None => Err(handshake::refuse(&mut connection, Denial::NoVolume).await),
            }
        }
        Hello::Mount { versions, volume, session, purpose, host, resumed, opens } => {
            if common_version(&versions).is_none() {
                return Err(handshake::refuse(&mut connection, Denial::Version).await);
            }
            match daemon.bricks.named(&volume) {
                Some(shard) => {
                    let hello = MountHello { session, purpose, host, resumed, opens, local };
                    shard.accept_mount(connection, hello).await
                }
                None => daemon.redirect_mount(&mut connection, &volume).await,
            }
        }
        Hello::Challenge { .. } | Hello::Proof { .. } | Hello::Welcome { .. } | Hello::Refused { .. } => {
            Err(handshake::refuse(&mut connection, Denial::Nonsense).await)
        }
    }
}
