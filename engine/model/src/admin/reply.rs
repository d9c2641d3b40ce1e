//! Answers to [`Request`](super::Request)s.

use serde::{Deserialize, Serialize};

use super::pool::PoolState;
use super::report::VolumeReport;
use crate::ids::{NodeId, VolumeId};
use crate::volume::VolumeState;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Response {
    Ok(Reply),
    /// Nothing was changed, unless the text says so. One line: why, and what to do.
    Err {
        text: String,
    },
}

impl From<Result<Reply, String>> for Response {
    fn from(result: Result<Reply, String>) -> Self {
        match result {
            Ok(reply) => Self::Ok(reply),
            Err(text) => Self::Err { text },
        }
    }
}

/// A daemon, as it introduces itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub node: NodeId,
    pub name: String,
    /// Version of the program.
    pub version: String,
    /// Other nodes of its pool.
    pub peers: u32,
}

/// Another node of the pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerRow {
    pub hostname: String,
    pub uuid: NodeId,
    pub connected: bool,
}

/// A node of the pool; the one that answers calls itself `localhost`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolRow {
    pub uuid: NodeId,
    pub hostname: String,
    pub connected: bool,
}

/// What `volume info` shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeRow {
    pub name: String,
    pub id: VolumeId,
    /// `None`: no brick of the volume could be asked.
    pub started: Option<bool>,
    /// Replica sets.
    pub sets: u32,
    /// Bricks of each replica set.
    pub replica: u32,
    pub transport: String,
    /// `host:/path`
    pub bricks: Vec<String>,
    /// Options that differ from their defaults.
    pub options: Vec<(String, String)>,
    /// Milliseconds since 1970 of the newest record known here, where no leader vouches for the answer.
    pub as_of_ms: Option<u64>,
}

/// One option and its value in a volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OptionRow {
    pub key: String,
    pub value: String,
    pub default: bool,
}

/// A path that an abandoned lineage had otherwise than the volume has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DivergentRow {
    /// `host:/path` of the brick that keeps it.
    pub brick: String,
    /// In the volume.
    pub path: String,
    /// What the abandoned lineage did: `changed`, `created`, `renamed` (this is the new name), `removed`.
    pub did: String,
    /// Bytes, of a file.
    pub size: u64,
    /// Milliseconds since 1970; `None` for what was removed.
    pub mtime_ms: Option<u64>,
    /// When it was set aside, milliseconds since 1970.
    pub set_aside_ms: u64,
    /// Where the copy is on the brick's host; `None` for what was removed.
    pub copy: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// `note` is what the person should know besides, in one line.
    Done {
        note: Option<String>,
    },
    Identity(Identity),
    Peers(Vec<PeerRow>),
    Pool(Vec<PoolRow>),
    Volumes(Vec<VolumeRow>),
    Names(Vec<String>),
    Options(Vec<OptionRow>),
    Reports(Vec<VolumeReport>),
    Lines(Vec<String>),
    Divergent(Vec<DivergentRow>),

    /// Daemon to daemon.
    Digest {
        digest: u32,
    },
    Exchanged(PoolState),
    State {
        state: VolumeState,
        /// Who leads, as far as the answering brick knows: the state is the newest when that is itself.
        leader: Option<NodeId>,
        as_of_ms: u64,
    },
    /// Another node leads (`None`: unknown; `why` then names the brick that is waited for, if that is known).
    NotLeader {
        leader: Option<NodeId>,
        why: String,
    },
}

impl Reply {
    #[must_use]
    pub const fn done() -> Self {
        Self::Done { note: None }
    }
}
