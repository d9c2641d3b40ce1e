//! Nothing that depends on the hard state is said before it is fsynced (§4, rule 1).

use std::collections::VecDeque;

use rfs_model::hard::HardState;
use rfs_model::peer::PeerMessage;

use super::api::{Effect, Ticket};

/// Which part of the hard state a step has changed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Dirty {
    /// Term, vote or trust: every message depends on it.
    pub vote: bool,
    /// The configuration: acknowledgements depend on it.
    pub config: bool,
}

/// Messages that wait for a write, in their order.
#[derive(Debug, Default)]
pub(super) struct Saver {
    issued: Ticket,
    saved: Ticket,
    vote: Ticket,
    config: Ticket,
    held: VecDeque<(Ticket, Effect)>,
}

impl Saver {
    /// Whether term, vote and trust are fsynced as they are.
    pub fn vote_saved(&self) -> bool {
        self.saved >= self.vote
    }

    /// Whether the last configuration record is.
    pub fn config_saved(&self) -> bool {
        self.saved >= self.config
    }

    /// Passes a step's effects on, but for those that must wait for the write of what it changed, or of an earlier step.
    pub fn pass(
        &mut self,
        dirty: Dirty,
        hard: &HardState,
        hurry: bool,
        from: &mut Vec<Effect>,
        to: &mut Vec<Effect>,
    ) {
        if dirty.vote || dirty.config {
            self.issued.0 += 1;
            self.vote = if dirty.vote { self.issued } else { self.vote };
            self.config = if dirty.config { self.issued } else { self.config };
            to.push(Effect::SaveState { ticket: self.issued, hard: hard.clone() });
        }
        for effect in from.drain(..) {
            let needed = self.needed(&effect);
            if needed > self.saved && !hurry {
                self.held.push_back((needed, effect));
            } else {
                to.push(effect);
            }
        }
    }

    fn needed(&self, effect: &Effect) -> Ticket {
        match effect {
            Effect::Send { message: PeerMessage::Ack { .. }, .. } => self.vote.max(self.config),
            Effect::Send { .. } | Effect::SendSeat { .. } | Effect::Ship { .. } => self.vote,
            _ => Ticket(0),
        }
    }

    /// A write is done: what waited for it may go.
    pub fn saved(&mut self, ticket: Ticket, out: &mut Vec<Effect>) {
        assert!(ticket <= self.issued, "{ticket:?} was never issued");
        self.saved = self.saved.max(ticket);
        let (saved, held) = (self.saved, std::mem::take(&mut self.held));
        for (needed, effect) in held {
            if needed <= saved { out.push(effect) } else { self.held.push_back((needed, effect)) }
        }
    }
}
