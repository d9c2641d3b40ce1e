//! A mount's session: numbered requests in order, kept until they are durable, sent again to each new leader.

mod deed;
mod lease;

use std::collections::BTreeMap;

use bytes::Bytes;
use rfs_core::testing::MemTree;
use rfs_model::client::{Mutation, Query, ToBrick, ToMount};
use rfs_model::{Index, InodeId, Refusal, Seq};

use self::deed::{Deed, name};
use self::lease::Leases;
use crate::clock::Clock;
use crate::net::CLIENTS;
use crate::outside::{Event, Heard, Item, Outside};

/// Requests that wait to become durable at the most.
const WINDOW: usize = 24;
/// Silence after which a connection is given up, microseconds.
const SILENCE_US: u64 = 800_000;

/// A machine that stood still hears what came meanwhile only after what its programs do at once, microseconds.
const DEAF_US: u64 = 30_000;

/// What the client knows of a request that it keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    Unanswered,
    Answered {
        id: InodeId,
    },
    /// The number stays used; the request is not judged again.
    Refused,
}

impl Kept {
    fn is_open(self) -> bool {
        self == Self::Unanswered
    }
}

#[derive(Debug)]
pub struct Client {
    n: usize,
    pub alive: bool,
    /// It begins nothing new.
    pub quiet: bool,
    conn: Option<u64>,
    ready: bool,
    resumed: bool,
    target: usize,
    heard_us: u64,
    /// Until then its machine stands still.
    pub frozen_until: u64,
    next: u64,
    /// What each request does, from the first one on.
    deeds: Vec<Deed>,
    /// Requests that have nothing to do with leases, so far.
    turn: u64,
    leases: Leases,
    window: BTreeMap<u64, Kept>,
    file: InodeId,
    /// The newest request that was answered and has a record; all such before it are carried out too.
    pub answered: u64,
    pub durable: u64,
    /// An operator has abandoned some of its requests.
    pub forsaken: bool,
}

impl Client {
    #[must_use]
    pub fn new(n: usize, clock: Clock) -> Self {
        Self {
            n,
            alive: true,
            quiet: false,
            conn: None,
            ready: false,
            resumed: false,
            target: 0,
            heard_us: 0,
            frozen_until: 0,
            next: 1,
            deeds: Vec::new(),
            turn: 0,
            leases: Leases::new(clock),
            window: BTreeMap::new(),
            file: InodeId::NIL,
            answered: 0,
            durable: 0,
            forsaken: false,
        }
    }

    /// Nothing is left to be sent or waited for.
    #[must_use]
    pub fn is_done(&self) -> bool {
        !self.alive || self.window.is_empty() && self.next > 1 && self.leases.is_done()
    }

    #[must_use]
    pub fn n(&self) -> usize {
        self.n
    }

    /// Its file, and how many bytes of it it knows to be written.
    #[must_use]
    pub fn has_written(&self) -> Option<(InodeId, u64)> {
        let appended = (2..=self.answered).filter(|seq| self.deed(*seq) == Deed::Append).count() as u64;
        (appended > 0).then_some((self.file, 8 * appended))
    }

    pub fn disconnect(&mut self, out: &mut Outside) {
        if let Some(conn) = self.conn.take() {
            out.hang_up(conn);
        }
        self.ready = false;
        self.leases.lost();
    }

    fn give_up(&mut self, out: &mut Outside) {
        self.disconnect(out);
        self.target = (self.target + 1) % out.setup.bricks;
    }

    pub fn turn_to(&mut self, brick: usize, out: &mut Outside) {
        self.disconnect(out);
        self.target = brick;
    }

    pub fn wake(&mut self, out: &mut Outside) {
        if !self.alive {
            return;
        }
        if self.frozen_until > out.now {
            // Others' silence is no evidence to one who was not there to hear.
            self.heard_us = self.frozen_until;
            return out.after(self.frozen_until - out.now, Event::Wake { client: self.n });
        }
        let pause = out.rng.within(2_000, 2 * out.setup.pace_us);
        out.after(pause, Event::Wake { client: self.n });
        let silent = out.now >= self.heard_us + SILENCE_US;
        match self.conn {
            None => self.dial(out),
            Some(_) if silent => self.give_up(out),
            Some(conn) if self.ready => self.work(conn, out),
            Some(_) => {}
        }
    }

    fn dial(&mut self, out: &mut Outside) {
        match out.connect(self.n, self.target) {
            Some(conn) => {
                (self.conn, self.ready, self.heard_us) = (Some(conn), false, out.now);
                out.to_brick(conn, Item::Hello { client: self.n, conn, resumed: self.resumed });
            }
            None => self.target = (self.target + 1) % out.setup.bricks,
        }
    }

    fn work(&mut self, conn: u64, out: &mut Outside) {
        if out.setup.leases {
            self.keep_leases(conn, out);
        }
        // Each client gets something done: the volume serves.
        let most = if self.quiet { u64::from(self.next == 1) } else { out.rng.within(0, 3) };
        for _ in 0..most {
            if self.window.len() >= WINDOW || self.next > 1 && self.file == InodeId::NIL {
                break;
            }
            let of_leases = if out.setup.leases && self.turn > 0 { self.deed_of_leases(out) } else { None };
            if of_leases.is_none() && self.leases.is_devoted() {
                break;
            }
            let deed = of_leases.unwrap_or_else(|| {
                self.turn += 1;
                Deed::ordinary(self.turn)
            });
            self.begin(conn, deed, out);
        }
        if out.rng.one_in(if self.quiet { 2 } else { 8 }) {
            let seq = Seq(self.next - 1);
            let message = ToBrick::Query { tag: 1, at: Index::ZERO, op: Query::Sync { seq } };
            out.to_brick(conn, Item::Client { conn, message: Box::new(message) });
        }
    }

    fn begin(&mut self, conn: u64, deed: Deed, out: &mut Outside) {
        self.deeds.push(deed);
        self.window.insert(self.next, Kept::Unanswered);
        self.send(conn, self.next, out);
        self.next += 1;
    }

    fn lowest_kept(&self) -> Seq {
        Seq(self.window.first_key_value().map_or(self.next, |(seq, _)| *seq))
    }

    fn send(&mut self, conn: u64, seq: u64, out: &mut Outside) {
        let op = match self.window.get(&seq) {
            Some(Kept::Answered { id }) => self.mutation(seq, *id),
            Some(Kept::Refused) => Mutation::Void {},
            Some(Kept::Unanswered) | None => self.mutation(seq, InodeId::NIL),
        };
        if self.deed(seq) == Deed::Unlock {
            out.oracle.unlocks(self.n);
        }
        let message = ToBrick::Mutate { seq: Seq(seq), lowest_kept: self.lowest_kept(), op };
        out.to_brick(conn, Item::Client { conn, message: Box::new(message) });
    }

    fn deed(&self, seq: u64) -> Deed {
        self.deeds[seq as usize - 1]
    }

    fn mutation(&self, seq: u64, told: InodeId) -> Mutation {
        self.deed(seq).mutation(self.n, seq, self.file, told)
    }

    pub fn heard(&mut self, conn: u64, heard: Heard, out: &mut Outside) {
        if self.conn != Some(conn) || !self.alive {
            return;
        }
        let hears_from = self.frozen_until + DEAF_US;
        if self.frozen_until > 0 && hears_from > out.now {
            return out.after(hears_from - out.now, Event::Heard { client: self.n, conn, heard });
        }
        self.heard_us = out.now;
        match heard {
            Heard::Welcome => {
                (self.ready, self.resumed) = (true, true);
                let window: Vec<u64> = self.window.keys().copied().collect();
                let again = !out.setup.mutants.driver.window_not_resent;
                let window = if again { window } else { Vec::new() };
                window.into_iter().for_each(|seq| self.send(conn, seq, out));
            }
            Heard::Elsewhere(brick) => {
                self.give_up(out);
                self.target = brick.unwrap_or(self.target);
            }
            // Of two lineages that serve at once, the older one does not know it.
            Heard::Expired if out.oracle.was_overruled() => {
                (self.alive, self.forsaken, out.oracle.forsaken) = (false, true, true);
                out.births.forget(self.n);
            }
            Heard::Expired => panic!("client {} is told that its session has ended", self.n),
            Heard::Closed => self.give_up(out),
            Heard::Message(message) if *message == ToMount::NotLeader => self.give_up(out),
            Heard::Message(message) => self.message(*message, out),
        }
    }

    fn message(&mut self, message: ToMount, out: &mut Outside) {
        match message {
            ToMount::Done { seq, done } => {
                if let Some(kept) = self.window.get_mut(&seq.0) {
                    match *kept {
                        // To give back what one does not have leaves no trace, and names nothing.
                        Kept::Answered { id }
                            if done.id != InodeId::NIL || self.deeds[seq.0 as usize - 1] == Deed::Append =>
                        {
                            assert_eq!(id, done.id, "client {}: request {seq} has another inode", self.n);
                        }
                        // A place that is kept.
                        Kept::Refused | Kept::Answered { .. } => return,
                        Kept::Unanswered => {}
                    }
                    *kept = Kept::Answered { id: done.id };
                    self.leases_hear(seq.0, &done, out);
                }
                if seq == Seq(1) {
                    self.file = done.id;
                }
                self.locked(seq.0, out);
                self.drop_settled();
                // To give back what one does not have is answered at once, before what is on its way.
                if self.deed(seq.0).leaves_a_record() {
                    out.stats.acknowledged += u64::from(seq.0 > self.answered);
                    self.answered = self.answered.max(seq.0);
                }
            }
            ToMount::Refused { seq, why } => {
                let may = match self.deed(seq.0) {
                    Deed::Lock(_) => why == Refusal::Locked,
                    deed => self.may_be_refused(deed, why, out),
                };
                assert!(may, "client {}: request {seq} is refused: {why:?}", self.n);
                self.refused(seq, out);
            }
            ToMount::Durable { seq } => {
                assert!(seq.0 < self.next, "client {}: {seq} is durable and was never sent", self.n);
                self.durable = self.durable.max(seq.0);
                self.drop_settled();
            }
            ToMount::Recall { id } => self.leases.recalled(id),
            ToMount::Answer { tag, .. } => {
                self.leases.renewed(tag, out.now, out.setup.mutants.driver.believes_from_answer);
            }
            _ => {}
        }
    }

    /// The lock is this client's from here on, unless it has been given back already.
    fn locked(&mut self, seq: u64, out: &mut Outside) {
        if let Deed::Lock(turn) = self.deed(seq)
            && self.turn < turn + 3
        {
            out.oracle.locks(self.n);
        }
    }

    fn refused(&mut self, seq: Seq, out: &mut Outside) {
        out.stats.refused += u64::from(matches!(self.deed(seq.0), Deed::Lock(_)));
        self.leases_refused(seq.0, out);
        if let Some(kept) = self.window.get_mut(&seq.0) {
            let known = matches!(kept, Kept::Answered { .. }) && !out.oracle.lossy;
            assert!(!known, "client {} had what request {seq} asks for, and is refused it", self.n);
            *kept = Kept::Refused;
        }
        self.drop_settled();
    }

    /// From the front only, as a mount does: what is sent again has no gaps.
    fn drop_settled(&mut self) {
        while let Some(first) = self.window.first_entry()
            && *first.key() <= self.durable
            && *first.get() != Kept::Unanswered
        {
            first.remove();
        }
    }

    /// Compares a brick's tree with what was asked for, each once and in order.
    ///
    /// # Panics
    /// When they differ.
    pub fn check(&self, tree: &MemTree, lossy: bool) {
        let held = self.appended(tree);
        let wanted: Vec<u64> = (1..self.next).filter(|seq| self.deed(*seq) == Deed::Append).collect();
        let n = self.n;
        assert!(wanted.starts_with(&held), "client {n}'s file holds {held:?}");
        let kept = if self.forsaken {
            0
        } else if self.alive {
            self.next - 1
        } else if lossy {
            self.durable
        } else {
            self.answered
        };
        let least = wanted.iter().filter(|seq| **seq <= kept).count();
        assert!(held.len() >= least, "client {n} lost what it was told is done: {held:?}, {kept} asked");
        if self.alive {
            self.check_names(tree);
            self.check_births(tree);
        }
    }

    fn appended(&self, tree: &MemTree) -> Vec<u64> {
        let Some(content) = tree.read(self.file, 0, 1 << 20) else { return Vec::new() };
        let numbers = content.chunks(8).map(|chunk| chunk.try_into().map_or(0, u64::from_le_bytes));
        numbers.collect()
    }

    fn check_names(&self, tree: &MemTree) {
        let mut wanted = std::collections::BTreeSet::new();
        for seq in 1..self.next {
            match self.deed(seq) {
                Deed::MakeFile => _ = wanted.insert(name('f', self.n, 0)),
                Deed::Make(of) => _ = wanted.insert(name('c', self.n, of)),
                Deed::Rename(of) => {
                    wanted.remove(&name('c', self.n, of));
                    wanted.insert(name('r', self.n, of));
                }
                Deed::Unlink(of) => _ = wanted.remove(&name('r', self.n, of)),
                Deed::MakeDir(of) => _ = wanted.insert(name('d', self.n, of)),
                _ => {}
            }
        }
        let Some(rfs_core::testing::Body::Dir { entries, .. }) =
            tree.node(InodeId::ROOT).map(|node| &node.body)
        else {
            panic!("the root is no directory")
        };
        let mine = |name: &&Bytes| name.get(1..).is_some_and(|rest| rest.starts_with(self.tag().as_bytes()));
        let held: Vec<&Bytes> = entries.keys().filter(mine).collect();
        assert_eq!(held, wanted.iter().collect::<Vec<_>>(), "client {}'s names", self.n);
    }

    fn tag(&self) -> String {
        format!("{}-", self.n)
    }

    /// As a party of the network.
    #[must_use]
    pub fn party(&self) -> usize {
        CLIENTS + self.n
    }
}
