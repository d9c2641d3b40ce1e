//! What nobody says who keeps to the protocol. A brick does not stop over it: it refuses the message and whoever sent it,
//! and goes on as if nothing had been said. The protocol outlives crashed bricks, not lying ones (a liar that knows the
//! pool's secret can depose leaders for ever, or be one); what a lie cannot do is to stop this brick's process.
//!
//! What is beyond what any log or pool reaches is refused at once, so that no sum of it overflows; so is what this brick
//! knows to be untrue.

use rfs_model::config::Position;
use rfs_model::peer::{Ack, AppendHeader, PeerMessage, Pulse, WitnessReply};
use rfs_model::{Index, Meta, NodeId, Term};

use super::Consensus;
use super::api::{Effect, Input, Lie, Peer, Received};
use super::role::Role;

/// Bricks that are remembered at the most, whatever they claim to be; a replica set has four.
const PEERS: usize = 64;
/// Reads of other bricks that wait at a leader at the most.
pub(super) const READS: usize = 65_536;

impl Consensus {
    pub(super) fn refuse(&mut self, from: Peer, why: Lie) {
        self.out.push(Effect::Refuse { from, why });
    }

    /// Whose message this is, and why it is refused; `None`: it is not.
    pub(super) fn lie(&self, input: &Input<'_>) -> Option<(Peer, Lie)> {
        match input {
            Input::Append { from, header, metas, .. } => {
                let lie = self.stranger(*from).or_else(|| in_append(header, metas));
                lie.map(|why| (Peer::Brick(*from), why))
            }
            Input::Message(Received::Brick { from, message }) => {
                let lie = self.stranger(*from).or_else(|| self.in_message(message));
                lie.map(|why| (Peer::Brick(*from), why))
            }
            Input::Message(Received::Seat { from, message }) => {
                self.in_reply(message).map(|why| (Peer::Seat(*from), why))
            }
            _ => None,
        }
    }

    fn stranger(&self, from: NodeId) -> Option<Lie> {
        let crowd = self.peers.len() >= PEERS && !self.peers.contains_key(&from);
        (from == self.me || crowd).then_some(Lie::Stranger)
    }

    fn in_message(&self, message: &PeerMessage) -> Option<Lie> {
        match *message {
            PeerMessage::Greeting { term, last, .. } => beyond(&[term, last.term], &[last.index]),
            PeerMessage::Vote { ask } => beyond(
                &[ask.term, ask.last.term, ask.config.term, ask.released],
                &[ask.last.index, ask.config.index],
            ),
            PeerMessage::VoteReply { term, last, config, .. } => {
                beyond(&[term, last.term, config.term], &[last.index, config.index])
            }
            PeerMessage::Append { header } => in_append(&header, &[]),
            PeerMessage::Heartbeat { pulse } => in_pulse(pulse),
            PeerMessage::Ack { ack } => in_ack(ack).or_else(|| self.in_own_ack(ack)),
            PeerMessage::Vouch { term, upto, .. } => beyond(&[term], &[upto]),
            PeerMessage::Handover { term } | PeerMessage::ReadIndex { term, .. } => beyond(&[term], &[]),
            PeerMessage::ReadIndexReply { term, index, .. } => beyond(&[term], &[index.unwrap_or_default()]),
        }
    }

    /// An acknowledgement of what this leader has never sent.
    fn in_own_ack(&self, ack: Ack) -> Option<Lie> {
        let Role::Leader(lead) = &self.role else { return None };
        let unsent = ack.agreed > self.marks.last || ack.round > lead.round;
        (ack.term == self.hard.term && unsent).then_some(Lie::Unsent)
    }

    fn in_reply(&self, reply: &WitnessReply) -> Option<Lie> {
        match reply {
            WitnessReply::Vote { term, config, .. } => {
                let sound = config.as_ref().is_none_or(|entry| {
                    beyond(&[entry.at.term], &[entry.at.index]).is_none() && entry.record.problem().is_none()
                });
                beyond(&[*term], &[]).or((!sound).then_some(Lie::Malformed))
            }
            WitnessReply::Stored { term, at } => beyond(&[*term, at.term], &[at.index]),
            WitnessReply::Heartbeat { term, round } => {
                let Role::Leader(lead) = &self.role else { return beyond(&[*term], &[]) };
                let unsent = *term == self.hard.term && *round > lead.round;
                beyond(&[*term], &[]).or(unsent.then_some(Lie::Unsent))
            }
            WitnessReply::Release {} => None,
        }
    }
}

fn beyond(terms: &[Term], indexes: &[Index]) -> Option<Lie> {
    let sound = terms.iter().all(|term| term.is_believable()) && indexes.iter().all(|i| *i <= Index::LIMIT);
    (!sound).then_some(Lie::Beyond)
}

fn in_pulse(pulse: Pulse) -> Option<Lie> {
    beyond(&[pulse.term], &[pulse.committed, pulse.durable, pulse.sync_to])
}

fn in_append(header: &AppendHeader, metas: &[Meta]) -> Option<Lie> {
    let Position { term, index } = header.prev;
    let last = metas.last().map(|meta| meta.index).unwrap_or_default();
    in_pulse(header.pulse).or_else(|| beyond(&[term], &[index, last]))
}

fn in_ack(ack: Ack) -> Option<Lie> {
    let hint = ack.rejected.unwrap_or_default();
    let ordered = ack.synced <= ack.journaled && ack.journaled <= ack.agreed && ack.applied <= ack.committed;
    let far = beyond(
        &[ack.term, ack.last.term, hint.term],
        &[ack.agreed, ack.committed, ack.last.index, hint.index],
    );
    far.or((!ordered).then_some(Lie::Malformed))
}
