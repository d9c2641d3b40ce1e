//! The first frames on every connection: who is calling, what for, and whether both trust each other.
//!
//! ```text
//! caller                                brick or daemon
//!   Mount / Witness / Control ────────►
//!                             ◄──────── Welcome, or Refused and the end
//!
//!   Peer{nonce a}             ────────►
//!                             ◄──────── Challenge{nonce b, proof over (a, b, "accept")}
//!   Proof{proof over (a, b, "dial")} ─►
//!                             ◄──────── Welcome, or Refused and the end
//! ```
//! A witness of class [`SeatClass::PoolNode`] gets a Challenge too, and proves itself likewise; its seat stands for its node,
//! and zeros for its nonce. Other witnesses, and mounts, are judged by their address.
//!
//! A proof is the BLAKE3 keyed hash, with the pool secret as key, of both nonces, both node ids and the role word.

use crate::ids::{Index, InodeId, NodeId, SeatId, SessionId, VolumeId};
use crate::{layout, tagged};

/// Versions of everything that is said after the hello, newest last. Both sides use the newest that both know.
///
/// * 1: the first one.
pub const VERSIONS: &[u32] = &[1];

/// How good a machine is as a holder of the witness seat; smaller is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SeatClass {
    /// A node of the pool without a brick of this replica set.
    PoolNode,
    /// A mount on a machine that is no brick's.
    Mount,
    /// A machine that has a brick of this set as well.
    BrickMachine,
}
tagged!(SeatClass, "a seat class", { 1 => PoolNode {}, 2 => Mount {}, 3 => BrickMachine {} });

/// What a mount wants of a brick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The session itself: mutations and queries. Only the leader takes it.
    Session,
    /// Queries against this brick's own tree, each with the index to wait for.
    LocalReads,
}
tagged!(Purpose, "a purpose", { 1 => Session {}, 2 => LocalReads {} });

/// Where a brick is, as people and resolvers know it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct BrickPlace {
    pub node: NodeId,
    /// Host name as given to `volume create`.
    pub host: String,
    /// `host:port` addresses to try, best first.
    pub addresses: Vec<String>,
    /// Absolute path of the brick's directory on that host.
    pub path: String,
}
layout!(BrickPlace { node, host, addresses, path });

/// Why, or whether, a caller may come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Go on.
    Ready,
    /// Another brick leads (nil: unknown).
    NotLeader { leader: NodeId },
    /// Nobody can lead; `why` names the brick that is waited for.
    NoLeader { why: String },
    /// The brick is coming up.
    Recovering { percent: u32 },
    /// The volume is not started.
    Stopped,
}
tagged!(Standing, "a standing", {
    1 => Ready {}, 2 => NotLeader { leader }, 3 => NoLeader { why }, 4 => Recovering { percent }, 5 => Stopped {},
});

/// Why a caller is turned away for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    #[error("no such volume")]
    NoVolume,
    #[error("this machine is not allowed to mount the volume (auth.allow)")]
    NotAllowed,
    #[error("the two sides do not belong to one pool")]
    Stranger,
    #[error("the two sides have no protocol version in common")]
    Version,
    #[error("the request makes no sense here")]
    Nonsense,
    #[error("the session has expired")]
    Expired,
    #[error("the volume has {} mounts, as many as it can have", crate::limits::SESSIONS)]
    Full,
}
tagged!(Denial, "a denial", {
    1 => NoVolume {}, 2 => NotAllowed {}, 3 => Stranger {}, 4 => Version {}, 5 => Nonsense {}, 6 => Expired {},
    7 => Full {},
});

/// One inode that a mount holds open, and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenInode {
    pub id: InodeId,
    pub count: u32,
}
layout!(OpenInode { id, count });

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hello {
    /// `session` is random for each mount's life; `resumed` is true once any brick has welcomed it, so that a session that
    /// expired meanwhile is refused with [`Denial::Expired`] instead of being begun again.
    Mount {
        versions: Vec<u32>,
        volume: String,
        session: SessionId,
        purpose: Purpose,
        host: String,
        resumed: bool,
        opens: Vec<OpenInode>,
    },
    /// A machine offers its seat; from here on the brick asks ([`crate::peer`]) and the caller answers.
    Witness {
        versions: Vec<u32>,
        volume: VolumeId,
        seat: SeatId,
        class: SeatClass,
        host: String,
    },
    /// A brick's link to another brick of its replica set. The dialer sends, the other side only listens: each brick dials
    /// each other one.
    Peer {
        versions: Vec<u32>,
        node: NodeId,
        volume: VolumeId,
        nonce: [u8; 32],
    },
    /// Admin requests: from a command line (`node` nil), or from a daemon of the pool or one that wants to be.
    Control {
        versions: Vec<u32>,
        node: NodeId,
        nonce: [u8; 32],
    },
    Challenge {
        node: NodeId,
        nonce: [u8; 32],
        proof: [u8; 32],
    },
    Proof {
        proof: [u8; 32],
    },
    /// `config` is the index of the volume's newest configuration here; `options` are those that mounts need to know.
    Welcome {
        version: u32,
        node: NodeId,
        volume: VolumeId,
        standing: Standing,
        bricks: Vec<BrickPlace>,
        config: Index,
        options: Vec<(String, String)>,
    },
    Refused {
        why: Denial,
        text: String,
    },
}
tagged!(Hello, "a hello", {
    1 => Mount { versions, volume, session, purpose, host, resumed, opens },
    2 => Witness { versions, volume, seat, class, host },
    3 => Peer { versions, node, volume, nonce },
    4 => Control { versions, node, nonce },
    5 => Challenge { node, nonce, proof },
    6 => Proof { proof },
    7 => Welcome { version, node, volume, standing, bricks, config, options },
    8 => Refused { why, text },
});

/// The newest version that both sides know.
#[must_use]
pub fn common_version(theirs: &[u32]) -> Option<u32> {
    VERSIONS.iter().rev().copied().find(|v| theirs.contains(v))
}
