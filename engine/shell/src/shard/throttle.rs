//! How much one mount may have waiting at a brick before its socket is not read any more.
//!
//! ```text
//! socket ─► reader ──(Gate)──► inbox ─► queued until admitted ─► ...
//!                                    └► asked until answered ─► outbox ─► socket
//! ```
//! A mount keeps to its window by itself; one that does not, or does not take its answers, waits at its own socket while
//! the brick's memory stays bounded: for each mount the volume's window, [`SLACK_BYTES`], [`ANSWER_BYTES`] and
//! [`ARRIVED_BYTES`].

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use rfs_model::Seq;
use rfs_model::client::{Mutation, Query, ToBrick};
use rfs_model::limits::READ_BYTES;

use super::queue::Bell;

/// Requests beyond the volume's window, bytes: a mount's window may be a little larger than it was told.
pub const SLACK_BYTES: usize = 4 * 1024 * 1024;
/// Answers that wait to be sent, and those that questions will have, bytes.
pub const ANSWER_BYTES: usize = 64 * 1024 * 1024;
/// What the shard's inbox may hold of one mount, bytes; one message more gets in.
pub const ARRIVED_BYTES: usize = 8 * 1024 * 1024;
/// What a request takes beside its data, bytes.
const ENVELOPE_BYTES: usize = 256;
/// The answer to a listing.
const LISTING_BYTES: usize = 256 * 1024;

/// Between the reader of a connection and the shard, on one executor.
#[derive(Default)]
pub struct Gate {
    arrived: Cell<usize>,
    shut: Cell<bool>,
    gone: Cell<bool>,
    bell: Bell,
}

impl Gate {
    /// The reader has put this into the shard's inbox.
    pub fn enter(&self, message: &ToBrick) {
        self.arrived.set(self.arrived.get() + cost(message));
    }

    /// The shard has taken it out of there.
    fn taken(&self, message: &ToBrick) {
        self.arrived.set(self.arrived.get() - cost(message));
    }

    /// Something of this connection waits here, or at its socket since there is too much.
    pub fn holds(&self) -> bool {
        self.arrived.get() > 0 || self.shut.get()
    }

    fn passable(&self) -> bool {
        self.gone.get() || !self.shut.get() && self.arrived.get() < ARRIVED_BYTES
    }

    /// Returns when the reader may go on.
    pub async fn pass(&self) {
        while !self.passable() {
            self.bell.heard().await;
        }
    }

    fn shut(&self, shut: bool) {
        self.shut.set(shut);
        if self.passable() {
            self.bell.ring();
        }
    }

    /// The connection is of no more use: its reader shall find that out.
    fn leave(&self) {
        self.gone.set(true);
        self.bell.ring();
    }
}

/// What one mount has waiting.
#[derive(Default)]
pub struct Load {
    queued: VecDeque<(Seq, usize)>,
    queued_bytes: usize,
    asked: RefCell<BTreeMap<u64, usize>>,
    asked_bytes: Cell<usize>,
}

impl Load {
    /// A message is to be dealt with.
    pub fn note(&mut self, message: &ToBrick) {
        match message {
            ToBrick::Mutate { seq, op, .. } => self.queued(*seq, request_bytes(op)),
            ToBrick::Query { op: Query::Release { .. }, .. } | ToBrick::Beat { .. } | ToBrick::Detach {} => {}
            ToBrick::Query { tag, op, .. } => self.asked(*tag, op),
        }
    }

    /// A request waits to be admitted. One that is admitted already is forgotten with the turn.
    fn queued(&mut self, seq: Seq, bytes: usize) {
        self.queued.push_back((seq, bytes));
        self.queued_bytes += bytes;
    }

    /// `next` is the next request to be admitted; `None`: none waits.
    fn admitted(&mut self, next: Option<Seq>) {
        while let Some((seq, bytes)) = self.queued.front()
            && next.is_none_or(|next| *seq < next)
        {
            self.queued_bytes -= bytes;
            self.queued.pop_front();
        }
    }

    fn asked(&self, tag: u64, op: &Query) {
        let bytes = answer_bytes(op);
        let before = self.asked.borrow_mut().insert(tag, bytes).unwrap_or(0);
        self.asked_bytes.set(self.asked_bytes.get() + bytes - before);
    }

    pub fn answered(&self, tag: u64) {
        let bytes = self.asked.borrow_mut().remove(&tag).unwrap_or(0);
        self.asked_bytes.set(self.asked_bytes.get() - bytes);
    }

    /// Ends a turn: whether the mount has more waiting than it may.
    pub fn turned(&mut self, gate: &Gate, next: Option<Seq>, window: usize, unsent: usize) {
        self.admitted(next);
        let queue = self.queued_bytes > window.saturating_add(SLACK_BYTES);
        gate.shut(queue || self.asked_bytes.get() + unsent > ANSWER_BYTES);
    }
}

/// The shard's end of a gate: opens it for good when the connection's entry goes.
pub struct Keeper(pub Rc<Gate>);

impl Keeper {
    pub fn taken(&self, message: &ToBrick) {
        self.0.taken(message);
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.0.leave();
    }
}

/// Memory that a message takes while it waits, and that its answer will take.
fn cost(message: &ToBrick) -> usize {
    match message {
        ToBrick::Mutate { op, .. } => request_bytes(op),
        ToBrick::Query { op, .. } => ENVELOPE_BYTES + answer_bytes(op),
        ToBrick::Beat { .. } | ToBrick::Detach {} => ENVELOPE_BYTES,
    }
}

/// Memory that a request takes while it waits.
fn request_bytes(op: &Mutation) -> usize {
    ENVELOPE_BYTES + op.data_bytes()
}

fn answer_bytes(op: &Query) -> usize {
    ENVELOPE_BYTES
        + match op {
            Query::Read { len, .. } => (*len as usize).min(READ_BYTES),
            Query::ReadDir { .. } => LISTING_BYTES,
            _ => 0,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(len: u32) -> Query {
        Query::Read { id: rfs_model::InodeId::ROOT, offset: 0, len }
    }

    const MIB: usize = 1024 * 1024;

    #[test]
    fn requests_beyond_the_window_shut_the_gate_until_they_are_admitted() {
        let (mut load, gate) = (Load::default(), Gate::default());
        for seq in 1..=12 {
            load.queued(Seq(seq), MIB);
        }
        load.turned(&gate, Some(Seq(1)), 4 * MIB, 0);
        assert!(!gate.passable(), "12 MiB wait, 8 may");
        load.turned(&gate, Some(Seq(4)), 4 * MIB, 0);
        assert!(!gate.passable(), "9 MiB wait, 8 may");
        load.turned(&gate, Some(Seq(5)), 4 * MIB, 0);
        assert!(gate.passable());
        load.turned(&gate, None, 0, 0);
        assert_eq!(load.queued_bytes, 0, "a brick that does not lead has no queue");
    }

    #[test]
    fn answers_count_from_the_question_until_they_are_sent() {
        let (mut load, gate) = (Load::default(), Gate::default());
        let questions = (ANSWER_BYTES / MIB) as u64;
        (0..questions).for_each(|tag| load.asked(tag, &read(MIB as u32)));
        load.turned(&gate, None, 0, 0);
        assert!(!gate.passable());
        (0..questions).for_each(|tag| load.answered(tag));
        load.answered(0);
        load.turned(&gate, None, 0, ANSWER_BYTES + 1);
        assert!(!gate.passable(), "they wait in the outbox");
        load.turned(&gate, None, 0, MIB);
        assert!(gate.passable());
        (0..2 * questions).for_each(|_| load.asked(7, &read(u32::MAX)));
        load.turned(&gate, None, 0, 0);
        assert!(gate.passable(), "one tag has one answer");
    }

    #[test]
    fn the_inbox_holds_only_so_much_of_one_mount() {
        let gate = Gate::default();
        let big = ToBrick::Query { tag: 1, at: rfs_model::Index::ZERO, op: read(MIB as u32) };
        (0..ARRIVED_BYTES / MIB).for_each(|_| gate.enter(&big));
        gate.shut(false);
        assert!(!gate.passable());
        gate.taken(&big);
        gate.shut(false);
        assert!(gate.passable());
    }

    #[test]
    fn the_reader_of_a_connection_that_is_gone_is_let_go() {
        let gate = Rc::new(Gate::default());
        gate.shut(true);
        assert!(!gate.passable());
        drop(Keeper(Rc::clone(&gate)));
        assert!(gate.passable());
    }
}
