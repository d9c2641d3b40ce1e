//! What the simulator of the testbed found, each in as few steps as it takes.

use rfs_model::config::{Config, ConfigEntry, ConfigRecord, GENESIS_TERM, Position};
use rfs_model::hard::{HardState, Trust};
use rfs_model::peer::{Ack, AppendHeader, Candidacy, PeerMessage, Pulse, Verdict};
use rfs_model::{Index, Meta, RecordKind, Term};

use super::net::{MS, Net, node};
use super::stories::ready;
use crate::consensus::Consensus;
use crate::consensus::api::{Effect, Input, LogSummary, Received, RoleView, Start, Ticket, Timing};

const NOW: u64 = 10_000 * MS;

fn at(term: u64, index: u64) -> Position {
    Position::new(Term(term), Index(index))
}

/// Brick 0 of so many, whose process died. Its log goes to `last`, its tree's checkpoint is at 2.
fn brick(of: usize, last: u64, base: u64, joints: impl IntoIterator<Item = ConfigEntry>) -> Consensus {
    let all: Vec<_> = (0..of).map(node).collect();
    let genesis = LogSummary::genesis(&all);
    let configs: Vec<_> = genesis.configs.iter().cloned().chain(joints).collect();
    let hard = HardState {
        config: configs.last().expect("genesis").clone(),
        term: GENESIS_TERM,
        ..HardState::genesis(&all)
    };
    let log = LogSummary {
        base: if base > 0 { Position::new(GENESIS_TERM, Index(base)) } else { Position::ZERO },
        runs: vec![(Index(base + 1), GENESIS_TERM)],
        last: Index(last),
        synced: Index(last),
        configs,
        committed: Index(base.max(2)),
    };
    Consensus::new(0, node(0), hard, log, Start::SameBoot, Timing::default(), 7)
}

/// Hands an input over, and answers what its disks are asked.
fn step(core: &mut Consensus, input: Input<'_>) -> Vec<Effect> {
    let mut effects = Vec::new();
    core.step(NOW, input, &mut effects);
    let saved = |e: &Effect| if let Effect::SaveState { ticket, .. } = e { Some(*ticket) } else { None };
    let tickets: Vec<Ticket> = effects.iter().filter_map(saved).collect();
    for ticket in tickets {
        core.step(NOW, Input::StateSaved { ticket }, &mut effects);
    }
    let upto = core.log.last_position();
    core.step(NOW, Input::Journaled { upto }, &mut effects);
    core.step(NOW, Input::Synced { upto }, &mut effects);
    core.step(NOW, Input::EndOfTurn, &mut effects);
    effects
}

fn says(from: usize, message: PeerMessage) -> Input<'static> {
    Input::Message(Received::Brick { from: node(from), message })
}

fn is_elected(core: &mut Consensus, voters: &[usize]) {
    step(core, Input::Tick);
    for pre in [true, false] {
        let term = core.term();
        for voter in voters {
            let (verdict, trust, zero) = (Verdict::Granted, Trust::Sound, Position::ZERO);
            let reply = PeerMessage::VoteReply { term, pre, verdict, trust, last: zero, config: zero };
            step(core, says(*voter, reply));
        }
    }
    assert_eq!(core.role(), RoleView::Leader);
}

/// An acknowledgement of all up to `agreed`, by a brick whose log ends at `last`.
fn ack(core: &Consensus, agreed: u64, last: Position, rejected: Option<Position>) -> PeerMessage {
    let agreed = Index(agreed);
    let zero = Index::ZERO;
    PeerMessage::Ack {
        ack: Ack {
            term: core.term(),
            round: 1,
            agreed,
            journaled: agreed,
            synced: agreed,
            committed: zero,
            applied: zero,
            rejected,
            last,
            trust: Trust::Sound,
            nonce: 1,
            leaving: false,
            diverged: false,
        },
    }
}

fn pulse(term: Term, committed: u64) -> Pulse {
    Pulse { term, round: 1, committed: Index(committed), durable: Index(2), sync_to: Index::ZERO }
}

fn metas(term: Term, from: u64, upto: u64) -> Vec<Meta> {
    let meta =
        |index| Meta { index: Index(index), term, kind: RecordKind::Op, len: 0, payload_crc: 0, chain: 0 };
    (from..=upto).map(meta).collect()
}

fn append(core: &mut Consensus, from: usize, prev: Position, pulse: Pulse, metas: &[Meta]) -> Vec<Effect> {
    let header = AppendHeader { pulse, prev };
    step(core, Input::Append { from: node(from), header, metas, configs: &[] })
}

fn said_committed(effects: &[Effect]) -> Vec<u64> {
    let upto = |e: &Effect| if let Effect::Committed { upto } = e { Some(upto.0) } else { None };
    effects.iter().filter_map(upto).collect()
}

/// It forgot, when it began to lead, that its tree shows up to 10, and took 7 for the first word: recovery began too early.
#[test]
fn a_leader_that_stepped_down_without_a_commit_waits_for_the_word_that_covers_its_tree() {
    let mut core = brick(2, 10, 0, None);
    is_elected(&mut core, &[1]);
    let (first, later) = (GENESIS_TERM, core.term().next());
    let early = append(&mut core, 1, Position::new(first, Index(7)), pulse(later, 12), &[]);
    assert_eq!(said_committed(&early), [0; 0], "the logs agree up to 7 so far");
    let whole =
        append(&mut core, 1, Position::new(first, Index(10)), pulse(later, 12), &metas(later, 11, 12));
    assert_eq!(said_committed(&whole), [12]);
}

/// All lost power, and the log had been cut short: the configuration in force was in none of its records, behind whose end it
/// once stood. The log grew past that in a later term; then the brick led, and found itself wrong.
#[test]
fn a_configuration_that_a_power_loss_took_is_written_again_though_the_log_has_grown_past_it() {
    let all = [node(0), node(1)];
    let lost = Position::new(GENESIS_TERM, Index(14));
    let config = ConfigEntry { at: lost, record: ConfigRecord::Final { config: Config::of(&all) } };
    let log = LogSummary {
        base: Position::new(GENESIS_TERM, Index(8)),
        runs: vec![(Index(9), GENESIS_TERM)],
        last: Index(12),
        configs: vec![],
        synced: Index(12),
        committed: Index(8),
    };
    let hard = HardState { config, ..HardState::genesis(&all) };
    let mut core = Consensus::new(0, node(0), hard, log, Start::SameBoot, Timing::default(), 7);
    let term = core.term().next();
    let prev = Position::new(GENESIS_TERM, Index(12));
    append(&mut core, 1, prev, pulse(term, 0), &metas(term, 13, 13));
    let mut effects = Vec::new();
    core.step(NOW + 60_000 * MS, Input::Tick, &mut effects);
    is_elected(&mut core, &[1]);
    assert_eq!(core.config().at, core.log.last_position());
    assert_eq!(core.record().target().in_sync, all);
}

/// Its log was longer than the new lineage's: it answered from a tree that showed none of what was read.
#[test]
fn a_brick_with_an_abandoned_log_answers_no_read_on_the_word_of_the_new_lineages_leader() {
    let mut core = brick(2, 10, 0, None);
    let term = Term::new(rfs_model::Lineage(1), 1);
    step(&mut core, says(1, PeerMessage::Heartbeat { pulse: pulse(term, 8) }));
    let ticket = Ticket(77);
    let effects = step(&mut core, Input::Read { ticket });
    let number = |e: &Effect| match e {
        Effect::Send { message: PeerMessage::ReadIndex { ticket, .. }, .. } => Some(*ticket),
        _ => None,
    };
    let asked = effects.iter().find_map(number).expect("the leader is asked");
    let reply = PeerMessage::ReadIndexReply { term, ticket: asked, index: Some(Index(8)) };
    let effects = step(&mut core, says(1, reply));
    assert!(effects.contains(&Effect::ReadRefused { ticket }));
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::ReadReady { .. })));
}

/// It had neither a tree nor, once the copy was whole, the records that it went on to acknowledge; it entered S, and led.
#[test]
fn a_brick_whose_copy_has_begun_takes_no_records_and_stands_for_no_election() {
    let mut core = brick(2, 10, 0, None);
    let term = core.term().next();
    let end = Position::new(GENESIS_TERM, Index(10));
    append(&mut core, 1, end, pulse(term, 2), &[]);
    step(&mut core, Input::CopyBegins);
    let effects = append(&mut core, 1, end, pulse(term, 2), &metas(term, 11, 11));
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Accept { .. })));
    let wants =
        |e: &Effect| matches!(e, Effect::Send { message: PeerMessage::Ack { ack }, .. } if ack.diverged);
    assert!(effects.iter().any(wants), "its leader is told that it needs the copy");
    let mut late = Vec::new();
    core.step(NOW + 60_000 * MS, Input::Tick, &mut late);
    core.step(NOW + 61_000 * MS, Input::Tick, &mut late);
    assert_eq!(core.role(), RoleView::Follower);

    let mut core = brick(2, 10, 0, None);
    append(&mut core, 1, end, pulse(term, 2), &[]);
    step(&mut core, Input::CopyBegins);
    let config = core.config().clone();
    step(&mut core, Input::Installed { at: at(term.0, 20), config });
    let effects = append(&mut core, 1, at(term.0, 20), pulse(term, 2), &metas(term, 21, 21));
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Accept { .. })));
}

/// Brick 0 leads, and finds that brick 2 was to leave S; brick 1, which that needs, lacks more than the log holds, and the
/// leader can give no copy before something is committed. Brick 1's log ended at `last`. Brick 2 may have been about to enter S
/// just before, so that this turns it back.
fn demotion_that_needs_a_copy(last: u64, growth: bool) -> Consensus {
    let all = [node(0), node(1), node(2)];
    let (old, new) = (Config::of(&all), Config { in_sync: vec![node(0), node(1)], ..Config::of(&all) });
    let grows = ConfigRecord::Joint { old: new.clone(), new: old.clone() };
    let joint = |index, record| ConfigEntry { at: Position::new(GENESIS_TERM, Index(index)), record };
    let before = growth.then(|| joint(11, grows));
    let joints = before.into_iter().chain([joint(12, ConfigRecord::Joint { old, new })]);
    let mut core = brick(3, 12, 8, joints);
    is_elected(&mut core, &[1, 2]);
    let end = Position::new(GENESIS_TERM, Index(last));
    let lacks = ack(&core, 0, end, Some(Position::new(GENESIS_TERM, Index(5))));
    step(&mut core, says(1, lacks));
    for _ in 0..2 {
        let upto = core.log.last_position();
        let has = ack(&core, upto.index.0, upto, None);
        step(&mut core, says(2, has));
        step(&mut core, Input::Tick);
    }
    core
}

#[test]
fn a_change_that_waits_for_a_copy_is_turned_back_where_it_was_never_committed() {
    let core = demotion_that_needs_a_copy(5, false);
    assert!(!core.record().is_joint());
    assert_eq!(core.record().target().in_sync, [node(0), node(2)], "nor does S wait for it from here on");
    assert!(core.leading().is_some(), "something is committed, and brick 1 can be given its copy");
}

#[test]
fn where_it_may_have_been_committed_it_stands() {
    let core = demotion_that_needs_a_copy(12, false);
    assert!(core.record().is_joint());
    assert!(core.leading().is_none());
}

/// Nobody can have committed that the growth was turned back; but neither need anybody have committed the growth, and what it
/// began with may still be the configuration. Found by the model: two leaders in one term, each with its own configuration.
#[test]
fn the_second_of_two_steps_back_is_not_turned_back_though_it_was_never_committed() {
    let core = demotion_that_needs_a_copy(5, true);
    assert!(core.record().is_joint());
}

/// It led for ever, decided nothing, and was not promoted since it led.
#[test]
fn a_leader_that_only_an_empty_disk_supports_steps_down_and_can_be_promoted() {
    let (mut net, leader) = ready(2, false);
    net.new_disk(1 - leader);
    net.start(1 - leader);
    let leads = |net: &Net| net.core(leader).is_some_and(|core| core.role() == RoleView::Leader);
    net.until(4_000, "it steps down", |net| !leads(net));
    net.run(5_000);
    assert!(!leads(&net));
    net.promote(leader);
    net.until(10_000, "healed", Net::settled);
}

/// Brick 0 of two, which was about to take brick 1 out of S, or had done so, when it died; and its log is found to end
/// before that.
fn rotten(joint: bool) -> Consensus {
    let all = [node(0), node(1)];
    let (old, new) = (Config::of(&all), Config { in_sync: vec![node(0)], ..Config::of(&all) });
    let record = if joint { ConfigRecord::Joint { old, new } } else { ConfigRecord::Final { config: new } };
    let hard = HardState {
        config: ConfigEntry { at: at(GENESIS_TERM.0, 12), record },
        term: GENESIS_TERM,
        ..HardState::genesis(&all)
    };
    let log = LogSummary {
        runs: vec![(Index(1), GENESIS_TERM)],
        last: Index(10),
        synced: Index(10),
        committed: Index(2),
        ..LogSummary::genesis(&all)
    };
    Consensus::new(0, node(0), hard, log, Start::Rotten, Timing::default(), 7)
}

fn verdict(core: &mut Consensus, term: Term, config: Position) -> Option<Verdict> {
    let ask = Candidacy {
        term,
        candidate: node(1),
        pre: false,
        last: at(GENESIS_TERM.0, 11),
        config,
        released: Term::ZERO,
    };
    let effects = step(core, says(1, PeerMessage::Vote { ask }));
    effects.into_iter().find_map(|effect| match effect {
        Effect::Send { message: PeerMessage::VoteReply { verdict, .. }, .. } => Some(verdict),
        _ => None,
    })
}

/// It had committed records alone. The other brick, which it had taken out of S, was elected with its vote, without them.
#[test]
fn a_brick_with_a_rotten_log_helps_nobody_who_lacks_the_configuration_that_it_knows() {
    for joint in [true, false] {
        let mut core = rotten(joint);
        let (term, known) = (core.term().next(), core.config().at);
        assert_eq!(known.index, Index(12), "what its hard state knows stays in force");
        let older = verdict(&mut core, term, at(GENESIS_TERM.0, 1));
        assert_eq!(older, Some(Verdict::OldConfig), "joint: {joint}");
        assert_eq!(verdict(&mut core, term, known), Some(Verdict::Granted), "joint: {joint}");

        let mut core = rotten(joint);
        core.step(NOW + 60_000 * MS, Input::Tick, &mut Vec::new());
        core.step(NOW + 61_000 * MS, Input::Tick, &mut Vec::new());
        assert_eq!(core.role(), RoleView::Follower, "nor itself");
        assert_eq!(core.waiting_for().bricks, [node(1)], "and says whom it waits for");
        step(&mut core, Input::Promote);
        assert_eq!(core.role(), RoleView::Leader, "an operator may overrule that");
    }
}

#[test]
fn a_brick_whose_log_was_rotten_votes_as_others_do_once_a_leader_has_made_up_for_it() {
    let mut core = rotten(true);
    let (term, nonce) = (core.term().next(), core.nonce);
    append(&mut core, 1, at(GENESIS_TERM.0, 10), pulse(term, 2), &metas(term, 11, 14));
    step(&mut core, says(1, PeerMessage::Vouch { term, nonce, upto: Index(14) }));
    assert_eq!(core.trust(), Trust::Sound);
    let ask = Candidacy {
        term: term.next(),
        candidate: node(1),
        pre: false,
        last: at(term.0, 14),
        config: at(GENESIS_TERM.0, 1),
        released: term,
    };
    let effects = step(&mut core, says(1, PeerMessage::Vote { ask }));
    let granted = |e: &Effect| {
        matches!(e, Effect::Send { message: PeerMessage::VoteReply { verdict: Verdict::Granted, .. }, .. })
    };
    assert!(effects.iter().any(granted), "{effects:?}");
}

/// The log was cut short where the other brick's log had rotted away, and the tree was torn: no copy could be given, nothing
/// could be committed, and nobody could be promoted.
#[test]
fn a_leader_that_only_a_brick_without_a_copy_supports_steps_down_and_can_be_promoted() {
    let mut core = brick(2, 12, 8, None);
    is_elected(&mut core, &[1]);
    let mut now = NOW;
    while core.role() == RoleView::Leader {
        now += 50 * MS;
        assert!(now < NOW + 4_000 * MS, "it leads for ever");
        let end = at(GENESIS_TERM.0, 5);
        let lacks = ack(&core, 0, end, Some(end));
        core.step(now, says(1, lacks), &mut Vec::new());
        core.step(now, Input::Tick, &mut Vec::new());
    }
    core.step(now, Input::Promote, &mut Vec::new());
    assert_eq!(core.role(), RoleView::Leader);
    assert_eq!(core.config().record.target().in_sync, [node(0)]);
}
