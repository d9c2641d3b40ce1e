//! Two cores, and a shell for both that takes no time.

use std::collections::VecDeque;

use rfs_core::consensus::Consensus;
use rfs_core::consensus::api::{Effect, HardState, Input, LogSummary, Received, Start, Timing};
use rfs_model::config::{ConfigEntry, Position};
use rfs_model::peer::{AppendHeader, PeerMessage};
use rfs_model::{Decode, Index, Meta, NodeId, RecordKind, Term};

const NODES: [NodeId; 2] = [NodeId([1; 16]), NodeId([2; 16])];
/// What a turn takes of time.
const TURN_US: u64 = 100;
/// Between two ticks of a brick.
const TICK_US: u64 = 10_000;
/// An election is over by then.
const ELECTED_US: u64 = 10_000_000;

enum Message {
    Plain(PeerMessage),
    Append { header: AppendHeader, metas: Vec<Meta>, configs: Vec<ConfigEntry> },
}

struct Brick {
    core: Consensus,
    /// The end of the log.
    last: Position,
    /// The leader's own records: all others are operations.
    own: Vec<(Meta, Option<ConfigEntry>)>,
    /// Entered in this turn.
    entered: bool,
    applied: Index,
}

pub struct Pair {
    bricks: [Brick; 2],
    /// Number of the receiver.
    wire: VecDeque<(usize, Message)>,
    now_us: u64,
    ticked_us: u64,
    leader: usize,
    spare: Vec<Effect>,
}

impl Pair {
    /// Both are up, and one leads with the other in sync.
    pub fn new() -> Self {
        let bricks = [0, 1].map(|n| {
            let (hard, log) = (HardState::genesis(&NODES), LogSummary::genesis(&NODES));
            let (last, term) = (log.last, log.runs[0].1);
            let core = Consensus::new(1, NODES[n], hard, log, Start::Clean, Timing::default(), n as u64 + 1);
            Brick { core, last: Position::new(term, last), own: Vec::new(), entered: false, applied: last }
        });
        let mut pair =
            Self { bricks, wire: VecDeque::new(), now_us: 1, ticked_us: 1, leader: 0, spare: Vec::new() };
        for n in [0, 1] {
            pair.step(n, Input::LinkUp { peer: NODES[1 - n] });
        }
        while pair.leads().is_none() {
            assert!(pair.now_us < ELECTED_US, "nobody is elected");
            pair.turn();
        }
        pair.leader = pair.leads().unwrap_or_default();
        pair.settle();
        pair
    }

    fn leads(&self) -> Option<usize> {
        self.bricks.iter().position(|brick| brick.core.leading().is_some())
    }

    /// Proposes so many records on the leader, and goes on until it has applied them: then mounts have their answers. The follower
    /// hears of the commit with the next append.
    pub fn commit(&mut self, count: u64) {
        let leader = self.leader;
        for _ in 0..count {
            let (term, index) = self.bricks[leader].core.leading().expect("it leads");
            let meta = operation(term, index);
            self.enter(leader, Position::new(term, index));
            self.step(leader, Input::Proposed { meta });
        }
        let end = self.bricks[leader].last.index;
        while self.bricks[leader].applied < end {
            self.turn();
        }
    }

    /// Until both bricks have applied all that the leader has.
    fn settle(&mut self) {
        let end = self.bricks[self.leader].last.index;
        while self.bricks.iter().any(|brick| brick.applied < end) {
            self.turn();
        }
    }

    /// Nothing was left behind.
    pub fn check(&mut self) {
        self.settle();
        assert_eq!(self.leads(), Some(self.leader), "leadership has moved");
        let [first, second] = &self.bricks;
        assert_eq!((first.last, first.applied), (second.last, second.applied));
    }

    /// Ends both bricks' turns, hands over all messages, and lets some time pass.
    fn turn(&mut self) {
        for n in [0, 1] {
            self.end_turn(n);
        }
        while let Some((to, message)) = self.wire.pop_front() {
            self.receive(to, message);
            self.end_turn(to);
        }
        self.now_us += TURN_US;
        if self.now_us - self.ticked_us >= TICK_US {
            self.ticked_us = self.now_us;
            for n in [0, 1] {
                self.step(n, Input::Tick);
            }
        }
    }

    /// As the shell does it: what was entered is journaled, then the core may ship.
    fn end_turn(&mut self, n: usize) {
        if std::mem::take(&mut self.bricks[n].entered) {
            let upto = self.bricks[n].last;
            self.step(n, Input::Journaled { upto });
        }
        self.step(n, Input::EndOfTurn);
    }

    fn receive(&mut self, to: usize, message: Message) {
        let from = NODES[1 - to];
        match message {
            Message::Plain(message) => self.step(to, Input::Message(Received::Brick { from, message })),
            Message::Append { header, metas, configs } => {
                let mut effects = std::mem::take(&mut self.spare);
                let input = Input::Append { from, header, metas: &metas, configs: &configs };
                self.bricks[to].core.step(self.now_us, input, &mut effects);
                self.carry_out(to, effects, &metas);
            }
        }
    }

    fn step(&mut self, n: usize, input: Input<'_>) {
        let mut effects = std::mem::take(&mut self.spare);
        self.bricks[n].core.step(self.now_us, input, &mut effects);
        self.carry_out(n, effects, &[]);
    }

    fn carry_out(&mut self, n: usize, mut effects: Vec<Effect>, metas: &[Meta]) {
        for effect in effects.drain(..) {
            self.perform(n, effect, metas);
        }
        self.spare = effects;
    }

    fn perform(&mut self, n: usize, effect: Effect, metas: &[Meta]) {
        match effect {
            Effect::Send { message, .. } => self.wire.push_back((1 - n, Message::Plain(message))),
            Effect::SaveState { ticket, .. } => self.step(n, Input::StateSaved { ticket }),
            Effect::AppendOwn { at, kind, payload } => {
                let record = || Decode::from_all(&payload).expect("a configuration");
                let config = (kind == RecordKind::Config).then(|| ConfigEntry { at, record: record() });
                self.bricks[n].own.push((Meta { kind, ..operation(at.term, at.index) }, config));
                self.enter(n, at);
            }
            Effect::Accept { from, truncate_after } => {
                assert_eq!(truncate_after, None, "nothing was lost, and something is cut");
                for meta in metas.iter().filter(|meta| meta.index >= from) {
                    self.enter(n, Position::new(meta.term, meta.index));
                }
            }
            Effect::Ship { to, header, from, upto } => {
                let message = self.shipped(n, header, from, upto);
                self.wire.push_back((1 - n, message));
                self.step(n, Input::Shipped { to, from, upto });
            }
            Effect::Committed { upto } => {
                self.bricks[n].applied = upto;
                self.step(n, Input::Applied { upto });
            }
            Effect::Sync => {
                let upto = self.bricks[n].last;
                self.step(n, Input::Synced { upto });
            }
            Effect::Durable { .. } | Effect::RoleChanged | Effect::ConfigCommitted => {}
            other => panic!("{other:?} in calm weather"),
        }
    }

    fn enter(&mut self, n: usize, at: Position) {
        let brick = &mut self.bricks[n];
        assert_eq!(at.index, brick.last.index.next(), "out of turn");
        (brick.last, brick.entered) = (at, true);
    }

    fn shipped(&self, n: usize, header: AppendHeader, from: Index, upto: Index) -> Message {
        let own = |index: &Index| self.bricks[n].own.iter().find(|(meta, _)| meta.index == *index);
        let term = header.pulse.term;
        let (mut metas, mut configs) = (Vec::new(), Vec::new());
        for index in (from.0..=upto.0).map(Index) {
            match own(&index) {
                Some((meta, config)) => {
                    metas.push(*meta);
                    configs.extend(config.clone());
                }
                None => metas.push(operation(term, index)),
            }
        }
        Message::Append { header, metas, configs }
    }
}

fn operation(term: Term, index: Index) -> Meta {
    Meta { index, term, kind: RecordKind::Op, len: 4096, payload_crc: 0, chain: 0 }
}
