//! What a liar may say: some of it near the truth, so that it is believed.

use rfs_model::config::{Config, ConfigEntry, ConfigRecord, Position, Seat};
use rfs_model::hard::Trust;
use rfs_model::hello::SeatClass;
use rfs_model::peer::{
    Ack, AppendHeader, Candidacy, PeerMessage, Pulse, Verdict, WitnessReply, WitnessRequest,
};
use rfs_model::{Index, Meta, NodeId, RecordKind, Term};

use crate::source::Source;

/// The truth, which lies are made from.
pub struct Near {
    pub term: Term,
    pub last: Position,
    pub committed: Index,
}

fn near_index(source: &mut Source<'_>, near: &Near) -> Index {
    let of = source.pick(&[near.last.index, near.last.index, near.committed]);
    source.index(of)
}

fn position(source: &mut Source<'_>, near: &Near) -> Position {
    if source.below(3) == 0 {
        return Position::new(source.term(near.last.term), near_index(source, near));
    }
    near.last
}

fn pulse(source: &mut Source<'_>, near: &Near) -> Pulse {
    Pulse {
        term: source.term(near.term),
        round: source.number(3),
        committed: near_index(source, near),
        durable: near_index(source, near),
        sync_to: near_index(source, near),
    }
}

fn trust(source: &mut Source<'_>) -> Trust {
    source.pick(&[Trust::Sound, Trust::Sound, Trust::Suspect, Trust::Blank])
}

fn verdict(source: &mut Source<'_>) -> Verdict {
    match source.below(10) {
        0 => Verdict::OldTerm,
        1 => Verdict::Taken,
        2 => Verdict::Held { retry_us: source.number(1000) },
        3 => Verdict::OldLog,
        4 => Verdict::OldConfig,
        5 => Verdict::Blank,
        _ => Verdict::Granted,
    }
}

fn ask(source: &mut Source<'_>, near: &Near) -> Candidacy {
    Candidacy {
        term: source.term(near.term),
        candidate: source.node(),
        pre: source.flag(),
        last: position(source, near),
        config: position(source, near),
        released: source.term(near.term),
    }
}

fn ack(source: &mut Source<'_>, near: &Near) -> Ack {
    let agreed = near_index(source, near);
    let (journaled, synced) = if source.below(4) > 0 {
        (agreed, agreed)
    } else {
        (near_index(source, near), near_index(source, near))
    };
    Ack {
        term: source.term(near.term),
        round: source.number(2),
        agreed,
        journaled,
        synced,
        committed: near_index(source, near),
        applied: source.index(Index(1)),
        rejected: (source.below(4) == 0).then(|| position(source, near)),
        last: position(source, near),
        trust: trust(source),
        nonce: source.number(5),
        leaving: source.below(6) == 0,
        diverged: source.below(12) == 0,
    }
}

/// Anything but an append with records.
pub fn message(source: &mut Source<'_>, near: &Near) -> PeerMessage {
    let term = source.term(near.term);
    match source.below(14) {
        0 => {
            let (leading, last) = (source.flag(), position(source, near));
            PeerMessage::Greeting { term, leading, last, trust: trust(source), nonce: source.number(5) }
        }
        1 => PeerMessage::Vote { ask: ask(source, near) },
        2..6 => PeerMessage::VoteReply {
            term,
            pre: source.flag(),
            verdict: verdict(source),
            trust: trust(source),
            last: position(source, near),
            config: position(source, near),
        },
        6 => PeerMessage::Append {
            header: AppendHeader { pulse: pulse(source, near), prev: position(source, near) },
        },
        7..9 => PeerMessage::Heartbeat { pulse: pulse(source, near) },
        9..11 => PeerMessage::Ack { ack: ack(source, near) },
        11 => PeerMessage::Vouch { term, nonce: source.number(5), upto: near_index(source, near) },
        12 => PeerMessage::Handover { term },
        _ if source.flag() => PeerMessage::ReadIndex { term, ticket: source.number(1) },
        _ => {
            let index = source.maybe(|source| near_index(source, near));
            PeerMessage::ReadIndexReply { term, ticket: source.number(1), index }
        }
    }
}

pub fn class(source: &mut Source<'_>) -> SeatClass {
    source.pick(&[SeatClass::PoolNode, SeatClass::Mount, SeatClass::BrickMachine])
}

fn config(source: &mut Source<'_>) -> Config {
    let mut bricks: Vec<NodeId> = (0..source.below(6)).map(|_| source.node()).collect();
    if source.below(4) > 0 {
        bricks.push(NodeId([1; 16]));
        bricks.sort_unstable();
        bricks.dedup();
    }
    let mut in_sync = bricks.clone();
    in_sync.retain(|_| source.below(4) > 0);
    let host = if source.below(6) == 0 { "h".repeat(300) } else { "host".to_owned() };
    let seat = (source.below(3) == 0).then(|| Seat { id: source.seat(), class: class(source), host });
    Config { bricks, in_sync, seat }
}

pub fn record(source: &mut Source<'_>) -> ConfigRecord {
    if source.flag() {
        ConfigRecord::Final { config: config(source) }
    } else {
        ConfigRecord::Joint { old: config(source), new: config(source) }
    }
}

/// An append with the records that its frame would hold: the shell has checked that they are consecutive.
pub fn append(source: &mut Source<'_>, near: &Near) -> (AppendHeader, Vec<Meta>, Vec<ConfigEntry>) {
    let header = AppendHeader { pulse: pulse(source, near), prev: position(source, near) };
    let (mut metas, mut configs) = (Vec::new(), Vec::new());
    let mut index = header.prev.index;
    for _ in 0..source.below(5) {
        let Some(next) = index.0.checked_add(1) else { break };
        index = Index(next);
        let term = source.term(header.pulse.term);
        let kind = source.pick(&[RecordKind::Op, RecordKind::Config, RecordKind::Noop, RecordKind::Volume]);
        metas.push(Meta { index, term, kind, len: 0, payload_crc: 0, chain: 0 });
        if kind == RecordKind::Config {
            configs.push(ConfigEntry { at: Position::new(term, index), record: record(source) });
        }
    }
    (header, metas, configs)
}

pub fn reply(source: &mut Source<'_>, near: &Near) -> WitnessReply {
    let term = source.term(near.term);
    match source.below(8) {
        0 => WitnessReply::Release {},
        1..3 => WitnessReply::Stored { term, at: position(source, near) },
        3..5 => WitnessReply::Heartbeat { term, round: source.number(2) },
        _ => {
            let config = (source.below(3) == 0)
                .then(|| ConfigEntry { at: position(source, near), record: record(source) });
            WitnessReply::Vote { term, pre: source.flag(), verdict: verdict(source), config }
        }
    }
}

/// What a brick may ask of a witness.
pub fn request(source: &mut Source<'_>, near: &Near) -> WitnessRequest {
    let (term, leader) = (source.term(near.term), source.node());
    match source.below(6) {
        0 => WitnessRequest::Released {},
        1..3 => WitnessRequest::Vote { ask: ask(source, near) },
        3..5 => {
            let entry = ConfigEntry { at: position(source, near), record: record(source) };
            WitnessRequest::Store { term, leader, entry }
        }
        _ => WitnessRequest::Heartbeat { term, leader, round: source.number(2) },
    }
}
