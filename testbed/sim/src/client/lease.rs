//! A client's leases on directories, as a mount has them: one at a time. What it tells its programs on belief rides in its window a
//! little later.

use std::collections::{BTreeMap, VecDeque};

use rfs_core::admit::TreeView;
use rfs_core::testing::MemTree;
use rfs_model::client::{Done, Query, ToBrick};
use rfs_model::limits::BELIEF_MS;
use rfs_model::{Attr, Index, InodeId, Refusal};

use super::deed::{Deed, child};
use super::{Client, Kept, WINDOW};
use crate::births::Place;
use crate::clock::Clock;
use crate::outside::{Item, Outside};

const BELIEF_US: u64 = 1000 * BELIEF_MS;
/// Between two questions whether there is a leader, microseconds.
const RENEWAL_US: u64 = 250_000;
/// Names in a directory: few, so that clients want the same ones.
const NAMES: u64 = 8;
/// The first tag of a question: smaller ones are other questions'.
const TAGS: u64 = 2;

/// A directory of the client's own.
#[derive(Clone, Copy, Debug, Default)]
enum Own {
    #[default]
    None,
    /// It is being made, by that request.
    Coming(u64),
    /// Nothing is in it.
    Empty {
        dir: InodeId,
        version: Index,
    },
    Leased(Lease),
}

#[derive(Clone, Copy, Debug)]
struct Lease {
    dir: InodeId,
    /// When it was asked for, by the client's clock.
    sent: u64,
    had: bool,
    /// Until then it is believed in.
    until: u64,
    /// It is to be given back.
    leaves: bool,
    /// The next name.
    next: u64,
    /// While it is had its client makes files there and does nothing else, which takes a while: nothing that it waits for keeps it from
    /// that.
    devoted: bool,
}

impl Lease {
    fn new(dir: InodeId, sent: u64, devoted: bool) -> Self {
        Self { dir, sent, had: false, until: 0, leaves: false, next: 1, devoted }
    }

    fn believed(&self, now: u64, forever: bool) -> bool {
        self.had && !self.leaves && (now < self.until || forever)
    }
}

#[derive(Debug)]
pub struct Leases {
    clock: Clock,
    own: Own,
    /// Identities for new files.
    spares: VecDeque<InodeId>,
    /// What programs were told, and is not in the window yet.
    born: VecDeque<Deed>,
    /// Questions that are on their way, and when they were sent.
    asked: BTreeMap<u64, u64>,
    next_tag: u64,
    asked_last: u64,
    /// What programs were told, here and in others' directories, and was not refused.
    told: BTreeMap<Place, InodeId>,
    /// What comes behind a touch of another client's directory.
    visit: Option<Deed>,
    /// What was refused is nowhere.
    stillborn: Vec<InodeId>,
}

impl Leases {
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            own: Own::None,
            spares: VecDeque::new(),
            born: VecDeque::new(),
            asked: BTreeMap::new(),
            next_tag: TAGS,
            asked_last: 0,
            told: BTreeMap::new(),
            visit: None,
            stillborn: Vec::new(),
        }
    }

    fn lease(&mut self) -> Option<&mut Lease> {
        match &mut self.own {
            Own::Leased(lease) => Some(lease),
            _ => None,
        }
    }

    /// Its client does nothing else.
    pub fn is_devoted(&self) -> bool {
        matches!(self.own, Own::Leased(lease) if lease.devoted && lease.had)
    }

    /// Nothing is left to be asked for.
    pub fn is_done(&self) -> bool {
        self.born.is_empty() && !matches!(self.own, Own::Leased(_))
    }

    /// The leader may be another one.
    pub fn lost(&mut self) {
        self.asked.clear();
        match &mut self.own {
            Own::Empty { .. } => self.own = Own::None,
            Own::Leased(lease) => lease.leaves = true,
            Own::None | Own::Coming(_) => {}
        }
    }

    pub fn recalled(&mut self, dir: InodeId) {
        match &mut self.own {
            Own::Leased(lease) if lease.dir == dir => lease.leaves = true,
            _ => {}
        }
    }

    /// A question was answered by a leader.
    pub fn renewed(&mut self, tag: u64, now: u64, from_answer: bool) {
        let Some(sent) = self.asked.remove(&tag) else { return };
        let from = if from_answer { self.clock.at(now) } else { sent };
        if let Some(lease) = self.lease().filter(|lease| lease.had) {
            lease.until = lease.until.max(from + BELIEF_US);
        }
    }

    pub fn spare(&mut self, id: InodeId) {
        if id != InodeId::NIL && self.spares.len() < 64 {
            self.spares.push_back(id);
        }
    }

    /// The directory is made. What the answer shows may be older news by now: nothing is in it only if nothing has changed it since.
    fn made(&mut self, seq: u64, attr: Option<Attr>, careless: bool) {
        if !matches!(self.own, Own::Coming(of) if of == seq) {
            return;
        }
        let empty = attr.filter(|attr| careless || attr.version == attr.id.index);
        self.own = empty.map_or(Own::None, |attr| Own::Empty { dir: attr.id, version: attr.version });
    }

    fn had(&mut self, dir: InodeId, now: u64, from_answer: bool) {
        let now = self.clock.at(now);
        if let Some(lease) = self.lease().filter(|lease| lease.dir == dir) {
            let from = if from_answer { now } else { lease.sent };
            lease.had = true;
            lease.until = lease.until.max(from + BELIEF_US);
        }
    }

    fn not_had(&mut self, dir: InodeId) {
        if self.lease().is_some_and(|lease| lease.dir == dir) {
            self.own = Own::None;
        }
    }
}

impl Client {
    /// What is to be done about leases before anything else: asks, tells programs, and thinks of giving back.
    pub fn keep_leases(&mut self, conn: u64, out: &mut Outside) {
        let now = self.leases.clock.at(out.now);
        let had = self.leases.lease().is_some_and(|lease| lease.had && !lease.leaves);
        if had && now >= self.leases.asked_last + RENEWAL_US {
            self.leases.asked_last = now;
            let tag = self.leases.next_tag;
            self.leases.next_tag += 1;
            self.leases.asked.insert(tag, now);
            let message = ToBrick::Query { tag, at: Index::ZERO, op: Query::Renew {} };
            out.to_brick(conn, Item::Client { conn, message: Box::new(message) });
        }
        // A devoted client makes its files within some seconds, however fast it thinks.
        let seldom = if self.leases.is_devoted() { 500_000 / out.setup.pace_us } else { 1 };
        for _ in 0..2 {
            if out.rng.one_in(2 * seldom.max(1)) {
                self.give_birth(now, out);
            }
        }
        let tired = self.quiet || out.rng.one_in(30 * seldom.max(1));
        if let Some(lease) = self.leases.lease() {
            lease.leaves |= tired || lease.next > NAMES;
        }
        while self.quiet
            && self.window.len() < WINDOW
            && let Some(deed) = self.deed_of_leases(out)
        {
            self.begin(conn, deed, out);
        }
    }

    /// Tells a program that its file is made. Not while a change of names is on its way that may have to wait for another client:
    /// two that wait for each other could not give back anything.
    fn give_birth(&mut self, now: u64, out: &mut Outside) {
        let forever = out.setup.mutants.driver.believes_while_connected;
        let waits = self.window.iter().any(|(seq, kept)| kept.is_open() && self.deed(*seq).changes_names());
        let Some(lease) = self.leases.lease().filter(|lease| lease.believed(now, forever)) else { return };
        let (dir, name) = (lease.dir, lease.next);
        if waits || name > NAMES || self.leases.spares.is_empty() {
            return;
        }
        let Some(id) = self.leases.spares.pop_front() else { return };
        if let Some(lease) = self.leases.lease() {
            lease.next += 1;
        }
        self.leases.told.insert((dir, name), id);
        self.leases.born.push_back(Deed::Birth { dir, name, id });
        out.stats.births += 1;
        out.say(format_args!("client {} tells its program of {name} in {dir}", self.n));
        let moment = out.now;
        out.births().told(self.n, (dir, name), (self.leases.clock, now + BELIEF_US), moment);
    }

    /// The next request that has to do with leases, if it is to be one.
    pub fn deed_of_leases(&mut self, out: &mut Outside) -> Option<Deed> {
        let leaves = self.leases.lease().filter(|lease| lease.leaves).map(|lease| lease.dir);
        let first = out.setup.mutants.driver.gives_back_first || self.leases.born.is_empty();
        if let Some(dir) = leaves.filter(|_| first) {
            self.leases.own = Own::None;
            return Some(Deed::GiveBack { dir });
        }
        if !self.leases.born.is_empty() && (self.quiet || !out.rng.one_in(3)) {
            return self.leases.born.pop_front();
        }
        if let Some(visit) = self.leases.visit.take() {
            return Some(visit);
        }
        match self.leases.own {
            _ if self.quiet || self.leases.is_devoted() => None,
            Own::None if out.rng.one_in(8) => {
                self.leases.own = Own::Coming(self.next);
                Some(Deed::MakeDir(self.next))
            }
            Own::Empty { dir, version } if out.rng.one_in(2) => {
                let sent = self.leases.clock.at(out.now);
                self.leases.own = Own::Leased(Lease::new(dir, sent, out.rng.one_in(4)));
                Some(Deed::Lease { dir, version })
            }
            _ if out.rng.one_in(5) => self.visit(out),
            _ => None,
        }
    }

    /// A file in a directory of somebody else, perhaps behind a change of that directory which waits for no lease.
    fn visit(&mut self, out: &mut Outside) -> Option<Deed> {
        let mine = self.leases.own;
        let is_mine = |dir: &InodeId| match mine {
            Own::Empty { dir: own, .. } | Own::Leased(Lease { dir: own, .. }) => own == *dir,
            Own::None | Own::Coming(_) => false,
        };
        let all = out.births.newest().to_vec();
        let dir = *all.get(out.rng.below(all.len().max(1) as u64) as usize).filter(|dir| !is_mine(dir))?;
        let guest = Deed::Guest { dir, name: out.rng.within(1, NAMES) };
        if out.rng.one_in(3) {
            self.leases.visit = Some(guest);
            return Some(Deed::Touch { dir });
        }
        Some(guest)
    }

    /// A request is carried out.
    pub fn leases_hear(&mut self, seq: u64, done: &Done, out: &mut Outside) {
        let (now, driver) = (out.now, out.setup.mutants.driver);
        self.leases.spare(done.spare);
        match self.deed(seq) {
            Deed::MakeDir(_) => self.leases.made(seq, done.attr, driver.old_directory_is_empty),
            Deed::Lease { dir, .. } => self.leases.had(dir, now, driver.believes_from_answer),
            Deed::Birth { dir, name, .. } => {
                out.births().made(self.n, (dir, name), self.leases.clock, now);
            }
            Deed::Guest { dir, name } => {
                out.stats.guests += 1;
                out.say(format_args!("client {} has made {name} in {dir}", self.n));
                self.leases.told.insert((dir, name), done.id);
                out.births().made(self.n, (dir, name), self.leases.clock, now);
            }
            _ => {}
        }
    }

    /// Whether a request that has to do with leases may be refused so: another client was there first. After power cuts of too
    /// many, or an operator's decision, directories may be gone.
    pub fn may_be_refused(&self, deed: Deed, why: Refusal, out: &Outside) -> bool {
        let gone = why == Refusal::Stale && (out.oracle.lossy || out.oracle.was_overruled());
        match deed {
            Deed::Lease { .. } => matches!(why, Refusal::Stale | Refusal::Locked),
            Deed::Birth { .. } | Deed::Guest { .. } => gone || why == Refusal::Exists,
            Deed::Touch { .. } => gone,
            _ => false,
        }
    }

    pub fn leases_refused(&mut self, seq: u64, out: &mut Outside) {
        match self.deed(seq) {
            Deed::Lease { dir, .. } => self.leases.not_had(dir),
            Deed::Birth { dir, name, id } => {
                out.stats.stillbirths += 1;
                out.births().refused(self.n, (dir, name));
                self.leases.told.remove(&(dir, name));
                self.leases.stillborn.push(id);
            }
            Deed::Guest { dir, name } if self.told_by(seq, (dir, name)) => {
                self.leases.told.remove(&(dir, name));
            }
            _ => {}
        }
    }

    /// Whether it was this request that made what programs were told of: another one may have, before.
    fn told_by(&self, seq: u64, place: Place) -> bool {
        let told = self.leases.told.get(&place);
        matches!(self.window.get(&seq), Some(Kept::Answered { id }) if Some(id) == told)
    }

    /// What programs were told of, and was not refused, is there once and under the identity that it was given.
    pub fn check_births(&self, tree: &MemTree) {
        let n = self.n;
        for ((dir, name), id) in &self.leases.told {
            let there = tree.child(*dir, &child(*name)).expect("a tree in memory");
            assert_eq!(there, Some(*id), "client {n} told its program of {name} in {dir}");
            let names = tree.node(*id).map(|node| node.names);
            assert_eq!(names, Some(1), "client {n} told its program of {name} in {dir}");
        }
        let is = self.leases.stillborn.iter().find(|id| tree.node(**id).is_some());
        assert_eq!(is, None, "client {n} was refused a file that is there");
    }
}
