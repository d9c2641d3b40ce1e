//! Command line to daemon, and daemon to daemon: JSON in frames of kind [`Admin`](FrameKind::Admin), after a
//! [`Hello::Control`](crate::hello::Hello::Control). Each request gets exactly one [`Response`], in order.
//!
//! Who may ask what is [`Request::right`]: a stranger on the network may look and may offer to join pools; changes come
//! through the node's own Unix socket or from a node of the pool that has proved itself.

mod pool;
mod reply;
mod report;

use serde::{Deserialize, Serialize};

use crate::frame::{FrameKind, put_frame};
use crate::hello::BrickPlace;
use crate::ids::{NodeId, VolumeId};
use crate::volume::VolumeState;

pub use pool::{NodeEntry, PoolSecret, PoolState, VolumeEntry};
pub use reply::{DivergentRow, Identity, OptionRow, PeerRow, PoolRow, Reply, Response, VolumeRow};
pub use report::{BrickReport, BrickRole, HealState, ScrubPhase, ScrubReport, VolumeReport, WitnessReport};

/// Port on which a daemon listens unless told otherwise.
pub const PORT: u16 = 24007;

/// What `volume create` asks for. Bricks are `host:/path`, as typed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateVolume {
    pub name: String,
    /// Copies of each file; `None`: not said, which only one brick may leave out.
    pub replica: Option<u32>,
    /// `tcp`, or not said.
    pub transport: Option<String>,
    pub bricks: Vec<String>,
}

/// One change of a [`VolumeState`]. The leader's node makes it, so that two changes at once cannot lose one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VolumeChange {
    Start,
    Stop,
    /// Values by key, all or none of them.
    Set {
        options: Vec<(String, String)>,
    },
    /// `None`: all options.
    Reset {
        key: Option<String>,
    },
    /// `brick replace`: one brick's place becomes another. The replica set follows.
    Replace {
        old: BrickPlace,
        new: BrickPlace,
    },
}

/// Where the operator wants the witness seat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WitnessWish {
    /// This host holds it.
    Set { host: String },
    /// Any other candidate, the best one.
    Move,
    /// Nobody.
    Clear,
}

/// The operator's way out, and other rare commands to one replica set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// Go on with this node's brick alone, in a new lineage.
    Promote {
        host: String,
    },
    /// All bricks are suspect and one of them is gone for good: go on with the best log there is.
    AcceptTailLoss,
    Witness {
        wish: WitnessWish,
    },
    /// The brick leaves the sync set in good order, as before a stop.
    LeaveBrick {
        brick: String,
    },
    /// The brick's directory is new and empty (disk replaced, or state directory lost).
    ReplaceBrick {
        old: String,
        new: String,
    },
    /// The opposite of [`Operation::LeaveBrick`].
    RejoinBrick {
        brick: String,
    },
    /// Conflict copies that an abandoned lineage left behind. Answer: [`Reply::Divergent`].
    ListDivergent,
    /// Removes them.
    ForgetDivergent,
    /// All bricks compare what their disks hold with what was written; or stop that.
    Scrub {
        begin: bool,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// Who answers here? Names are hints; this is how they are resolved. Answer: [`Reply::Identity`].
    Identify,
    /// Answer: [`Reply::Done`].
    PeerProbe { host: String },
    /// `force`: the node itself may be gone. Answer: [`Reply::Done`].
    PeerDetach { host: String, force: bool },
    /// Answer: [`Reply::Peers`], without the node itself.
    PeerStatus,
    /// Answer: [`Reply::Pool`], the node itself included.
    PoolList,
    /// Answer: [`Reply::Done`].
    VolumeCreate(CreateVolume),
    /// Answer: [`Reply::Done`].
    VolumeDelete { volume: String },
    /// Start, stop, set, reset. Answer: [`Reply::Done`].
    VolumeChange { volume: String, change: VolumeChange },
    /// Answer: [`Reply::Volumes`]. `None`: all.
    VolumeInfo { volume: Option<String> },
    /// Answer: [`Reply::Names`].
    VolumeList,
    /// `key` `None`: all. Answer: [`Reply::Options`].
    VolumeGet { volume: String, key: Option<String> },
    /// For `volume status` and `heal-status` alike. Answer: [`Reply::Reports`]. `None`: all.
    Status { volume: Option<String> },
    /// Answer: [`Reply::Done`].
    Operate { volume: String, operation: Operation },
    /// Asks the node called `host` on behalf of a command line on this node, and hands back its response.
    Relay { host: String, request: Box<Request> },

    /// Daemon to daemon. Answer: [`Reply::Digest`].
    Ping { digest: u32 },
    /// The caller's pool state, to be merged. Answer: [`Reply::Exchanged`] with the merged state. `port` is where the
    /// caller listens.
    Exchange { port: u16, pool: PoolState },
    /// Become a node of the caller's pool. The caller is `from`, listens on `port`, and reached this node by the name
    /// `known_as`. Refused when this node is in another pool or owns volumes; again = success. Answer:
    /// [`Reply::Exchanged`] with the state that both have from now on. Durable on return.
    Join { from: NodeId, known_as: String, port: u16, secret: PoolSecret, pool: PoolState },
    /// Be a pool of one again. Answer: [`Reply::Done`]. Durable on return.
    Leave,
    /// First half of a create: reserve the name; where `state` has a brick of this node, check its path and make the
    /// directory and a label `creating`. Answer: [`Reply::Done`]. Durable on return.
    Prepare { coordinator: NodeId, state: VolumeState },
    /// Second half: the brick is real and runs. Again = success. Answer: [`Reply::Done`]. Durable on return.
    Commit { volume: VolumeId, entry: VolumeEntry },
    /// Undo what [`Request::Prepare`] did; success where it did nothing.
    Abort { volume: VolumeId },
    /// Stop this node's brick and make its directory a plain one again: the files stay. Again = success.
    DeleteBrick { volume: VolumeId },
    /// Whether an empty brick of the volume can be made here at `brick` (`host:/path`). Changes nothing. Answer:
    /// [`Reply::Done`].
    CheckBrick { volume: VolumeId, brick: String, path: String },
    /// Make an empty brick of the volume here, as `state` says, in place of the one that this node may have had, and run it:
    /// it gets a full copy. Answer: [`Reply::Done`]. Durable on return.
    AdoptBrick { state: VolumeState },
    /// A change to make here, if this node leads; else [`Reply::NotLeader`].
    Change { volume: VolumeId, change: VolumeChange },
    /// As [`Request::Change`], for operations.
    OperateHere { volume: VolumeId, operation: Operation },
    /// The volume's state as applied here. Answer: [`Reply::State`].
    StateHere { volume: VolumeId },
    /// The report of this node's brick. Answer: [`Reply::Reports`].
    ReportHere { volume: VolumeId },
    /// Why this node's brick is closed. Answer: [`Reply::Lines`], none when it is open.
    WhyClosed { volume: VolumeId },
}

/// What a caller must be for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// Anybody who reaches the port.
    Anybody,
    /// The machine's own administrator, or a node of the pool.
    Admin,
    /// A node of the pool only.
    Peer,
}

impl Request {
    /// Who may ask this.
    #[must_use]
    pub const fn right(&self) -> Right {
        match self {
            Self::Identify
            | Self::PeerStatus
            | Self::PoolList
            | Self::VolumeInfo { .. }
            | Self::VolumeList
            | Self::VolumeGet { .. }
            | Self::Status { .. }
            | Self::Join { .. } => Right::Anybody,
            Self::PeerProbe { .. }
            | Self::PeerDetach { .. }
            | Self::VolumeCreate(_)
            | Self::VolumeDelete { .. }
            | Self::VolumeChange { .. }
            | Self::Operate { .. }
            | Self::Relay { .. } => Right::Admin,
            Self::Ping { .. }
            | Self::Exchange { .. }
            | Self::Leave
            | Self::Prepare { .. }
            | Self::Commit { .. }
            | Self::Abort { .. }
            | Self::DeleteBrick { .. }
            | Self::CheckBrick { .. }
            | Self::AdoptBrick { .. }
            | Self::Change { .. }
            | Self::OperateHere { .. }
            | Self::StateHere { .. }
            | Self::ReportHere { .. }
            | Self::WhyClosed { .. } => Right::Peer,
        }
    }
}

/// A frame of kind [`Admin`](FrameKind::Admin).
///
/// # Panics
/// When the JSON is larger than a frame: a pool of thousands of volumes, which nothing of ours makes.
#[must_use]
pub fn to_frame(message: &impl Serialize) -> Vec<u8> {
    let json =
        serde_json::to_vec(message).expect("admin messages have string keys and no failing serializers");
    let mut out = Vec::with_capacity(json.len() + crate::frame::HEADER_BYTES);
    put_frame(&mut out, FrameKind::Admin, |out| out.extend_from_slice(&json));
    out
}

/// # Errors
/// What is wrong with the JSON, in one line.
pub fn from_payload<T: for<'de> Deserialize<'de>>(payload: &[u8]) -> Result<T, String> {
    serde_json::from_slice(payload).map_err(|e| format!("the other side speaks another version of rfs: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Deframer;

    #[test]
    fn a_request_survives_its_frame() {
        let mut pool = PoolState::default();
        let entry = NodeEntry {
            name: "server1".into(),
            addresses: vec!["server1:24007".into()],
            version: 3,
            removed: false,
        };
        pool.nodes.insert(NodeId([1; 16]), entry);
        let request = Request::Join {
            from: NodeId([1; 16]),
            known_as: "server2".into(),
            port: PORT,
            secret: PoolSecret::new([9; 32]),
            pool,
        };
        let mut deframer = Deframer::new();
        deframer.push(&to_frame(&request));
        let (kind, payload) = deframer.next_frame().unwrap().unwrap();
        assert_eq!(kind, FrameKind::Admin);
        assert_eq!(from_payload::<Request>(&payload), Ok(request));
    }

    #[test]
    fn garbage_is_an_error_of_one_line() {
        let why = from_payload::<Request>(b"{\"volume-list\":").unwrap_err();
        assert!(!why.contains('\n'), "{why}");
    }

    #[test]
    fn a_secret_does_not_show_in_logs() {
        let text = format!("{:?}", PoolSecret::new([0xab; 32]));
        assert!(!text.contains("ab"), "{text}");
    }
}
