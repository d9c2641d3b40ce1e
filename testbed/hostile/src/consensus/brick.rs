//! The brick and its honest shell: a log in memory, a vote file, and what was asked of them.

use rfs_core::consensus::Consensus;
use rfs_core::consensus::api::{DownCause, Effect, Input, LogSummary, Received, Start, Ticket, Timing};
use rfs_model::config::{ConfigEntry, ConfigRecord, Position};
use rfs_model::hard::HardState;
use rfs_model::{Decode, Index, Meta, NodeId, RecordKind, Term};

use super::lies;
use crate::source::Source;

const ME: NodeId = NodeId([1; 16]);

#[derive(Clone, Debug)]
struct Rec {
    at: Position,
    config: Option<ConfigEntry>,
}

/// See the module.
pub struct Brick {
    core: Consensus,
    now_us: u64,
    /// The vote file, and what is to be written next.
    hard: HardState,
    saving: Vec<(Ticket, HardState)>,
    /// Behind `base`, without gaps.
    log: Vec<Rec>,
    base: Position,
    /// The configuration before the log begins.
    before: Option<ConfigEntry>,
    synced: Index,
    committed: Index,
    shipping: Vec<(NodeId, Index, Index)>,
    tickets: u64,
    /// The brick has left, or was told to stand aside.
    pub stopped: bool,
}

impl Brick {
    /// # Panics
    /// When a new brick cannot begin.
    pub fn new(source: &mut Source<'_>) -> Self {
        let bricks: Vec<NodeId> = (1..=1 + source.below(4)).map(|n| NodeId([n; 16])).collect();
        let hard = HardState::genesis(&bricks);
        let entry = ConfigEntry::genesis(&bricks);
        let term = entry.at.term;
        let log = vec![
            Rec { at: entry.at, config: Some(entry) },
            Rec { at: Position::new(term, Index(2)), config: None },
        ];
        let summary = LogSummary::genesis(&bricks);
        let core = Consensus::new(1, ME, hard.clone(), summary, Start::Clean, Timing::default(), 7);
        Self {
            core,
            now_us: 1,
            hard,
            saving: Vec::new(),
            log,
            base: Position::ZERO,
            before: None,
            synced: Index(2),
            committed: Index(2),
            shipping: Vec::new(),
            tickets: 0,
            stopped: false,
        }
    }

    fn last(&self) -> Position {
        self.log.last().map_or(self.base, |rec| rec.at)
    }

    fn position(&self, index: Index) -> Option<Position> {
        if index == self.base.index {
            return Some(self.base);
        }
        let at = index.0.checked_sub(self.base.index.0 + 1)?;
        self.log.get(usize::try_from(at).ok()?).map(|rec| rec.at)
    }

    /// One thing happens.
    pub fn act(&mut self, source: &mut Source<'_>) {
        match source.below(24) {
            0..3 => self.tick(source),
            3 => self.step(Input::LinkUp { peer: source.node() }),
            4 => {
                let cause = source.pick(&[DownCause::Refused, DownCause::Reset, DownCause::Silent]);
                self.step(Input::LinkDown { peer: source.node(), cause });
            }
            5..11 => {
                let (from, near) = (source.node(), self.near());
                let message = lies::message(source, &near);
                self.step(Input::Message(Received::Brick { from, message }));
            }
            11..13 => {
                let (from, near) = (source.seat(), self.near());
                let message = lies::reply(source, &near);
                self.step(Input::Message(Received::Seat { from, message }));
            }
            13..17 => self.append(source),
            17 => self.propose(),
            18 => self.step(Input::EndOfTurn),
            19 => self.journal(source),
            20 => self.saved(),
            21 => self.ask(source),
            22 => self.seat(source),
            _ => self.operate(source),
        }
    }

    fn near(&self) -> lies::Near {
        lies::Near { term: self.core.term(), last: self.last(), committed: self.committed }
    }

    fn tick(&mut self, source: &mut Source<'_>) {
        self.now_us += source.pick(&[1_000, 30_000, 100_000, 260_000, 1_600_000, 2_500_000]);
        self.step(Input::Tick);
    }

    fn append(&mut self, source: &mut Source<'_>) {
        let near = self.near();
        let (header, metas, configs) = lies::append(source, &near);
        let from = source.node();
        let mut out = Vec::new();
        let input = Input::Append { from, header, metas: &metas, configs: &configs };
        self.core.step(self.now_us, input, &mut out);
        let accepted = out.iter().filter(|effect| matches!(effect, Effect::Accept { .. })).count();
        assert!(accepted <= 1, "an append is accepted once");
        self.carry_out(out, &metas, &configs);
    }

    fn propose(&mut self) {
        if let Some((term, index)) = self.core.leading() {
            assert_eq!(index, self.last().index.next());
            let (kind, at) = (RecordKind::Op, Position::new(term, index));
            self.log.push(Rec { at, config: None });
            let meta = Meta { index, term, kind, len: 0, payload_crc: 0, chain: 0 };
            self.step(Input::Proposed { meta });
        }
    }

    fn journal(&mut self, source: &mut Source<'_>) {
        let upto = self.last();
        if source.flag() {
            self.step(Input::Journaled { upto });
        } else {
            self.synced = upto.index;
            self.step(Input::Synced { upto });
        }
    }

    fn saved(&mut self) {
        if let Some((ticket, hard)) = self.saving.pop() {
            self.saving.clear();
            self.hard = hard;
            self.step(Input::StateSaved { ticket });
        }
    }

    fn ask(&mut self, source: &mut Source<'_>) {
        self.tickets += 1;
        match source.below(4) {
            0 => self.step(Input::WantDurable { upto: self.last().index }),
            1 => self.step(Input::Read { ticket: Ticket(self.tickets) }),
            2 => self.shipped(source),
            _ => self.trim(source),
        }
    }

    fn shipped(&mut self, source: &mut Source<'_>) {
        if let Some((to, from, upto)) = self.shipping.pop() {
            let upto = if source.flag() { upto } else { from.prev() };
            self.step(Input::Shipped { to, from, upto });
        }
    }

    fn trim(&mut self, source: &mut Source<'_>) {
        let index = Index(self.committed.0.saturating_sub(source.below(3).into()));
        if index > self.base.index
            && index <= self.synced
            && let Some(base) = self.position(index)
        {
            let gone = (index.0 - self.base.index.0) as usize;
            let before = self.log.drain(..gone).filter_map(|rec| rec.config).next_back();
            (self.base, self.before) = (base, before.or(self.before.take()));
            self.step(Input::Trimmed { base });
        }
    }

    fn seat(&mut self, source: &mut Source<'_>) {
        let (seat, class, up) = (source.seat(), lies::class(source), source.flag());
        let host = if source.below(8) == 0 { "h".repeat(300) } else { "host".to_owned() };
        self.step(Input::SeatCandidate { seat, class, host, up });
    }

    fn operate(&mut self, source: &mut Source<'_>) {
        match source.below(8) {
            0 => self.step(Input::Leave),
            1 => self.step(Input::Promote),
            2 => {
                let bricks = (0..1 + source.below(5)).map(|_| source.node()).collect();
                self.step(Input::Members { bricks });
            }
            3..5 => self.restart(source),
            _ => self.step(Input::Applied { upto: self.committed }),
        }
    }

    /// Starts again from what is on the disk.
    ///
    /// # Panics
    /// When the brick cannot start: a lie has reached the disk.
    pub fn restart(&mut self, source: &mut Source<'_>) {
        if self.stopped {
            return;
        }
        let start = source.pick(&[Start::SameBoot, Start::Clean, Start::Suspect, Start::Rotten]);
        if start == Start::Clean {
            self.saved();
        }
        self.saving.clear();
        self.shipping.clear();
        let mut runs: Vec<(Index, Term)> = Vec::new();
        for rec in &self.log {
            if runs.last().is_none_or(|(_, term)| *term != rec.at.term) {
                runs.push((rec.at.index, rec.at.term));
            }
        }
        let kept = self.log.iter().filter_map(|rec| rec.config.clone());
        let summary = LogSummary {
            base: self.base,
            runs,
            last: self.last().index,
            configs: self.before.iter().cloned().chain(kept).collect(),
            synced: self.synced.min(self.last().index),
            committed: self.committed,
        };
        let file = self.hard.to_file();
        let hard = HardState::from_file(&file).expect("the vote file can be read back");
        self.core = Consensus::new(self.now_us, ME, hard, summary, start, Timing::default(), self.now_us);
    }

    fn step(&mut self, input: Input<'_>) {
        let mut out = Vec::new();
        self.core.step(self.now_us, input, &mut out);
        self.carry_out(out, &[], &[]);
    }

    fn carry_out(&mut self, effects: Vec<Effect>, metas: &[Meta], configs: &[ConfigEntry]) {
        for effect in effects {
            match effect {
                Effect::SaveState { ticket, hard } => self.saving.push((ticket, hard)),
                Effect::AppendOwn { at, kind, payload } => {
                    let record = || ConfigRecord::from_all(&payload).expect("a configuration");
                    let config = (kind == RecordKind::Config).then(|| ConfigEntry { at, record: record() });
                    self.put(Rec { at, config });
                }
                Effect::Accept { from, truncate_after } => {
                    if let Some(kept) = truncate_after {
                        assert!(kept >= self.committed, "committed records are cut");
                        self.log.truncate((kept.0 - self.base.index.0) as usize);
                        self.synced = self.synced.min(kept);
                    }
                    for meta in metas.iter().filter(|meta| meta.index >= from) {
                        let at = Position::new(meta.term, meta.index);
                        let config = configs.iter().find(|entry| entry.at == at).cloned();
                        self.put(Rec { at, config });
                    }
                }
                Effect::Ship { to, from, upto, .. } => {
                    assert!(
                        self.position(from).is_some() && upto <= self.last().index,
                        "it ships what it has"
                    );
                    self.shipping.push((to, from, upto));
                }
                Effect::Committed { upto } => {
                    assert!(upto > self.committed && upto <= self.last().index, "it commits what it has");
                    self.committed = upto;
                }
                Effect::Diverged { common } => {
                    let next = self.position(common.next());
                    let other = next.is_some_and(|at| at.term.lineage() < self.core.term().lineage());
                    assert!(common < self.committed || other, "it has nothing that the leader lacks");
                    self.stopped = true;
                }
                Effect::LeaveDone { .. } => self.stopped = true,
                _ => {}
            }
        }
        assert_eq!(self.core.watermarks().last, self.last().index, "core and log end at one record");
    }

    fn put(&mut self, rec: Rec) {
        assert_eq!(rec.at.index, self.last().index.next(), "a gap in the log");
        assert!(rec.at.term >= self.last().term, "a term that goes back");
        self.log.push(rec);
    }
}
