//! What the pool service needs of the replica sets: [`Bricks`] makes and removes them, [`ReplicaSet`] is one that runs.
//!
//! ```text
//! create:  check_brick, prepare_brick ──► commit_brick ──► (runs)
//!                             └────────► abort_brick
//! start-up: open_brick for each committed brick of this node
//! delete:  delete_brick;   daemon exit: the owner of the bricks stops them, the pool does not
//! ```

use std::path::PathBuf;
use std::pin::Pin;
use std::rc::Rc;

use rfs_model::admin::{Operation, VolumeReport};
use rfs_model::ids::{BrickId, NodeId, VolumeId};
use rfs_model::volume::VolumeState;

/// A future of one executor.
pub type LocalBoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// This node's brick of one volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrickSpec {
    pub volume: VolumeId,
    /// Absolute; exists from [`Bricks::prepare_brick`] on.
    pub path: PathBuf,
    /// What its label must say; see [`BrickId`].
    pub id: BrickId,
}

/// Why a volume state was not agreed on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// Another brick leads, as far as this one knows. Nothing was proposed.
    #[error("another brick leads")]
    NotLeader { leader: NodeId },
    /// Nobody leads; the text names the brick that is waited for. Nothing was proposed.
    #[error("{0}")]
    NoLeader(String),
    /// Leadership was lost with the proposal under way: it may come to hold or not.
    #[error("{0}")]
    Unknown(String),
    /// It makes no sense to this replica set.
    #[error("{0}")]
    Refused(String),
}

/// One running brick and what it knows of its replica set.
pub trait ReplicaSet {
    /// The newest volume state that this brick has applied.
    fn state(&self) -> VolumeState;

    /// Milliseconds since 1970 of the newest record that this brick has: what "as of" means without a leader.
    fn as_of_ms(&self) -> u64;

    /// Who leads, as far as this brick knows; its own node when it leads *and* has applied a record of its term.
    fn leader(&self) -> Option<NodeId>;

    /// What this brick knows; a leader knows the others' progress. `leader` is `None` when nobody leads who can go on. The
    /// fields `state` and `as_of_ms` may be left at any value: the service sets them.
    fn report(&self) -> VolumeReport;

    /// Appends the new state as one record; done when it is committed and applied here. Only the leader takes it.
    ///
    /// # Errors
    /// [`ProposeError`].
    fn propose(&self, state: VolumeState) -> LocalBoxFuture<'_, Result<(), ProposeError>>;

    /// Promote, seat moves and the like, on this brick. Returns lines to show, none for plain success.
    ///
    /// # Errors
    /// [`ProposeError`].
    fn operate(&self, operation: Operation) -> LocalBoxFuture<'_, Result<Vec<String>, ProposeError>>;
}

/// The bricks of this node. Errors are one line that names the path and says what to do.
pub trait Bricks {
    /// The running brick of a volume.
    fn get(&self, volume: VolumeId) -> Option<Rc<dyn ReplicaSet>>;

    /// Lays out the directory as a brick that is being created: label `creating`, nothing runs. The path exists, is a
    /// directory, holds nothing (but lost+found), and is no brick. Durable on return.
    fn prepare_brick(&self, state: VolumeState, path: PathBuf) -> LocalBoxFuture<'_, Result<(), String>>;

    /// Makes a prepared brick real (label, genesis record with `state` and all its bricks in sync) and runs it. Again on a
    /// committed brick: success. Durable on return.
    fn commit_brick(&self, state: VolumeState, path: PathBuf) -> LocalBoxFuture<'_, Result<(), String>>;

    /// Takes away what `prepare_brick` made, whole or in part, and nothing else; the directory stays. Success where there
    /// is nothing of that volume.
    fn abort_brick(&self, brick: BrickSpec) -> LocalBoxFuture<'_, Result<(), String>>;

    /// Runs a committed brick again, at start-up. On an error the service logs it and goes on without.
    fn open_brick(&self, brick: BrickSpec) -> LocalBoxFuture<'_, Result<(), String>>;

    /// Why a brick of this node that should run does not: it stopped itself, or did not open.
    fn why_closed(&self, volume: VolumeId) -> Option<String> {
        let _ = volume;
        None
    }

    /// Makes an empty brick in an empty directory, without a vote until it has a copy, and runs it; the one that this node
    /// has of the volume, if any, is closed first and left as it is. What an interrupted attempt left is made anew. Durable on
    /// return.
    fn adopt_brick(&self, state: VolumeState, brick: BrickSpec) -> LocalBoxFuture<'_, Result<(), String>> {
        let _ = (state, brick);
        Box::pin(std::future::ready(Err("bricks cannot be replaced here".to_owned())))
    }

    /// Closes a brick that is none of the volume's any more. Its directory stays as it is.
    fn close_brick(&self, volume: VolumeId) -> LocalBoxFuture<'_, ()> {
        let _ = volume;
        Box::pin(std::future::ready(()))
    }

    /// Bricks that did not open because of damage that a copy from another brick makes good.
    fn damaged(&self) -> Vec<BrickSpec> {
        Vec::new()
    }

    /// Empties one of those and runs it, as if its disk had been replaced. Only once another brick leads: what was
    /// committed is there then. Before that this may be the only copy, and somebody may still rescue it.
    fn renew_brick(&self, brick: BrickSpec) -> LocalBoxFuture<'_, Result<(), String>> {
        let _ = brick;
        Box::pin(std::future::ready(Ok(())))
    }

    /// Stops the brick if it runs and makes its directory a plain one: files stay, `.rfs` and `trusted.rfs.*` go. Again:
    /// success. Durable on return.
    fn delete_brick(&self, brick: BrickSpec) -> LocalBoxFuture<'_, Result<(), String>>;
}
