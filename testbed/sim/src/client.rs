//! A mount's session: numbered requests in order, kept until they are durable, sent again to each new leader.

use std::collections::BTreeMap;

use bytes::Bytes;
use rfs_core::testing::MemTree;
use rfs_model::client::{Mutation, Query, ToBrick, ToMount};
use rfs_model::op::{LockKind, LockRange};
use rfs_model::{FileKind, Index, InodeId, Refusal, Seq};

use crate::net::CLIENTS;
use crate::outside::{Event, Heard, Item, Outside};

/// Requests that wait to become durable at the most.
const WINDOW: usize = 24;
/// Silence after which a connection is given up, microseconds.
const SILENCE_US: u64 = 800_000;

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
    next: u64,
    window: BTreeMap<u64, Kept>,
    file: InodeId,
    /// The newest request that was answered and has a record; all such before it are carried out too.
    pub answered: u64,
    pub durable: u64,
    /// An operator has abandoned some of its requests.
    pub forsaken: bool,
}

fn name(prefix: char, client: usize, seq: u64) -> Bytes {
    format!("{prefix}{client}-{seq}").into()
}

/// What request `seq` does besides appending its number to the client's file.
enum Deed {
    MakeFile,
    Make(u64),
    Rename(u64),
    Unlink(u64),
    /// All of the root directory, against the other clients.
    Lock,
    Unlock,
    Append,
}

fn deed(seq: u64) -> Deed {
    match seq % 10 {
        _ if seq == 1 => Deed::MakeFile,
        0 | 5 => Deed::Make(seq),
        2 | 7 if seq > 6 => Deed::Rename(seq - 2),
        4 if seq > 10 => Deed::Unlink(seq - 4),
        6 if seq % 30 == 6 => Deed::Lock,
        9 if seq % 30 == 9 => Deed::Unlock,
        _ => Deed::Append,
    }
}

impl Client {
    #[must_use]
    pub fn new(n: usize) -> Self {
        Self {
            n,
            alive: true,
            quiet: false,
            conn: None,
            ready: false,
            resumed: false,
            target: 0,
            heard_us: 0,
            next: 1,
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
        !self.alive || self.window.is_empty() && self.next > 1
    }

    /// Its file, and how many bytes of it it knows to be written.
    #[must_use]
    pub fn has_written(&self) -> Option<(InodeId, u64)> {
        let appended = (2..=self.answered).filter(|seq| matches!(deed(*seq), Deed::Append)).count() as u64;
        (appended > 0).then_some((self.file, 8 * appended))
    }

    pub fn disconnect(&mut self, out: &mut Outside) {
        if let Some(conn) = self.conn.take() {
            out.hang_up(conn);
        }
        self.ready = false;
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
        // Each client gets something done: the volume serves.
        let most = if self.quiet { u64::from(self.next == 1) } else { out.rng.within(0, 3) };
        for _ in 0..most {
            if self.window.len() >= WINDOW || self.next > 1 && self.file == InodeId::NIL {
                break;
            }
            self.window.insert(self.next, Kept::Unanswered);
            self.send(conn, self.next, out);
            self.next += 1;
        }
        if out.rng.one_in(if self.quiet { 2 } else { 8 }) {
            let seq = Seq(self.next - 1);
            let message = ToBrick::Query { tag: 1, at: Index::ZERO, op: Query::Sync { seq } };
            out.to_brick(conn, Item::Client { conn, message: Box::new(message) });
        }
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
        if matches!(op, Mutation::Unlock { .. }) {
            out.oracle.unlocks(self.n);
        }
        let message = ToBrick::Mutate { seq: Seq(seq), lowest_kept: self.lowest_kept(), op };
        out.to_brick(conn, Item::Client { conn, message: Box::new(message) });
    }

    fn mutation(&self, seq: u64, told: InodeId) -> Mutation {
        let root = InodeId::ROOT;
        let make = |name: Bytes| Mutation::Make {
            parent: root,
            name,
            kind: FileKind::File,
            mode: 0o644,
            umask: 0o022,
            uid: 1,
            gid: 1,
            rdev: 0,
            target: Bytes::new(),
            as_id: told,
            open: false,
        };
        match deed(seq) {
            Deed::MakeFile => make(name('f', self.n, 0)),
            Deed::Make(of) => make(name('c', self.n, of)),
            Deed::Rename(of) => Mutation::Rename {
                from: root,
                from_name: name('c', self.n, of),
                to: root,
                to_name: name('r', self.n, of),
                flags: 0,
            },
            Deed::Unlink(of) => Mutation::Unlink { parent: root, name: name('r', self.n, of), dir: false },
            Deed::Lock => {
                let range = LockRange { kind: LockKind::Exclusive, start: 0, end: u64::MAX, pid: 1 };
                Mutation::Lock { id: root, owner: 1, range }
            }
            Deed::Unlock => Mutation::Unlock { id: root, owner: 1 },
            Deed::Append => {
                Mutation::Append { id: self.file, data: Bytes::copy_from_slice(&seq.to_le_bytes()) }
            }
        }
    }

    pub fn heard(&mut self, conn: u64, heard: Heard, out: &mut Outside) {
        if self.conn != Some(conn) || !self.alive {
            return;
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
                            if done.id != InodeId::NIL || matches!(deed(seq.0), Deed::Append) =>
                        {
                            assert_eq!(id, done.id, "client {}: request {seq} has another inode", self.n);
                        }
                        // A place that is kept.
                        Kept::Refused | Kept::Answered { .. } => return,
                        Kept::Unanswered => {}
                    }
                    *kept = Kept::Answered { id: done.id };
                }
                if seq == Seq(1) {
                    self.file = done.id;
                }
                self.locked(seq.0, out);
                self.drop_settled();
                // To give back what one does not have is answered at once, before what is on its way.
                if !matches!(deed(seq.0), Deed::Lock | Deed::Unlock) {
                    out.stats.acknowledged += u64::from(seq.0 > self.answered);
                    self.answered = self.answered.max(seq.0);
                }
            }
            ToMount::Refused { seq, why } => {
                let lock = why == Refusal::Locked && matches!(deed(seq.0), Deed::Lock);
                assert!(lock, "client {}: request {seq} is refused: {why:?}", self.n);
                self.refused(seq, out);
            }
            ToMount::Durable { seq } => {
                assert!(seq.0 < self.next, "client {}: {seq} is durable and was never sent", self.n);
                self.durable = self.durable.max(seq.0);
                self.drop_settled();
            }
            _ => {}
        }
    }

    /// The lock is this client's from here on, unless it has been given back already.
    fn locked(&mut self, seq: u64, out: &mut Outside) {
        if matches!(deed(seq), Deed::Lock) && self.next <= seq + 3 {
            out.oracle.locks(self.n);
        }
    }

    fn refused(&mut self, seq: Seq, out: &mut Outside) {
        out.stats.refused += 1;
        if let Some(kept) = self.window.get_mut(&seq.0) {
            let known = matches!(kept, Kept::Answered { .. }) && !out.oracle.lossy;
            assert!(!known, "client {} had the lock of request {seq}, and is refused it", self.n);
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
        let wanted: Vec<u64> = (1..self.next).filter(|seq| matches!(deed(*seq), Deed::Append)).collect();
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
            match deed(seq) {
                Deed::MakeFile => _ = wanted.insert(name('f', self.n, 0)),
                Deed::Make(of) => _ = wanted.insert(name('c', self.n, of)),
                Deed::Rename(of) => {
                    wanted.remove(&name('c', self.n, of));
                    wanted.insert(name('r', self.n, of));
                }
                Deed::Unlink(of) => _ = wanted.remove(&name('r', self.n, of)),
                Deed::Lock | Deed::Unlock | Deed::Append => {}
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
