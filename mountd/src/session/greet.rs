//! The hello to a brick, and what came of it.

use std::time::Duration;

use rfs_model::codec::Decode;
use rfs_model::frame::FrameKind;
use rfs_model::hello::{BrickPlace, Denial, Hello, Standing, VERSIONS};
use rfs_model::{Index, NodeId, VolumeId};

use crate::transport::{Address, Connection, Transport};

/// A silent machine is given up after this.
const CONNECT_PATIENCE: Duration = Duration::from_millis(1000);
/// A brick that is connected and says nothing, likewise. It makes a new session durable before it answers.
const HELLO_PATIENCE: Duration = Duration::from_millis(2000);

/// What a brick says of itself and its volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    pub node: NodeId,
    pub volume: VolumeId,
    pub standing: Standing,
    pub bricks: Vec<BrickPlace>,
    pub config: Index,
    pub options: Vec<(String, String)>,
}

/// Why a brick was of no use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Useless {
    #[error("{0}")]
    Unreachable(String),
    /// Turned away for good; the text is the brick's.
    #[error("{1}")]
    Denied(Denial, String),
}

/// Connects and says what `hello` makes of it then; `None` from it: nobody is interested any more.
///
/// # Errors
/// [`Useless`].
pub async fn greet(
    transport: &dyn Transport,
    to: &Address,
    hello: impl FnOnce() -> Option<Hello>,
) -> Result<(Connection, Welcome), Useless> {
    let unreachable = |what: &dyn std::fmt::Display| Useless::Unreachable(what.to_string());
    let mut connection =
        transport.connect(to, CONNECT_PATIENCE).await.map_err(|error| unreachable(&error))?;
    let hello = hello().ok_or_else(|| unreachable(&"no longer wanted"))?;
    connection.send(FrameKind::Hello, &hello);
    let frame = tokio::time::timeout(HELLO_PATIENCE, connection.receive())
        .await
        .map_err(|_| unreachable(&"it takes the connection but does not answer"))?;
    let Some((FrameKind::Hello, payload)) = frame else {
        return Err(unreachable(&"it closed the connection without an answer"));
    };
    match Hello::from_all(&payload) {
        Ok(Hello::Welcome { version, node, volume, standing, bricks, config, options })
            if VERSIONS.contains(&version) =>
        {
            Ok((connection, Welcome { node, volume, standing, bricks, config, options }))
        }
        Ok(Hello::Refused { why, text }) => Err(Useless::Denied(why, text)),
        Ok(_) => Err(unreachable(&"it answered something unexpected")),
        Err(error) => Err(unreachable(&error)),
    }
}
