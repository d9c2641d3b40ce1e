//! Links that other bricks, and witnesses, have to this one: one each, and only so much of what came in waits.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use rfs_core::consensus::api::{Lie, Peer};
use rfs_model::NodeId;

use super::queue::Bell;
use crate::net::Hangup;

/// What the shard's inbox may hold of one link, bytes; one frame more gets in. A brick that keeps to its pipeline has less
/// under way.
const ARRIVED_BYTES: usize = 32 * 1024 * 1024;
/// What a frame takes beside its payload.
const ENVELOPE_BYTES: usize = 256;
/// Bricks that may have a link at once, whatever they claim to be; a replica set has four.
const LINKS: usize = 64;

/// Between the reader of a link and the shard.
#[derive(Default)]
pub struct Allowance {
    arrived: Cell<usize>,
    bell: Bell,
}

/// A frame's part of it, given back when the shard is done with the frame.
pub struct Part(Rc<Allowance>, usize);

impl Allowance {
    /// Returns when there is room for one more frame.
    pub async fn take(self: &Rc<Self>, bytes: usize) -> Part {
        while self.arrived.get() >= ARRIVED_BYTES {
            self.bell.heard().await;
        }
        let bytes = bytes + ENVELOPE_BYTES;
        self.arrived.set(self.arrived.get() + bytes);
        Part(Rc::clone(self), bytes)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.0.arrived.set(self.0.arrived.get() - self.1);
        self.0.bell.ring();
    }
}

/// Who sends to this brick: the newest link of each brick counts.
#[derive(Default)]
pub(crate) struct Callers {
    links: RefCell<BTreeMap<NodeId, (u64, Hangup)>>,
    next: Cell<u64>,
}

impl Callers {
    /// A number for the link; `None` when too many have one.
    pub fn enter(&self, from: NodeId, hangup: Hangup) -> Option<u64> {
        let mut links = self.links.borrow_mut();
        if links.len() >= LINKS && !links.contains_key(&from) {
            return None;
        }
        let number = self.next.replace(self.next.get() + 1);
        if let Some((_, old)) = links.insert(from, (number, hangup)) {
            old.hang_up();
        }
        Some(number)
    }

    pub fn leave(&self, from: NodeId, number: u64) {
        let mut links = self.links.borrow_mut();
        if links.get(&from).is_some_and(|(newest, _)| *newest == number) {
            links.remove(&from);
        }
    }

    pub fn hang_up_all(&self) {
        self.links.borrow().values().for_each(|(_, hangup)| hangup.hang_up());
    }

    /// Ends the link of a brick that said what no brick says.
    pub fn hang_up(&self, from: NodeId) {
        if let Some((_, hangup)) = self.links.borrow().get(&from) {
            hangup.hang_up();
        }
    }
}

impl super::Inner {
    /// The core refused a message: whoever sent it is cut off, and may dial again.
    pub(super) fn refused(&mut self, shard: &super::Shard, from: Peer, why: Lie) {
        match from {
            Peer::Brick(node) => {
                self.complain(format_args!("a message of {} is refused: {why}", self.brick_name(node)));
                shard.callers.hang_up(node);
            }
            Peer::Seat(seat) => {
                self.complain(format_args!("a message of witness {seat} is refused: {why}"));
                self.seats.close(seat);
            }
        }
    }

    fn complain(&self, text: std::fmt::Arguments<'_>) {
        self.complaints.say(|more| tracing::warn!(more, "{text}"));
    }
}
