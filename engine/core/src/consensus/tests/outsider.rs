//! A leader that S has left: it may be the only one that knows the change which says so.

use rfs_model::config::{Config, ConfigEntry, ConfigRecord, GENESIS_LAST, GENESIS_TERM, Position};
use rfs_model::hard::{HardState, Trust};
use rfs_model::peer::{Ack, PeerMessage, Verdict};
use rfs_model::{Index, Term};

use super::net::{MS, node};
use crate::consensus::Consensus;
use crate::consensus::api::{Effect, Input, LogSummary, Received, Start, Ticket, Timing};

const NOW: u64 = 10_000 * MS;

/// Brick 1, whose log ends with the record that makes brick 0 all of S; whether that is committed it does not know.
fn outsider() -> Consensus {
    let all = [node(0), node(1)];
    let at = |behind: u64| Position::new(GENESIS_TERM, Index(GENESIS_LAST.0 + behind));
    let (old, new) = (Config::of(&all), Config { in_sync: vec![node(0)], ..Config::of(&all) });
    let joint = ConfigEntry { at: at(1), record: ConfigRecord::Joint { old, new: new.clone() } };
    let last = ConfigEntry { at: at(2), record: ConfigRecord::Final { config: new } };
    let genesis = LogSummary::genesis(&all);
    let log = LogSummary {
        last: last.at.index,
        synced: last.at.index,
        configs: [genesis.configs.clone(), vec![joint, last.clone()]].concat(),
        ..genesis
    };
    let hard = HardState { config: last, ..HardState::genesis(&all) };
    Consensus::new(0, node(1), hard, log, Start::Clean, Timing::default(), 7)
}

/// Hands an input over, and answers what its disks are asked.
fn step(core: &mut Consensus, input: Input<'_>) -> Vec<Effect> {
    let mut effects = Vec::new();
    core.step(NOW, input, &mut effects);
    let tickets: Vec<_> = effects.iter().filter_map(saved).collect();
    for ticket in tickets {
        core.step(NOW, Input::StateSaved { ticket }, &mut effects);
    }
    let end = Position::new(core.term(), core.marks.last);
    core.step(NOW, Input::Journaled { upto: end }, &mut effects);
    core.step(NOW, Input::Synced { upto: end }, &mut effects);
    core.step(NOW, Input::EndOfTurn, &mut effects);
    effects
}

fn saved(effect: &Effect) -> Option<Ticket> {
    if let Effect::SaveState { ticket, .. } = effect { Some(*ticket) } else { None }
}

fn vote(term: Term, pre: bool) -> Input<'static> {
    let (last, config, trust) = (Position::ZERO, Position::ZERO, Trust::Sound);
    let message = PeerMessage::VoteReply { term, pre, verdict: Verdict::Granted, trust, last, config };
    Input::Message(Received::Brick { from: node(0), message })
}

/// Brick 0 has everything, and has seen the leader's round.
fn ack(core: &Consensus, round: u64) -> Input<'static> {
    let last = Position::new(core.term(), core.marks.last);
    let ack = Ack {
        term: core.term(),
        round,
        agreed: last.index,
        journaled: last.index,
        synced: last.index,
        committed: Index::ZERO,
        applied: Index::ZERO,
        rejected: None,
        last,
        trust: Trust::Sound,
        nonce: 1,
        leaving: false,
        diverged: false,
    };
    Input::Message(Received::Brick { from: node(0), message: PeerMessage::Ack { ack } })
}

/// The link to brick 0 is down for sending, so that the lead cannot be handed over: brick 0 may find the same, need nobody's
/// vote, and lead at once, whatever it promised. Found by the model (`docs/testing/model.md`).
#[test]
fn a_leader_outside_s_answers_no_read_by_a_lease() {
    let mut core = outsider();
    let before = core.term();
    step(&mut core, Input::Tick);
    step(&mut core, vote(before, true));
    let term = core.term();
    assert!(term > before, "it stands for election");
    step(&mut core, vote(term, false));
    let first = ack(&core, 1);
    step(&mut core, first);
    assert!(core.leading().is_some(), "it leads");
    assert_eq!(core.marks.committed, core.marks.last, "and has committed a record of its own");
    assert!(!core.lease_valid(NOW));

    let ticket = Ticket(77);
    let asked = step(&mut core, Input::Read { ticket });
    let answered = |effects: &[Effect]| {
        let ready = |e: &Effect| matches!(e, Effect::ReadReady { ticket: t, .. } if *t == ticket);
        effects.iter().any(ready)
    };
    assert!(!answered(&asked));
    let second = ack(&core, 2);
    assert!(answered(&step(&mut core, second)), "a round that began after the read answers it");
}
