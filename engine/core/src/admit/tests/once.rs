//! Exactly once: mounts that send again after every accident, leaders that change at any point, tails that are cut off, and
//! power losses that take back all that was not durable.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use rfs_model::client::{Done, Mutation};
use rfs_model::hello::OpenInode;
use rfs_model::op::Stamped;
use rfs_model::{FileKind, Index, InodeId, Op, Refusal, Seq, SessionId, Term, Timestamp};

use super::rig::{make, name};
use crate::admit::{Attach, Front, Limits, Received, Verdict};
use crate::sessions::Outcome;
use crate::testing::{MemTree, Rng};

const SESSIONS: [SessionId; 3] = [SessionId([1; 16]), SessionId([2; 16]), SessionId([3; 16])];
type Answer = Result<Done, Refusal>;

/// A brick: its front and tree at one applied index.
#[derive(Clone)]
struct Brick {
    front: Front,
    tree: MemTree,
    applied: usize,
}

impl Brick {
    fn apply(&mut self, record: Option<&Stamped>) -> Option<(SessionId, Seq, Outcome)> {
        self.applied += 1;
        let index = Index(self.applied as u64);
        let Some(stamped) = record else {
            self.front.skip(index);
            return None;
        };
        self.tree.apply(index, stamped).unwrap();
        self.front.apply(index, stamped).unwrap().answer
    }
}

struct Kept {
    op: Mutation,
    answer: Option<Answer>,
}

/// A mount with its retained window.
#[derive(Default)]
struct Mount {
    window: BTreeMap<Seq, Kept>,
    sent: u64,
    /// Answers on the wire.
    wire: VecDeque<(Seq, Answer)>,
    answers: BTreeMap<Seq, Answer>,
    appends: Vec<Seq>,
    /// Inodes that programs have open.
    held: Vec<InodeId>,
}

impl Mount {
    fn lowest(&self) -> Seq {
        self.window.keys().next().copied().unwrap_or(Seq(self.sent + 1))
    }

    fn deliver(&mut self) {
        let Some((seq, answer)) = self.wire.pop_front() else { return };
        if let Some(kept) = self.window.get_mut(&seq)
            && kept.answer.is_none()
        {
            kept.answer = Some(answer);
            self.answers.insert(seq, answer);
            if let (Mutation::Make { open: true, .. }, Ok(done)) = (&kept.op, answer) {
                self.held.push(done.id);
            }
        }
    }

    fn durable(&mut self, through: Seq) {
        while let Some(first) = self.window.first_entry()
            && *first.key() <= through
            && first.get().answer.is_some()
        {
            first.remove();
        }
    }

    /// What is sent after a reconnection.
    fn again(&self) -> Vec<(Seq, Mutation)> {
        let again = |(seq, kept): (&Seq, &Kept)| {
            let mut op = kept.op.clone();
            match (&mut op, kept.answer) {
                (_, Some(Err(_))) => op = Mutation::Void {},
                (Mutation::Make { as_id, open, .. }, Some(Ok(done))) => (*as_id, *open) = (done.id, false),
                _ => {}
            }
            (*seq, op)
        };
        self.window.iter().map(again).collect()
    }
}

struct World {
    rng: Rng,
    /// Record i has index i + 1; `None` is a leader's first.
    log: Vec<Option<Stamped>>,
    committed: usize,
    durable: usize,
    term: u64,
    leader: Brick,
    follower: Brick,
    checkpoint: Brick,
    mounts: BTreeMap<SessionId, Mount>,
    shared: InodeId,
    /// Power can be lost in this history.
    power: bool,
    accidents: [u64; 3],
}

impl World {
    fn new(seed: u64) -> Self {
        let brick = Brick { front: Front::new(Limits::default()), tree: MemTree::default(), applied: 0 };
        let mut world = Self {
            rng: Rng::new(seed),
            log: Vec::new(),
            committed: 0,
            durable: 0,
            term: 0,
            leader: brick.clone(),
            follower: brick.clone(),
            checkpoint: brick,
            mounts: SESSIONS.iter().map(|s| (*s, Mount::default())).collect(),
            shared: InodeId::NIL,
            power: seed % 2 == 1,
            accidents: [0; 3],
        };
        world.begin_term(false);
        world.send(SESSIONS[0], make(InodeId::ROOT, "shared", FileKind::File));
        world.drain();
        world.shared = world.mounts[&SESSIONS[0]].answers[&Seq(1)].unwrap().id;
        world
    }

    /// The leader appends its first record, applies all, and the mounts attach and send again.
    fn begin_term(&mut self, resumed: bool) {
        self.term += 1;
        self.log.push(None);
        self.committed = self.log.len();
        self.leader.front.reset();
        while self.leader.applied < self.committed {
            self.leader.apply(self.log[self.leader.applied].as_ref());
        }
        self.leader.front.lead(Term(self.term), 0);
        for session in SESSIONS {
            self.connect(session, resumed);
        }
    }

    fn connect(&mut self, session: SessionId, resumed: bool) {
        let opens: Vec<OpenInode> =
            self.mounts[&session].held.iter().map(|id| OpenInode { id: *id, count: 1 }).collect();
        let attach = self.leader.front.attach(session, resumed, &Bytes::new(), &opens);
        assert!(matches!(attach, Attach::Ready | Attach::Opening), "{attach:?}");
        let mount = self.mounts.get_mut(&session).unwrap();
        mount.wire.clear();
        let lowest = mount.lowest();
        for (seq, op) in mount.again() {
            self.receive(session, seq, lowest, op);
        }
    }

    fn receive(&mut self, session: SessionId, seq: Seq, lowest: Seq, op: Mutation) {
        match self.leader.front.receive(session, seq, lowest, op).unwrap() {
            Received::Known(outcome) => self.reply(session, seq, outcome),
            Received::Queued | Received::OnItsWay(_) => {}
        }
    }

    fn reply(&mut self, session: SessionId, seq: Seq, outcome: Outcome) {
        let answer = outcome.answer(&self.leader.tree).unwrap();
        self.mounts.get_mut(&session).unwrap().wire.push_back((seq, answer));
    }

    fn send(&mut self, session: SessionId, op: Mutation) {
        let mount = self.mounts.get_mut(&session).unwrap();
        mount.sent += 1;
        let seq = Seq(mount.sent);
        if matches!(op, Mutation::Append { .. }) {
            mount.appends.push(seq);
        }
        mount.window.insert(seq, Kept { op: op.clone(), answer: None });
        let lowest = mount.lowest();
        self.receive(session, seq, lowest, op);
    }

    fn mutate(&mut self) {
        let session = *self.rng.pick(&SESSIONS);
        let seq = self.mounts[&session].sent + 1;
        let contested = *self.rng.pick(&["x", "y"]);
        let op = match self.rng.below(6) {
            0..3 => Mutation::Append { id: self.shared, data: marker(session, Seq(seq)) },
            3 => {
                let mut op = make(InodeId::ROOT, contested, FileKind::File);
                if let Mutation::Make { open, .. } = &mut op {
                    *open = self.rng.one_in(2);
                }
                op
            }
            4 => Mutation::Unlink { parent: InodeId::ROOT, name: name(contested), dir: false },
            _ => {
                let mut op = make(InodeId::ROOT, "", FileKind::File);
                if let Mutation::Make { name, .. } = &mut op {
                    *name = marker(session, Seq(seq));
                }
                op
            }
        };
        self.send(session, op);
    }

    fn admit(&mut self) -> bool {
        let next = Index(self.log.len() as u64 + 1);
        let now = Timestamp { secs: self.log.len() as i64, nanos: 0 };
        match self.leader.front.admit_next(&self.leader.tree, now, next).unwrap() {
            Some(Verdict::Record(stamped)) => self.log.push(Some(stamped)),
            Some(Verdict::Answer { session, seq, outcome }) => self.reply(session, seq, outcome),
            None => return false,
        }
        true
    }

    fn apply(&mut self) -> bool {
        if self.leader.applied == self.committed {
            return false;
        }
        if let Some((session, seq, outcome)) = self.leader.apply(self.log[self.leader.applied].as_ref()) {
            self.reply(session, seq, outcome);
        }
        true
    }

    fn sync(&mut self, through: usize) {
        self.durable = self.durable.max(through);
        for session in SESSIONS {
            let seq = self.leader.front.durable_seq(session, Index(self.durable as u64));
            self.mounts.get_mut(&session).unwrap().durable(seq);
        }
    }

    fn step(&mut self) {
        match self.rng.below(200) {
            0..60 => self.mutate(),
            60..110 => {
                self.admit();
            }
            110..130 => {
                let more = self.rng.below(1 + (self.log.len() - self.committed) as u64) as usize;
                self.committed += more;
            }
            130..160 => {
                self.apply();
            }
            160..170 if self.follower.applied < self.committed => {
                self.follower.apply(self.log[self.follower.applied].as_ref());
            }
            170..185 => {
                let session = *self.rng.pick(&SESSIONS);
                self.mounts.get_mut(&session).unwrap().deliver();
            }
            185..190 => {
                let through = self.rng.below(1 + self.leader.applied as u64) as usize;
                self.sync(through);
            }
            190..193 if self.leader.applied <= self.durable => {
                self.checkpoint = self.leader.clone();
                let bytes = Bytes::from(self.checkpoint.front.snapshot());
                self.checkpoint.front = Front::restore(Limits::default(), &bytes).unwrap();
            }
            193..196 => self.reconnect(),
            196 => self.change_leader(),
            197 if self.power && self.rng.one_in(3) => self.lose_power(),
            198 => self.release(),
            _ => {}
        }
    }

    fn release(&mut self) {
        let session = *self.rng.pick(&SESSIONS);
        if let Some(id) = self.mounts.get_mut(&session).unwrap().held.pop() {
            self.leader.front.release(session, id);
        }
    }

    /// Open files outlive their names, and go when they are closed.
    fn check_held(&mut self) {
        for (session, mount) in &mut self.mounts {
            for id in std::mem::take(&mut mount.held) {
                assert!(self.leader.tree.node(id).is_some(), "{id} is open");
                self.leader.front.release(*session, id);
            }
        }
        self.drain();
        assert!(self.leader.front.state().orphans().is_empty());
        let nameless = |(id, n): (&InodeId, &crate::testing::Node)| *id != InodeId::ROOT && n.names == 0;
        assert!(!self.leader.tree.nodes().iter().any(nameless));
    }

    fn reconnect(&mut self) {
        self.accidents[0] += 1;
        let session = *self.rng.pick(&SESSIONS);
        self.leader.front.detach(session);
        self.connect(session, true);
    }

    /// The other brick leads on, with any part of the uncommitted tail.
    fn change_leader(&mut self) {
        self.accidents[1] += 1;
        let keep = self.rng.below(1 + (self.log.len() - self.committed) as u64) as usize;
        self.log.truncate(self.committed + keep);
        std::mem::swap(&mut self.leader, &mut self.follower);
        self.follower.front.reset();
        self.begin_term(true);
    }

    /// Only what is durable is left of the log, and of each tree what the checkpoint has.
    fn lose_power(&mut self) {
        self.accidents[2] += 1;
        self.log.truncate(self.durable);
        self.committed = self.durable;
        assert!(self.checkpoint.applied <= self.durable);
        self.leader = self.checkpoint.clone();
        self.follower = self.checkpoint.clone();
        self.begin_term(true);
    }

    fn drain(&mut self) {
        loop {
            let admitted = self.admit();
            self.committed = self.log.len();
            if !self.apply() && !admitted {
                break;
            }
        }
        for mount in self.mounts.values_mut() {
            while !mount.wire.is_empty() {
                mount.deliver();
            }
        }
        self.sync(self.log.len());
    }

    fn check(&self) {
        for (session, mount) in &self.mounts {
            assert!(mount.window.is_empty(), "all is answered and durable");
            assert_eq!(mount.answers.len() as u64, mount.sent);
            let recorded = self.log.iter().flatten().filter(|s| s.session == *session && s.seq > Seq::ZERO);
            let seqs: Vec<Seq> = recorded.clone().map(|s| s.seq).collect();
            assert!(seqs.is_sorted_by(|a, b| a < b), "once, and in order");
            for stamped in recorded {
                let answer = mount.answers[&stamped.seq];
                match (&stamped.op, answer) {
                    (_, Err(why)) => panic!("refused ({why}) and done: {stamped:?}"),
                    (Op::Make { id, .. }, Ok(done)) => {
                        assert_eq!(done.id, *id, "an identity that was told stays")
                    }
                    _ => {}
                }
            }
        }
        let data = self.leader.tree.read(self.shared, 0, 1 << 20).unwrap();
        let mut want: Vec<(SessionId, Seq)> =
            self.mounts.iter().flat_map(|(s, m)| m.appends.iter().map(|seq| (*s, *seq))).collect();
        let mut got: Vec<_> = data.chunks(5).map(unmark).collect();
        for session in SESSIONS {
            assert!(
                got.iter().filter(|(s, _)| *s == session).is_sorted(),
                "a session's appends are in order"
            );
        }
        got.sort();
        want.sort();
        assert_eq!(got, want, "each append is there once");
    }
}

/// Five bytes that can be a name as well.
fn marker(session: SessionId, seq: Seq) -> Bytes {
    format!("{}{:04}", session.0[0], seq.0).into()
}

fn unmark(chunk: &[u8]) -> (SessionId, Seq) {
    let number: u64 = std::str::from_utf8(chunk).unwrap().parse().unwrap();
    (SessionId([(number / 10_000) as u8; 16]), Seq(number % 10_000))
}

#[test]
fn every_request_is_carried_out_once() {
    let mut accidents = [0; 3];
    for seed in 0..200 {
        let run = || {
            let mut world = World::new(seed);
            for _ in 0..1500 {
                world.step();
            }
            world.drain();
            world.check();
            if !world.power {
                world.check_held();
            }
            world.accidents
        };
        match std::panic::catch_unwind(run) {
            Ok(seen) => accidents.iter_mut().zip(seen).for_each(|(sum, n)| *sum += n),
            Err(why) => {
                eprintln!("seed {seed} fails");
                std::panic::resume_unwind(why);
            }
        }
    }
    assert!(accidents.iter().all(|n| *n > 100), "{accidents:?}");
}
