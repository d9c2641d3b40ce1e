//! Bricks, a witness, links and time.

use std::collections::{BTreeMap, BTreeSet};

use rfs_model::config::{ConfigEntry, Position};
use rfs_model::hello::SeatClass;
use rfs_model::peer::{PeerMessage, WitnessReply, WitnessRequest};
use rfs_model::register::Register;
use rfs_model::{Index, Meta, NodeId, RecordKind, SeatId};

use super::disk::{Disk, Rec};
use super::oracle::Oracle;
use crate::consensus::Consensus;
use crate::consensus::api::{
    DownCause, Effect, HardState, Input, Mutations, Received, RoleView, Start, Ticket, Timing,
};
use crate::consensus::random::Random;
use crate::witness::Witness;

pub const MS: u64 = 1_000;
pub const W: SeatId = SeatId([0xf0; 16]);

pub fn node(n: usize) -> NodeId {
    NodeId([n as u8 + 1; 16])
}

#[derive(Clone, Debug)]
enum Event {
    Tick,
    ToBrick(NodeId, PeerMessage, Vec<Rec>),
    ToSeat(NodeId, WitnessRequest),
    FromSeat(WitnessReply),
    Journaled(Position),
    Synced(Position),
    Saved(Ticket, Box<HardState>),
    Dial(NodeId),
    /// A full copy for this brick.
    Copy(NodeId),
}

pub struct Brick {
    pub disk: Disk,
    pub core: Option<Consensus>,
    /// Counts the lives of the process: what an earlier one had under way is void.
    life: u64,
    pub committed: Index,
    pub applied: Index,
    pub left: Option<(bool, bool)>,
    /// Reads and what was committed when they were asked; their answers.
    pub asked: BTreeMap<Ticket, Index>,
    pub reads: BTreeMap<Ticket, Option<Index>>,
    pub durable: Index,
    pub paused: bool,
    /// Its machine lost power: the next start is a suspect one.
    pub lost_power: bool,
    /// How long its journal takes for a record.
    pub journal_us: u64,
    /// What this brick was told to set aside: the record before it.
    pub set_aside: Option<Index>,
}

/// Who an event happens to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Brick(usize, u64),
    Seat,
}

pub struct Net {
    pub now: u64,
    pub bricks: Vec<Brick>,
    pub witness: Option<Witness>,
    pub register: Register,
    pub oracle: Oracle,
    pub random: Random,
    pub mutations: Mutations,
    queue: BTreeMap<(u64, u64), (At, Event)>,
    order: u64,
    /// Directions that swallow everything: (from, to); the witness is number 9.
    pub cut: BTreeSet<(usize, usize)>,
    /// Percent of messages lost, and repeated.
    pub loss: u64,
    pub value: u64,
    pub trace: bool,
    /// A log does not begin at the beginning.
    pub trimmed: bool,
    /// How long a full copy takes.
    pub copy_us: u64,
}

pub const SEAT: usize = 9;

impl Net {
    pub fn new(bricks: usize, witness: bool, seed: u64) -> Self {
        let all: Vec<_> = (0..bricks).map(node).collect();
        let brick = || Brick {
            disk: Disk::genesis(&all),
            core: None,
            life: 0,
            committed: Index(2),
            applied: Index(2),
            left: None,
            asked: BTreeMap::new(),
            reads: BTreeMap::new(),
            durable: Index(2),
            paused: false,
            lost_power: false,
            journal_us: MS,
            set_aside: None,
        };
        let register = Register::new(W);
        let mut net = Self {
            now: 1_000_000,
            bricks: all.iter().map(|_| brick()).collect(),
            witness: witness.then(|| Witness::new(register.clone(), Timing::default().hold_us, 0)),
            register,
            oracle: Oracle::default(),
            random: Random::new(seed),
            mutations: Mutations::default(),
            queue: BTreeMap::new(),
            order: 0,
            cut: BTreeSet::new(),
            loss: 0,
            value: 0,
            trace: false,
            trimmed: false,
            copy_us: 5 * MS,
        };
        (0..bricks).for_each(|n| net.start(n));
        net
    }

    fn at(&mut self, delay: u64, whom: At, event: Event) {
        self.order += 1;
        self.queue.insert((self.now + delay, self.order), (whom, event));
    }

    fn life(&self, n: usize) -> At {
        At::Brick(n, self.bricks[n].life)
    }

    fn number(&self, id: NodeId) -> usize {
        usize::from(id.0[0]) - 1
    }

    // ---- processes ----

    pub fn start(&mut self, n: usize) {
        let brick = &mut self.bricks[n];
        let start = match (std::mem::take(&mut brick.lost_power), brick.disk.clean) {
            (true, _) => Start::Suspect,
            (false, true) => Start::Clean,
            (false, false) => Start::SameBoot,
        };
        self.start_as(n, start);
    }

    pub fn start_as(&mut self, n: usize, start: Start) {
        assert!(self.bricks[n].core.is_none(), "it runs");
        let seed = self.random.next();
        let brick = &mut self.bricks[n];
        brick.life += 1;
        brick.disk.clean = false;
        brick.left = None;
        brick.paused = false;
        (brick.committed, brick.applied) = (brick.disk.checkpoint, brick.disk.checkpoint);
        brick.disk.journaled = brick.disk.last();
        let (hard, log) = (brick.disk.hard.clone(), brick.disk.summary());
        let mut core = Consensus::new(self.now, node(n), hard, log, start, Timing::default(), seed);
        core.mutate(self.mutations);
        brick.core = Some(core);
        for other in (0..self.bricks.len()).filter(|other| *other != n) {
            self.at(MS, self.life(n), Event::Dial(node(other)));
            if self.bricks[other].core.is_some() {
                self.at(MS, self.life(other), Event::Dial(node(n)));
            }
        }
        self.at(0, self.life(n), Event::Tick);
        self.offer_seat(n);
    }

    pub fn offer_seat(&mut self, n: usize) {
        let up = self.witness.is_some();
        let (class, host) = (SeatClass::PoolNode, "w".to_string());
        self.step(n, Input::SeatCandidate { seat: W, class, host, up });
    }

    pub fn kill(&mut self, n: usize) {
        self.bricks[n].core = None;
        self.bricks[n].disk.kill();
        self.bricks[n].life += 1;
        for other in (0..self.bricks.len()).filter(|other| *other != n) {
            if self.bricks[other].core.is_some() && !self.cut.contains(&(other, n)) {
                self.at(MS, self.life(other), Event::Dial(node(n)));
            }
        }
    }

    pub fn power_loss(&mut self, n: usize) {
        self.bricks[n].core = None;
        self.bricks[n].life += 1;
        self.bricks[n].disk.power_loss(&mut self.random);
        self.bricks[n].lost_power = true;
    }

    pub fn new_disk(&mut self, n: usize) {
        self.kill(n);
        let all: Vec<_> = (0..self.bricks.len()).map(node).collect();
        self.bricks[n].disk = Disk::blank(&all);
        (self.bricks[n].committed, self.bricks[n].applied) = (Index::ZERO, Index::ZERO);
    }

    /// One more machine with an empty brick, which no configuration knows yet; its number.
    pub fn add_brick(&mut self) -> usize {
        let n = self.bricks.len();
        let all: Vec<_> = (0..=n).map(node).collect();
        self.bricks.push(Brick {
            disk: Disk::blank(&all),
            core: None,
            life: 0,
            committed: Index::ZERO,
            applied: Index::ZERO,
            left: None,
            asked: BTreeMap::new(),
            reads: BTreeMap::new(),
            durable: Index::ZERO,
            paused: false,
            lost_power: false,
            journal_us: MS,
            set_aside: None,
        });
        self.start(n);
        n
    }

    pub fn stop_witness(&mut self) {
        self.witness = None;
        (0..self.bricks.len()).for_each(|n| self.offer_seat(n));
    }

    pub fn start_witness(&mut self) {
        self.witness = Some(Witness::new(self.register.clone(), Timing::default().hold_us, self.now));
        (0..self.bricks.len()).for_each(|n| self.offer_seat(n));
    }

    pub fn isolate(&mut self, n: usize) {
        for other in (0..self.bricks.len()).chain([SEAT]) {
            self.cut.insert((n, other));
            self.cut.insert((other, n));
        }
    }

    // ---- time ----

    pub fn run(&mut self, ms: u64) {
        let until = self.now + ms * MS;
        while let Some(entry) = self.queue.first_entry().filter(|entry| entry.key().0 <= until) {
            let ((when, _), (whom, event)) = entry.remove_entry();
            self.now = when;
            self.happen(whom, event);
        }
        self.now = until;
    }

    /// Runs until it holds; the time it took, ms. Panics after `limit_ms`.
    pub fn until(&mut self, limit_ms: u64, what: &str, holds: impl Fn(&Net) -> bool) -> u64 {
        let start = self.now;
        while !holds(self) {
            assert!(self.now < start + limit_ms * MS, "not within {limit_ms} ms: {what}\n{}", self.show());
            self.run(1);
        }
        (self.now - start) / MS
    }

    fn happen(&mut self, whom: At, event: Event) {
        match (whom, event) {
            (At::Seat, Event::ToSeat(from, request)) => self.witness_step(from, request),
            (At::Brick(n, life), event) if self.bricks[n].life == life && self.bricks[n].core.is_some() => {
                if self.bricks[n].paused {
                    return self.at(10 * MS, whom, event);
                }
                self.brick_event(n, event);
            }
            _ => {}
        }
    }

    fn brick_event(&mut self, n: usize, event: Event) {
        match event {
            Event::Tick => {
                self.step(n, Input::Tick);
                self.at(10 * MS, self.life(n), Event::Tick);
            }
            Event::ToBrick(from, PeerMessage::Append { header }, recs) => {
                let metas: Vec<Meta> = recs.iter().map(Rec::meta).collect();
                let configs: Vec<ConfigEntry> = recs.iter().filter_map(|rec| rec.config.clone()).collect();
                let effects =
                    self.raw_step(n, Input::Append { from, header, metas: &metas, configs: &configs });
                self.carry_out(n, effects, &recs);
            }
            Event::ToBrick(from, message, _) => {
                self.step(n, Input::Message(Received::Brick { from, message }));
            }
            Event::FromSeat(message) => self.step(n, Input::Message(Received::Seat { from: W, message })),
            Event::Journaled(upto) => {
                let disk = &mut self.bricks[n].disk;
                if disk.last() >= upto.index && disk.get(upto.index).at == upto {
                    disk.journaled = disk.journaled.max(upto.index);
                }
                self.step(n, Input::Journaled { upto });
            }
            Event::Synced(upto) => {
                let disk = &mut self.bricks[n].disk;
                if disk.last() >= upto.index && disk.get(upto.index).at == upto {
                    disk.synced = disk.synced.max(upto.index);
                }
                self.step(n, Input::Synced { upto });
            }
            Event::Saved(ticket, hard) => {
                self.bricks[n].disk.hard = *hard;
                self.step(n, Input::StateSaved { ticket });
            }
            Event::Dial(peer) => self.dial(n, peer),
            Event::Copy(to) => self.copy(n, to),
            Event::ToSeat(..) => unreachable!("not a brick's"),
        }
        self.step(n, Input::EndOfTurn);
    }

    fn dial(&mut self, n: usize, peer: NodeId) {
        let other = self.number(peer);
        let silent = self.cut.contains(&(n, other)) || self.cut.contains(&(other, n));
        let input = match self.bricks[other].core {
            Some(_) if !silent => Input::LinkUp { peer },
            Some(_) => Input::LinkDown { peer, cause: DownCause::Silent },
            None if !silent => Input::LinkDown { peer, cause: DownCause::Refused },
            None => Input::LinkDown { peer, cause: DownCause::Silent },
        };
        if matches!(input, Input::LinkDown { .. }) {
            self.at(100 * MS, self.life(n), Event::Dial(peer));
        }
        self.step(n, input);
    }

    /// Carries out a full copy in no time, or tries again.
    fn copy(&mut self, n: usize, to: NodeId) {
        let other = self.number(to);
        let needed = |view: &crate::consensus::api::PeerView| view.brick == to && view.resync;
        if !self.core(n).is_some_and(|core| core.bricks().iter().any(needed)) {
            return;
        }
        if self.bricks[other].core.is_none() || self.bricks[other].paused || self.cut.contains(&(n, other)) {
            return self.at(50 * MS, self.life(n), Event::Copy(to));
        }
        let upto = self.bricks[n].committed;
        let mut disk = self.bricks[n].disk.clone();
        disk.cut(upto);
        disk.hard = self.bricks[other].disk.hard.clone();
        (disk.journaled, disk.synced, disk.checkpoint) = (upto, upto, upto);
        let (at, config) = (disk.get(upto).at, disk.log.iter().rev().find_map(|rec| rec.config.clone()));
        let own = &self.bricks[other].disk.log;
        let common = own.iter().zip(&disk.log).take_while(|(a, b)| a == b).count();
        if own.len() > common {
            self.bricks[other].set_aside = Some(Index(common as u64));
        }
        (self.bricks[other].committed, self.bricks[other].applied) = (upto, upto);
        self.bricks[other].disk = disk;
        self.step(other, Input::Installed { at, config: config.expect("a genesis") });
        self.step(other, Input::EndOfTurn);
    }

    fn witness_step(&mut self, from: NodeId, request: WitnessRequest) {
        let Some(witness) = &mut self.witness else { return };
        let answer = witness.step(self.now, request);
        let saving = if answer.save.is_some() { 2 * MS } else { 0 };
        if let Some(register) = answer.save {
            self.register = register;
        }
        let to = self.number(from);
        if let Some(reply) = answer.reply
            && !self.lost(SEAT, to)
        {
            self.at(saving + MS, self.life(to), Event::FromSeat(reply));
        }
    }

    fn lost(&mut self, from: usize, to: usize) -> bool {
        self.cut.contains(&(from, to)) || self.random.within((0, 99)) < self.loss
    }

    // ---- the shell of one brick ----

    fn raw_step(&mut self, n: usize, input: Input<'_>) -> Vec<Effect> {
        let mut effects = Vec::new();
        if self.trace {
            println!("{:>9} {n} {input:?}", self.now);
        }
        if let Some(core) = &mut self.bricks[n].core {
            core.step(self.now, input, &mut effects);
        }
        effects
    }

    /// The operator's word, to one brick.
    pub fn promote(&mut self, n: usize) {
        self.oracle.forked = true;
        self.step(n, Input::Promote);
        self.step(n, Input::EndOfTurn);
    }

    pub fn step(&mut self, n: usize, input: Input<'_>) {
        let effects = self.raw_step(n, input);
        self.carry_out(n, effects, &[]);
    }

    fn carry_out(&mut self, n: usize, effects: Vec<Effect>, recs: &[Rec]) {
        let (mut applied, mut shipped) = (None, Vec::new());
        for effect in effects {
            if self.trace {
                println!("{:>9} {n}    {effect:?}", self.now);
            }
            match effect {
                Effect::Committed { upto } => applied = Some(upto),
                Effect::Ship { to, from, upto, .. } => {
                    shipped.push((to, from, Index(upto.0.min(from.0 + 9))))
                }
                _ => {}
            }
            self.effect(n, effect, recs);
        }
        if let Some(upto) = applied {
            self.step(n, Input::Applied { upto });
        }
        for (to, from, upto) in shipped {
            self.step(n, Input::Shipped { to, from, upto });
        }
    }

    fn effect(&mut self, n: usize, effect: Effect, recs: &[Rec]) {
        match effect {
            Effect::Send { to, message } => self.send(n, to, message, vec![]),
            Effect::SendSeat { to, message } => {
                if to == W && self.witness.is_some() && !self.lost(n, SEAT) {
                    self.at(MS, At::Seat, Event::ToSeat(node(n), message));
                }
            }
            Effect::SaveState { ticket, hard } => {
                self.at(2 * MS, self.life(n), Event::Saved(ticket, Box::new(hard)));
            }
            Effect::AppendOwn { at, kind, payload } => {
                use rfs_model::Decode;
                let config = (kind == RecordKind::Config).then(|| ConfigEntry {
                    at,
                    record: Decode::from_all(&payload).expect("a configuration"),
                });
                self.append(n, Rec { at, kind, config, value: 0 });
            }
            Effect::Accept { from, truncate_after } => {
                if let Some(after) = truncate_after {
                    self.bricks[n].disk.cut(after);
                }
                for rec in recs.iter().filter(|rec| rec.at.index >= from) {
                    self.append(n, rec.clone());
                }
            }
            Effect::Ship { to, header, from, upto } => {
                let upto = Index(upto.0.min(from.0 + 9));
                let recs = self.bricks[n].disk.range(from, upto);
                self.send(n, to, PeerMessage::Append { header }, recs);
            }
            Effect::Committed { upto } => {
                self.oracle.commits(node(n), &self.bricks[n].disk, upto);
                let brick = &mut self.bricks[n];
                (brick.committed, brick.applied) = (upto, upto);
            }
            Effect::Durable { upto } => {
                self.bricks[n].durable = upto;
                self.oracle.durable = self.oracle.durable.max(upto);
            }
            Effect::Sync => {
                let disk = &self.bricks[n].disk;
                let upto = disk.get(disk.journaled).at;
                self.at(3 * MS, self.life(n), Event::Synced(upto));
            }
            Effect::ReadReady { ticket, index, .. } => {
                let asked = self.bricks[n].asked[&ticket];
                assert!(
                    index >= asked || self.oracle.may_lose_unsynced,
                    "a stale read: {index}, {asked} was there"
                );
                self.bricks[n].reads.insert(ticket, Some(index));
            }
            Effect::ReadRefused { ticket } => {
                self.bricks[n].reads.insert(ticket, None);
            }
            Effect::RoleChanged => self.role_changed(n),
            Effect::LeaveDone { clean, last } => self.bricks[n].left = Some((clean, last)),
            Effect::NeedsResync { to } => {
                let view =
                    self.core(n).and_then(|core| core.bricks().into_iter().find(|view| view.brick == to));
                let promoted = self.core(n).is_some_and(|core| core.term().lineage().0 > 0);
                assert!(promoted || self.trimmed, "nothing was trimmed, and {view:?} needs a copy");
                self.at(self.copy_us, self.life(n), Event::Copy(to));
            }
            Effect::Diverged { common } => {
                let promoted = self.core(n).is_some_and(|core| core.term().lineage().0 > 0);
                assert!(promoted, "{n} has committed what the leader lacks, after {common}");
            }
            Effect::Refuse { from, why } => panic!("{n} refuses {from:?}: {why}"),
            Effect::ConfigCommitted => {}
        }
    }

    fn role_changed(&mut self, n: usize) {
        let Some(core) = &self.bricks[n].core else { return };
        if core.role() == RoleView::Leader {
            self.oracle.leads(core.term(), node(n));
        }
    }

    fn append(&mut self, n: usize, rec: Rec) {
        let at = rec.at;
        let disk = &mut self.bricks[n].disk;
        assert_eq!(at.index, disk.last().next(), "appended out of turn");
        disk.log.push(rec);
        self.at(self.bricks[n].journal_us, self.life(n), Event::Journaled(at));
    }

    fn send(&mut self, n: usize, to: NodeId, message: PeerMessage, recs: Vec<Rec>) {
        let other = self.number(to);
        if self.bricks[other].core.is_none() || self.lost(n, other) {
            return;
        }
        let delay = if self.loss > 0 { self.random.within((MS / 2, 20 * MS)) } else { MS / 2 };
        if self.loss > 0 && self.random.within((0, 99)) < self.loss {
            let late = self.random.within((MS, 400 * MS));
            self.at(late, self.life(other), Event::ToBrick(node(n), message.clone(), recs.clone()));
        }
        self.at(delay, self.life(other), Event::ToBrick(node(n), message, recs));
    }

    /// Stops a brick that has left: everything synced, the clean mark written.
    pub fn exit(&mut self, n: usize) {
        let clean = self.bricks[n].left.is_some_and(|(clean, _)| clean);
        let disk = &mut self.bricks[n].disk;
        (disk.journaled, disk.synced, disk.clean) = (disk.last(), disk.last(), clean);
        if clean {
            let hard = self.bricks[n].core.as_ref().expect("it runs").hard_state().clone();
            self.bricks[n].disk.hard = hard;
            self.bricks[n].disk.checkpoint = self.bricks[n].committed;
        }
        self.kill(n);
    }

    // ---- clients ----

    /// Proposes one record; its index.
    pub fn propose(&mut self, n: usize) -> Option<Index> {
        let (term, index) = self.core(n)?.leading()?;
        self.value += 1;
        let rec =
            Rec { at: Position::new(term, index), kind: RecordKind::Op, config: None, value: self.value };
        let meta = rec.meta();
        self.append(n, rec);
        self.step(n, Input::Proposed { meta });
        self.step(n, Input::EndOfTurn);
        Some(index)
    }

    pub fn fsync(&mut self, n: usize, upto: Index) {
        self.step(n, Input::WantDurable { upto });
        self.step(n, Input::EndOfTurn);
    }

    pub fn read(&mut self, n: usize, ticket: u64) {
        self.bricks[n].asked.insert(Ticket(ticket), self.oracle.highest);
        self.step(n, Input::Read { ticket: Ticket(ticket) });
        self.step(n, Input::EndOfTurn);
    }

    // ---- looking ----

    pub fn core(&self, n: usize) -> Option<&Consensus> {
        self.bricks[n].core.as_ref()
    }

    /// The brick that takes proposals.
    pub fn leader(&self) -> Option<usize> {
        let leads = |n: &usize| self.core(*n).is_some_and(|core| core.leading().is_some());
        (0..self.bricks.len()).filter(leads).max_by_key(|n| self.core(*n).map(Consensus::term))
    }

    pub fn healthy(&self) -> bool {
        self.leader().is_some_and(|n| self.core(n).is_some_and(Consensus::healthy))
    }

    /// All bricks are in S and have applied the same.
    pub fn settled(&self) -> bool {
        let Some(leader) = self.leader() else { return false };
        let end = self.bricks[leader].disk.last();
        let same = |brick: &Brick| brick.core.is_some() && brick.applied == end && brick.disk.last() == end;
        self.healthy() && self.bricks.iter().all(same)
    }

    pub fn show(&self) -> String {
        let mut text = String::new();
        for (n, brick) in self.bricks.iter().enumerate() {
            let line = brick.core.as_ref().map(|core| {
                let config = core.config();
                format!(
                    "{:?} leader {:?} term {} {:?} {:?}\n   {:?} {:?}\n   {:?}\n   {:?}",
                    core.role(),
                    core.leader(),
                    core.term(),
                    core.trust(),
                    core.watermarks(),
                    config.at,
                    config.record,
                    core.waiting_for(),
                    core.bricks()
                )
            });
            text += &format!("{n}: {}\n", line.unwrap_or("down".into()));
        }
        text
    }
}
