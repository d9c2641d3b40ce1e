//! Leases on directories.

use rfs_model::client::{Mutation, SetTime, WantAttr};
use rfs_model::limits::BELIEF_MS;
use rfs_model::op::{LEASE, LockKind, LockOwner, LockRange};
use rfs_model::{FileKind, Index, InodeId, Op, Refusal, SessionId, Term};

use super::rig::*;
use crate::admit::{Attach, TreeView, Verdict};

const ROOT: InodeId = InodeId::ROOT;

fn version(rig: &Rig, dir: InodeId) -> Index {
    rig.tree.attr(dir).unwrap().unwrap().version
}

fn lease(rig: &Rig, dir: InodeId) -> Mutation {
    Mutation::Lease { id: dir, version: version(rig, dir) }
}

fn give_back(dir: InodeId) -> Mutation {
    Mutation::Unlock { id: dir, owner: LEASE }
}

/// A has the lease on a new directory.
fn leased() -> (Rig, InodeId) {
    let mut rig = Rig::new();
    let dir = rig.dir(ROOT, "d");
    let op = lease(&rig, dir);
    rig.call(A, op).unwrap();
    (rig, dir)
}

/// Carries out all that can be. Returns how many records that were.
fn run(rig: &mut Rig) -> usize {
    let before = rig.log.len();
    while !rig.admit_all().is_empty() || !rig.apply_all().is_empty() {}
    rig.log.len() - before
}

fn recalls(rig: &mut Rig) -> Vec<(SessionId, InodeId)> {
    rig.front.take_recalls().into_iter().collect()
}

fn tick(rig: &mut Rig, from: u64, to: u64) {
    for ms in (from..=to).step_by(100) {
        [A, B].iter().for_each(|session| rig.front.heard(*session, rfs_model::Seq(1)));
        assert!(rig.front.tick(ms).is_empty());
    }
}

#[test]
fn it_is_had_by_who_knows_the_directory_as_it_is() {
    let (mut rig, dir) = leased();
    let op = lease(&rig, dir);
    assert_eq!(rig.call(B, op.clone()).map(drop), Err(Refusal::Locked));
    rig.call(A, give_back(dir)).unwrap();
    rig.file(dir, "f");
    assert_eq!(rig.call(A, op).map(drop), Err(Refusal::Stale), "of before");
    let op = lease(&rig, dir);
    assert!(rig.call(B, op).is_ok());
    let file = rig.file(ROOT, "f");
    let op = lease(&rig, file);
    assert_eq!(rig.call(A, op).map(drop), Err(Refusal::NotDirectory));
    let range = LockRange { kind: LockKind::Exclusive, start: 0, end: u64::MAX, pid: 1 };
    let lock = Mutation::Lock { id: dir, owner: LEASE, range };
    assert_eq!(rig.call(B, lock).map(drop), Err(Refusal::Invalid), "in no other way");
}

#[test]
fn others_changes_of_names_wait_until_it_is_given_back() {
    let (mut rig, dir) = leased();
    let (inner, outer) = (rig.dir(dir, "in"), rig.file(ROOT, "out"));
    rig.file(dir, "f");
    let table: [fn(InodeId, InodeId) -> Mutation; 6] = [
        |dir, _| make(dir, "x", FileKind::File),
        |dir, file| link(file, dir, "x"),
        |dir, _| unlink(dir, "f"),
        |dir, _| rename(dir, "f", ROOT, "y", 0),
        |dir, _| rename(ROOT, "out", dir, "f", 0),
        |dir, _| rename(dir, "f", ROOT, "out", 2),
    ];
    for op in table {
        rig.send(B, op(dir, outer));
        assert_eq!((run(&mut rig), recalls(&mut rig)), (0, vec![(A, dir)]), "it waits");
        assert_eq!((run(&mut rig), recalls(&mut rig)), (0, vec![]), "and is told once");
        // Its connection breaks: the request is forgotten, the recall is not.
        rig.front.detach(B);
        rig.unsend(B);
        rig.call(A, give_back(dir)).unwrap();
        let op = lease(&rig, dir);
        rig.call(A, op).unwrap();
    }
    assert!(rig.tree.attr(inner).unwrap().is_some());
    rig.send(B, make(dir, "x", FileKind::File));
    assert_eq!(run(&mut rig), 0);
    rig.send(A, make(dir, "last", FileKind::File));
    rig.send(A, give_back(dir));
    assert_eq!(run(&mut rig), 3, "A's file, the end of the lease, B's file");
    assert!(matches!(&rig.log.last().unwrap().op, Op::Make { name: n, .. } if *n == name("x")));
}

#[test]
fn what_is_no_change_of_names_waits_for_nobody() {
    let (mut rig, dir) = leased();
    let file = rig.file(dir, "f");
    rig.call(B, append(file, "data")).unwrap();
    rig.call(B, rename(ROOT, "d", ROOT, "moved", 0)).unwrap();
    assert_eq!(recalls(&mut rig), []);
    rig.call(A, unlink(dir, "f")).unwrap();
    rig.send(B, rmdir(ROOT, "moved"));
    assert_eq!((run(&mut rig), recalls(&mut rig)), (0, vec![(A, dir)]), "its end is one");
}

#[test]
fn one_that_is_on_its_way_counts() {
    let mut rig = Rig::new();
    let dir = rig.dir(ROOT, "d");
    let op = lease(&rig, dir);
    rig.send(A, op);
    rig.send(A, make(dir, "a", FileKind::File));
    assert_eq!(rig.admit_all().len(), 2, "A does not wait for itself");
    rig.send(B, make(dir, "b", FileKind::File));
    assert_eq!(rig.admit_all(), []);
    assert_eq!(run(&mut rig), 0);
    assert_eq!(recalls(&mut rig), [(A, dir)]);
}

#[test]
fn one_that_is_on_its_way_counts_also_for_whoever_has_changed_the_directory_since() {
    let mut rig = Rig::new();
    let dir = rig.dir(ROOT, "d");
    let op = lease(&rig, dir);
    let want = WantAttr { mtime: Some(SetTime::Now), ..WantAttr::default() };
    rig.send(A, op);
    rig.send(B, Mutation::SetAttr { id: dir, want });
    rig.send(B, make(dir, "b", FileKind::File));
    assert_eq!(rig.admit_all().len(), 2, "the lease and the times; the name waits");
    assert_eq!(run(&mut rig), 0);
    assert_eq!(recalls(&mut rig), [(A, dir)]);
}

#[test]
fn it_is_taken_away_when_nobody_can_believe_in_it_any_more() {
    let (mut rig, dir) = leased();
    rig.front.tick(0);
    rig.send(B, make(dir, "b", FileKind::File));
    assert_eq!(run(&mut rig), 0);
    tick(&mut rig, 100, 2 * BELIEF_MS + 1000);
    assert_eq!(run(&mut rig), 0, "a step of the clock may have been over when it was asked for");
    tick(&mut rig, 2 * BELIEF_MS + 1100, 3 * BELIEF_MS + 1000);
    assert_eq!(run(&mut rig), 2);
    let owner = LockOwner { session: A, owner: LEASE };
    let ops: Vec<&Op> = rig.log.iter().rev().take(2).map(|record| &record.op).collect();
    assert!(matches!(ops[0], Op::Make { .. }) && *ops[1] == Op::Unlock { id: dir, owner });
    rig.send(A, make(dir, "b", FileKind::File));
    let refused = rig.admit_all();
    assert!(matches!(&refused[..], [Verdict::Answer { .. }]), "A has believed too long: {refused:?}");
}

#[test]
fn a_holder_that_comes_back_is_told_again() {
    let (mut rig, dir) = leased();
    rig.send(B, make(dir, "b", FileKind::File));
    run(&mut rig);
    assert_eq!(recalls(&mut rig), [(A, dir)]);
    rig.front.detach(A);
    assert_eq!(rig.front.attach(A, true, &bytes::Bytes::new(), &[]), Attach::Ready);
    assert_eq!(recalls(&mut rig), [(A, dir)]);
}

#[test]
fn the_next_leader_knows_it() {
    let (mut rig, dir) = leased();
    rig.front.reset();
    rig.front.lead(Term(2), 0);
    for session in [A, B] {
        assert_eq!(rig.front.attach(session, true, &bytes::Bytes::new(), &[]), Attach::Ready);
    }
    rig.send(B, make(dir, "b", FileKind::File));
    assert_eq!((run(&mut rig), recalls(&mut rig)), (0, vec![(A, dir)]));
    rig.front.close(A);
    assert_eq!(run(&mut rig), 2, "it ends with its session");
}

#[test]
fn it_ends_with_its_directory() {
    let (mut rig, dir) = leased();
    rig.send(B, make(dir, "b", FileKind::File));
    assert_eq!(run(&mut rig), 0);
    rig.send(A, rmdir(ROOT, "d"));
    let before = rig.log.len();
    rig.admit_all();
    rig.apply_all();
    let verdicts = rig.admit_all();
    assert_eq!(rig.log.len() - before, 1);
    assert!(matches!(verdicts.last(), Some(Verdict::Answer { session: B, .. })), "B's directory is gone");
}

#[test]
fn a_file_gets_the_identity_that_its_mount_has_to_spare() {
    let (mut rig, dir) = leased();
    let spare = InodeId { term: TERM, index: Index(rig.log.len() as u64) };
    let mut op = make(dir, "f", FileKind::File);
    if let Mutation::Make { as_id, open, .. } = &mut op {
        (*as_id, *open) = (spare, true);
    }
    rig.send(A, op);
    rig.send(A, append(spare, "data"));
    assert_eq!(rig.admit_all().len(), 2, "in one turn");
    rig.apply_all();
    assert_eq!(rig.tree.read(spare, 0, 9).as_deref(), Some(&b"data"[..]));
    rig.call(A, unlink(dir, "f")).unwrap();
    assert!(rig.front.state().orphans().contains(&spare), "A has it open");
}
