//! Random histories of several sessions, with records applied late, against the [`Reference`].

use std::collections::BTreeMap;

use bytes::Bytes;
use rfs_model::client::{Mutation, WantAttr};
use rfs_model::op::{Allocate, LockKind, LockRange};
use rfs_model::{FileKind, Index, InodeId, Op, Seq, SessionId};

use super::reference::Reference;
use super::rig::*;
use crate::acl;
use crate::admit::{Limits, Verdict};
use crate::sessions::Outcome;
use crate::testing::{Body, Rng};

const LINKS: u32 = 3;
const NAMES: [&str; 4] = ["a", "b", "c", "d"];
/// user::rwx, user:5:rwx, group::r-x, mask::rwx, other::rw-
const LIST: &[u8] = &[
    2, 0, 0, 0, 1, 0, 7, 0, 255, 255, 255, 255, 2, 0, 7, 0, 5, 0, 0, 0, 4, 0, 5, 0, 255, 255, 255, 255, 16,
    0, 7, 0, 255, 255, 255, 255, 32, 0, 6, 0, 255, 255, 255, 255,
];

struct Model {
    rig: Rig,
    reference: Reference,
    rng: Rng,
    /// What each request asked for.
    asked: BTreeMap<(SessionId, Seq), Mutation>,
    ids: Vec<InodeId>,
    answered: u64,
    waited: u64,
    /// Mostly directories that move, and records that are applied late.
    moving: bool,
}

impl Model {
    fn new(seed: u64) -> Self {
        let mut rig = Rig::new();
        rig.front.set_limits(Limits { links: LINKS, ..Limits::default() });
        Self {
            rig,
            reference: Reference::new(LINKS as usize),
            rng: Rng::new(seed),
            asked: BTreeMap::new(),
            ids: vec![InodeId::ROOT],
            answered: 0,
            waited: 0,
            moving: seed % 3 == 2,
        }
    }

    fn id(&mut self) -> InodeId {
        // The newest ones are the most likely to be in motion.
        let recent = self.ids.len().saturating_sub(12);
        if self.rng.one_in(3) { *self.rng.pick(&self.ids) } else { *self.rng.pick(&self.ids[recent..]) }
    }

    fn dir(&mut self) -> InodeId {
        for _ in 0..4 {
            let id = self.id();
            if self.reference.files.get(&id).is_some_and(|f| f.kind == FileKind::Dir) {
                return id;
            }
        }
        if self.rng.one_in(8) { self.id() } else { InodeId::ROOT }
    }

    fn mutation(&mut self) -> Mutation {
        let text = *self.rng.pick(&NAMES);
        let (parent, id) = (self.dir(), self.id());
        let kind = match self.rng.below(100) {
            n if self.moving => [0, 44, 44, 30][n as usize % 4],
            n => n,
        };
        match kind {
            0..24 => self.make(parent, text),
            24..29 => link(id, parent, text),
            29..39 => unlink(parent, text),
            39..44 => rmdir(parent, text),
            44..58 => {
                let (to, to_text) = (self.dir(), *self.rng.pick(&NAMES));
                let flags = *self.rng.pick(&[0, 0, 0, 1, 2]);
                rename(parent, text, to, to_text, flags)
            }
            58..66 => write(id, self.rng.below(60), ["x", "yy", "zzz", ""][self.rng.below(4) as usize]),
            66..76 => append(id, ["1", "22", "333"][self.rng.below(3) as usize]),
            76..82 => Mutation::SetAttr { id, want: self.want() },
            82..86 => {
                let mode = *self.rng.pick(&[0, 1, 3, 16, 17]);
                let range = Allocate { mode, offset: self.rng.below(50), len: 1 + self.rng.below(20) };
                Mutation::Allocate { id, range }
            }
            86..92 => self.xattr(id),
            92..99 => {
                let kind = *self.rng.pick(&[LockKind::Shared, LockKind::Exclusive, LockKind::Unlock]);
                let start = self.rng.below(6);
                let range = LockRange { kind, start, end: start + self.rng.below(4), pid: 1 };
                Mutation::Lock { id, owner: self.rng.below(2), range }
            }
            _ => Mutation::Unlock { id, owner: self.rng.below(2) },
        }
    }

    fn make(&mut self, parent: InodeId, text: &'static str) -> Mutation {
        let kinds = [FileKind::File, FileKind::File, FileKind::Dir, FileKind::Dir, FileKind::Symlink];
        let mut op = make(parent, text, *self.rng.pick(&kinds));
        if let Mutation::Make { open, kind: FileKind::File, .. } = &mut op {
            *open = self.rng.one_in(3);
        }
        op
    }

    fn want(&mut self) -> WantAttr {
        let mut some = |value: u64, n| self.rng.one_in(n).then_some(value);
        WantAttr {
            mode: some(0o2710, 3).map(|m| m as u32),
            uid: some(3, 4).map(|m| m as u32),
            gid: some(4, 4).map(|m| m as u32),
            size: some(17, 2),
            ..WantAttr::default()
        }
    }

    fn xattr(&mut self, id: InodeId) -> Mutation {
        let key = *self.rng.pick(&["user.a", "user.b", "system.posix_acl_default"]);
        let value = if key.starts_with("user") { name("value") } else { Bytes::from_static(LIST) };
        match self.rng.below(4) {
            0 if key.starts_with("user") => Mutation::RemoveXattr { id, name: name(key) },
            flags => {
                Mutation::SetXattr { id, name: name(key), value, flags: (flags as u32).saturating_sub(1) }
            }
        }
    }

    fn step(&mut self) {
        match self.rng.below(10) {
            0..5 => {
                let session = *self.rng.pick(&[A, B]);
                let op = self.mutation();
                let seq = self.rig.send(session, op.clone());
                self.asked.insert((session, seq), op);
            }
            5..8 => {
                let verdict = self.rig.admit();
                let queued = [A, B].iter().any(|s| self.rig.front.progress(*s).unwrap().queued > 0);
                self.waited += u64::from(verdict.is_none() && queued);
                verdict.into_iter().for_each(|v| self.compare(&v));
            }
            8 if self.moving && !self.rng.one_in(3) => {}
            8 => {
                self.rig.apply();
            }
            _ => self.open_or_release(),
        }
    }

    fn open_or_release(&mut self) {
        let session = *self.rng.pick(&[A, B]);
        let held: Vec<InodeId> =
            self.reference.opens.keys().filter(|(s, _)| *s == session).map(|(_, id)| *id).collect();
        if !held.is_empty() && self.rng.one_in(2) {
            let id = *self.rng.pick(&held);
            self.rig.front.release(session, id);
            let times = self.reference.opens.get_mut(&(session, id)).unwrap();
            *times -= 1;
            if *times == 0 {
                self.reference.opens.remove(&(session, id));
            }
            return;
        }
        let id = self.id();
        let file = self.reference.files.get(&id).is_some_and(|f| f.kind == FileKind::File);
        // A release that is not reaped yet leaves an orphan which must not be found again.
        let named = self.reference.files.values().any(|f| f.names.values().any(|n| *n == id));
        if file && named {
            self.rig.front.open(session, id);
            *self.reference.opens.entry((session, id)).or_default() += 1;
        }
    }

    /// The reference carries out at once what was just ordered or refused.
    fn compare(&mut self, verdict: &Verdict) {
        let index = Index(self.rig.log.len() as u64);
        let (session, seq, outcome) = match verdict {
            Verdict::Answer { session, seq, outcome } => (*session, *seq, *outcome),
            Verdict::Record(stamped) if stamped.session.is_nil() => {
                let Op::Reap { id } = stamped.op else { panic!("{stamped:?}") };
                assert!(!self.reference.opens.keys().any(|(_, i)| *i == id), "reaped while open");
                self.reference.bury(id);
                return;
            }
            Verdict::Record(stamped) => (stamped.session, stamped.seq, Outcome::of(&stamped.op)),
        };
        self.answered += 1;
        let op = &self.asked[&(session, seq)];
        let new = InodeId { term: TERM, index };
        let want = self.reference.run(session, op, new);
        let got = match outcome {
            Outcome::Done { id, offset, .. } => Ok((id, offset)),
            Outcome::Refused { why } => Err(why),
        };
        assert_eq!(got, want, "record {index}: {op:?}");
        if let (Mutation::Make { .. }, Ok((id, _))) = (op, want) {
            self.ids.push(id);
        }
    }

    fn finish(&mut self) {
        loop {
            let mut moved = false;
            while let Some(verdict) = self.rig.admit() {
                self.compare(&verdict);
                moved = true;
            }
            moved |= !self.rig.apply_all().is_empty();
            if !moved {
                break;
            }
        }
        assert_eq!(self.answered, self.asked.len() as u64, "every request is answered once");
        let held: Vec<InodeId> = self.reference.files.keys().copied().collect();
        let have: Vec<InodeId> = self.rig.tree.nodes().keys().copied().collect();
        assert_eq!(have, held);
        for (id, file) in &self.reference.files {
            let node = self.rig.tree.node(*id).unwrap();
            assert_eq!(
                (node.kind, node.mode, node.uid, node.gid),
                (file.kind, file.mode, file.uid, file.gid),
                "{id}"
            );
            assert_eq!(node.xattrs, file.xattrs, "{id}");
            match &node.body {
                Body::File(content) => assert_eq!(content.read(0, 1 << 20), file.data, "{id}"),
                Body::Dir { entries, .. } => assert_eq!(*entries, file.names, "{id}"),
                Body::Symlink(target) => assert_eq!(target, &file.data),
                Body::Special => panic!("none was made"),
            }
        }
    }
}

fn history(seed: u64, steps: u64) -> (u64, u64) {
    let mut model = Model::new(seed);
    for _ in 0..steps {
        model.step();
    }
    model.finish();
    // What was replicated is what the log says, whoever replays it.
    let mut again = crate::admit::Front::new(Limits::default());
    for (i, stamped) in model.rig.log.iter().enumerate() {
        again.apply(Index(i as u64 + 1), stamped).unwrap();
    }
    assert_eq!(again.state(), model.rig.front.state());
    let bytes = Bytes::from(again.snapshot());
    let back = crate::admit::Front::restore(Limits::default(), &bytes).unwrap();
    assert_eq!(back.state(), again.state());
    let acls = model.rig.tree.nodes().values().filter(|n| n.xattrs.contains_key(acl::ACCESS)).count();
    (model.waited, acls as u64)
}

#[test]
fn random_histories_equal_the_reference() {
    let (mut waited, mut acls) = (0, 0);
    for seed in 0..600 {
        let got = std::panic::catch_unwind(|| history(seed, 600));
        match got {
            Ok((w, a)) => {
                waited += w;
                acls += a;
            }
            Err(why) => {
                eprintln!("seed {seed} fails");
                std::panic::resume_unwind(why);
            }
        }
    }
    assert!(waited > 100, "requests met pending ones: {waited}");
    assert!(acls > 10, "lists were inherited: {acls}");
}
