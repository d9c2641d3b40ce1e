//! Pipelines and waits, opens and orphans, sessions that come and go: what only the leader knows.

use bytes::Bytes;
use rfs_model::client::{Mutation, WantAttr};
use rfs_model::hello::OpenInode;
use rfs_model::op::{Fate, LockKind, LockOwner, LockRange};
use rfs_model::{FileKind, Index, InodeId, Op, Refusal, Seq, SessionId, Term};

use super::rig::*;
use crate::admit::{Attach, EXPIRY_MS, Front, Limits, Received, SessionEvent, Verdict, Violation};
use crate::sessions::Outcome;

const ROOT: InodeId = InodeId::ROOT;

fn records(verdicts: &[Verdict]) -> usize {
    verdicts.iter().filter(|v| matches!(v, Verdict::Record(_))).count()
}

#[test]
fn what_does_not_touch_does_not_wait() {
    let mut rig = Rig::new();
    let f = rig.file(ROOT, "f");
    for op in
        [make(ROOT, "a", FileKind::File), make(ROOT, "b", FileKind::Dir), append(f, "12"), append(f, "345")]
    {
        rig.send(A, op);
    }
    rig.send(B, append(f, "6"));
    rig.send(B, write(f, 100, "7"));
    rig.send(B, append(f, "8"));
    assert_eq!(records(&rig.admit_all()), 7, "all without an apply between them");
    let mut offsets: Vec<u64> = rig
        .log
        .iter()
        .filter_map(|s| match s.op {
            Op::Write { offset, .. } => Some(offset),
            _ => None,
        })
        .collect();
    offsets.sort_unstable();
    assert_eq!(offsets, [0, 100, 101, 103, 104], "sessions take turns");
    rig.apply_all();
    assert_eq!(rig.front.pending_on(f), Index::ZERO);
}

#[test]
fn a_write_follows_the_birth_of_its_file_at_once() {
    let mut rig = Rig::new();
    let id = InodeId { term: TERM, index: Index(1) };
    let mut op = make(ROOT, "f", FileKind::File);
    if let Mutation::Make { as_id, .. } = &mut op {
        *as_id = id;
    }
    rig.send(A, op);
    rig.send(A, write(id, 0, "abc"));
    rig.send(A, append(id, "def"));
    rig.send(A, Mutation::SetAttr { id, want: WantAttr { mode: Some(0o600), ..WantAttr::default() } });
    assert_eq!(records(&rig.admit_all()), 4);
    rig.apply_all();
    assert_eq!(rig.tree.read(id, 0, 10).unwrap(), b"abcdef");
}

#[test]
fn an_identity_that_no_record_can_have_given_is_refused() {
    let mut rig = Rig::new();
    for id in [
        InodeId { term: Term(0), index: Index(u64::MAX) },
        InodeId { term: Term(0), index: Index(Index::LIMIT.0 + 1) },
        InodeId { term: TERM, index: Index(u64::MAX) },
        InodeId { term: Term(u64::MAX), index: Index(1) },
    ] {
        let mut op = make(ROOT, "f", FileKind::File);
        if let Mutation::Make { as_id, .. } = &mut op {
            *as_id = id;
        }
        assert_eq!(rig.call(A, op).map(|done| done.id), Err(Refusal::Invalid), "{id:?}");
    }
}

#[test]
fn what_touches_waits_and_holds_its_session_up() {
    let mut rig = Rig::new();
    let d = rig.dir(ROOT, "d");
    rig.send(A, make(d, "a", FileKind::File));
    rig.send(B, rmdir(ROOT, "d"));
    rig.send(B, make(ROOT, "n", FileKind::File));
    assert_eq!(records(&rig.admit_all()), 1, "rmdir waits for what is on its way into the directory");
    let slot = rig.front.pending_slot(d, &name("a"));
    assert_eq!(slot, Index(rig.log.len() as u64));
    assert_eq!(rig.front.pending_of(A, d), slot);
    assert_eq!(rig.front.pending_of(B, d), Index::ZERO);
    rig.apply();
    let verdicts = rig.admit_all();
    let refused = Outcome::Refused { why: Refusal::NotEmpty };
    assert_eq!(verdicts[0], Verdict::Answer { session: B, seq: Seq(1), outcome: refused });
    assert_eq!(records(&verdicts), 1, "then the one behind it");
}

#[test]
fn a_read_waits_for_its_sessions_own_changes_of_what_it_reads() {
    let mut rig = Rig::new();
    let f = rig.file(ROOT, "f");
    rig.call(A, write(f, 0, "0123456789")).unwrap();
    let sent = |rig: &mut Rig, session, op| {
        rig.send(session, op);
        assert_eq!(records(&rig.admit_all()), 1);
        rig.log.len() as u64
    };
    let waits = |rig: &Rig, session, bytes| rig.front.pending_data(session, f, &bytes).0;

    let first = sent(&mut rig, A, write(f, 2, "ab"));
    let second = sent(&mut rig, A, write(f, 3, "c"));
    assert_eq!(rig.front.pending_of(A, f).0, second, "for attributes any change counts");
    assert_eq!([0..2, 4..10, 7..9].map(|bytes| waits(&rig, A, bytes)), [0; 3], "other bytes");
    assert_eq!(waits(&rig, A, 0..3), first);
    assert_eq!(waits(&rig, A, 0..10), second, "the newest of them");
    assert_eq!(waits(&rig, B, 0..10), 0, "others' changes count once they are committed");

    let grows = sent(&mut rig, A, write(f, 12, "d"));
    assert_eq!(waits(&rig, A, 0..1), grows, "where it ends concerns every reader");
    let end = sent(&mut rig, A, write(f, 11, "xy"));
    assert_eq!([0..1, 10..12].map(|bytes| waits(&rig, A, bytes)), [grows, end], "it ends there already");
    rig.apply();
    assert_eq!([2..3, 3..4].map(|bytes| waits(&rig, A, bytes)), [grows, grows]);
    let longer = WantAttr { size: Some(20), ..WantAttr::default() };
    let cut = sent(&mut rig, A, Mutation::SetAttr { id: f, want: longer });
    assert_eq!(waits(&rig, A, 0..1), cut);
    rig.apply_all();
    assert_eq!(waits(&rig, A, 0..20), 0);
    let last = sent(&mut rig, A, write(f, 19, "z"));
    assert_eq!(waits(&rig, A, 0..1), last, "it may be what made the file end there");
}

#[test]
fn a_file_is_given_away_while_its_birth_is_on_its_way() {
    let mut rig = Rig::new();
    let id = InodeId { term: TERM, index: rig.next() };
    let set = |want| Mutation::SetAttr { id, want };
    let (mode, none) = (|mode| Some(mode), WantAttr::default());
    let owner = WantAttr { uid: Some(3), ..none };
    let recorded = |rig: &Rig| match rig.log.last().map(|s| &s.op) {
        Some(Op::SetAttr { set, .. }) => set.mode,
        other => panic!("{other:?}"),
    };
    rig.send(A, make(ROOT, "f", FileKind::File));
    rig.send(A, set(owner));
    assert_eq!(records(&rig.admit_all()), 2);
    assert_eq!(recorded(&rig), None, "no bits to keep");
    rig.send(A, set(WantAttr { mode: mode(0o4755), ..none }));
    rig.send(A, set(owner));
    assert_eq!(records(&rig.admit_all()), 2);
    assert_eq!(recorded(&rig), mode(0o4755), "the one that was set last");
    let entry = |tag: u16, may: u16| [&tag.to_le_bytes()[..], &may.to_le_bytes(), &[0xff; 4]].concat();
    let list = [2u32.to_le_bytes().to_vec(), entry(1, 6), entry(4, 4), entry(0x20, 4)].concat().into();
    let list = Mutation::SetXattr { id, name: name("system.posix_acl_access"), value: list, flags: 0 };
    rig.send(A, list);
    rig.send(A, set(owner));
    rig.apply();
    assert_eq!(records(&rig.admit_all()), 1, "a list sets the mode, too: the owner waits for that");
    rig.apply_all();
    assert_eq!(records(&rig.admit_all()), 1);
    assert_eq!(recorded(&rig), mode(0o4644));
}

#[test]
fn the_same_name_twice_is_decided_by_order() {
    let mut rig = Rig::new();
    rig.send(A, make(ROOT, "x", FileKind::File));
    rig.send(B, make(ROOT, "x", FileKind::File));
    assert_eq!(records(&rig.admit_all()), 1);
    rig.apply_all();
    let refused = Outcome::Refused { why: Refusal::Exists };
    assert_eq!(rig.admit_all(), [Verdict::Answer { session: B, seq: Seq(1), outcome: refused }]);
}

#[test]
fn two_directories_cannot_move_into_each_other() {
    let mut rig = Rig::new();
    let (a, b) = (rig.dir(ROOT, "a"), rig.dir(ROOT, "b"));
    rig.send(A, rename(ROOT, "a", b, "a", 0));
    rig.send(B, rename(ROOT, "b", a, "b", 0));
    assert_eq!(records(&rig.admit_all()), 1);
    rig.apply_all();
    let refused = Outcome::Refused { why: Refusal::NoEntry };
    let verdicts = rig.admit_all();
    let invalid = Outcome::Refused { why: Refusal::Invalid };
    let Some(Verdict::Answer { outcome, .. }) = verdicts.first() else { panic!("{verdicts:?}") };
    assert!([refused, invalid].contains(outcome));
}

fn fate(rig: &Rig) -> Fate {
    match rig.log.last().map(|s| &s.op) {
        Some(Op::Unlink { fate, .. } | Op::Rename { fate, .. }) => *fate,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_open_file_outlives_its_name() {
    let mut rig = Rig::new();
    let f = rig.file(ROOT, "f");
    rig.call(A, link(f, ROOT, "g")).unwrap();
    assert_eq!(rig.front.open(B, f), Index::ZERO);
    rig.call(A, unlink(ROOT, "f")).unwrap();
    assert_eq!(fate(&rig), Fate::Stays);
    rig.call(A, unlink(ROOT, "g")).unwrap();
    assert_eq!(fate(&rig), Fate::Orphan);
    assert!(rig.call(B, append(f, "still here")).is_ok());
    assert_eq!(rig.call(B, link(f, ROOT, "h")).map(drop), Err(Refusal::NoEntry));
    rig.front.release(B, f);
    rig.admit_all();
    assert_eq!(rig.log.last().map(|s| &s.op), Some(&Op::Reap { id: f }));
    rig.apply_all();
    assert!(rig.admit().is_none(), "reaped once");
    assert!(rig.tree.node(f).is_none());
    assert_eq!(rig.call(B, append(f, "late")).map(drop), Err(Refusal::Stale));
}

#[test]
fn an_orphan_is_reaped_once_and_not_while_it_is_open_again() {
    let mut rig = Rig::new();
    let (f, g) = (rig.file(ROOT, "f"), rig.file(ROOT, "g"));
    for (id, text) in [(f, "f"), (g, "g")] {
        rig.front.open(B, id);
        rig.call(A, unlink(ROOT, text)).unwrap();
    }
    rig.front.release(B, g);
    rig.front.release(B, f);
    assert!(matches!(rig.admit(), Some(Verdict::Record(s)) if s.op == Op::Reap { id: f }));
    for id in [f, g] {
        rig.front.open(A, id);
    }
    assert!(rig.admit().is_none(), "one is on its way out, the other is open again");
    for id in [f, g] {
        rig.front.release(A, id);
    }
    assert_eq!(records(&rig.admit_all()), 1);
    rig.apply_all();
    assert!(rig.front.state().orphans().is_empty());
}

#[test]
fn a_file_that_nobody_has_open_dies_with_its_name() {
    let mut rig = Rig::new();
    rig.file(ROOT, "f");
    rig.file(ROOT, "g");
    rig.call(A, rename(ROOT, "g", ROOT, "f", 0)).unwrap();
    assert_eq!(fate(&rig), Fate::Dies);
    rig.call(A, unlink(ROOT, "f")).unwrap();
    assert_eq!(fate(&rig), Fate::Dies);
    assert!(rig.front.state().orphans().is_empty());
}

#[test]
fn create_and_open_in_one_request_holds_the_file() {
    let mut rig = Rig::new();
    let mut op = make(ROOT, "f", FileKind::File);
    if let Mutation::Make { open, .. } = &mut op {
        *open = true;
    }
    let f = rig.call(A, op).unwrap().id;
    rig.call(B, unlink(ROOT, "f")).unwrap();
    assert_eq!(fate(&rig), Fate::Orphan);
    rig.front.release(A, f);
    rig.admit_all();
    assert_eq!(rig.log.last().map(|s| &s.op), Some(&Op::Reap { id: f }));
}

#[test]
fn a_new_leader_kills_nothing_before_all_have_told() {
    let mut rig = Rig::new();
    let f = rig.file(ROOT, "f");
    rig.front.reset();
    rig.front.lead(rfs_model::Term(2), 0);
    assert_eq!(rig.front.attach(A, true, &Bytes::new(), &[]), Attach::Ready);
    rig.call(A, unlink(ROOT, "f")).unwrap();
    assert_eq!(fate(&rig), Fate::Orphan, "B may have it open");
    assert!(rig.admit().is_none());
    let opens = [OpenInode { id: f, count: 1 }];
    assert_eq!(rig.front.attach(B, true, &Bytes::new(), &opens), Attach::Ready);
    assert!(rig.admit().is_none(), "B has it open");
    rig.front.release(B, f);
    assert!(matches!(rig.admit(), Some(Verdict::Record(s)) if s.op == Op::Reap { id: f }));
}

#[test]
fn a_silent_session_ends_with_its_locks() {
    let mut rig = Rig::new();
    let f = rig.file(ROOT, "f");
    let range = LockRange { kind: LockKind::Exclusive, start: 0, end: 9, pid: 1 };
    rig.call(B, Mutation::Lock { id: f, owner: 5, range }).unwrap();
    let probe = LockRange { start: 9, ..range };
    let me = LockOwner { session: A, owner: 5 };
    assert_eq!(rig.front.get_lock(f, me, probe), Some(range));
    let mut expired = Vec::new();
    for ms in (0..=EXPIRY_MS).step_by(500) {
        rig.front.heard(A, Seq(1));
        expired.extend(rig.front.tick(ms));
    }
    assert_eq!(expired, [B]);
    let late = rig.front.receive(B, Seq(9), Seq(1), unlink(ROOT, "f"));
    assert_eq!(late, Err(Violation::NoSession));
    assert_eq!(rig.front.attach(B, true, &Bytes::new(), &[]), Attach::Expired);
    rig.admit_all();
    let applied = rig.apply_all();
    assert_eq!(applied.last().and_then(|a| a.session), Some(SessionEvent::Closed(B)));
    assert_eq!(applied.last().map(|a| a.freed.clone()), Some(vec![f]));
    assert_eq!(rig.front.get_lock(f, me, probe), None);
    assert_eq!(rig.front.attach(B, true, &Bytes::new(), &[]), Attach::Expired);
}

#[test]
fn a_leader_that_stood_still_expires_nobody() {
    let mut rig = Rig::new();
    assert!(rig.front.tick(1).is_empty());
    assert!(rig.front.tick(10 * EXPIRY_MS).is_empty(), "it was the leader that was away");
}

#[test]
fn a_session_leaves_behind_its_last_request() {
    let mut rig = Rig::new();
    rig.send(A, make(ROOT, "x", FileKind::File));
    rig.send(B, make(ROOT, "x", FileKind::File));
    rig.front.close(B);
    assert_eq!(records(&rig.admit_all()), 1);
    rig.apply_all();
    let verdicts = rig.admit_all();
    assert!(matches!(verdicts[0], Verdict::Answer { session: B, .. }));
    assert!(matches!(&verdicts[1], Verdict::Record(s) if s.op == Op::SessionClose {} && s.session == B));
    rig.apply_all();
    assert!(rig.front.state().sessions().get(B).is_none());
}

#[test]
fn there_is_a_last_session() {
    let mut rig = Rig::new();
    for n in 0..rfs_model::limits::SESSIONS as u64 - 2 {
        let mut id = [7; 16];
        id[..8].copy_from_slice(&n.to_le_bytes());
        assert_eq!(rig.front.attach(SessionId(id), false, &Bytes::new(), &[]), Attach::Opening);
    }
    assert_eq!(rig.front.attach(SessionId([8; 16]), false, &Bytes::new(), &[]), Attach::Full);
    rig.admit_all();
    rig.apply_all();
    let snapshot = Bytes::from(rig.front.snapshot());
    let back = Front::restore(Limits::default(), &snapshot).unwrap();
    assert_eq!(back.state(), rig.front.state());
}

#[test]
fn numbers_out_of_order_end_the_connection() {
    let mut rig = Rig::new();
    let op = || make(ROOT, "x", FileKind::File);
    let table = [
        (2, 1, Err(Violation::Gap { got: Seq(2), want: Seq(1) })),
        (0, 0, Err(Violation::Nonsense(Seq(0)))),
        (1, 2, Err(Violation::Nonsense(Seq(1)))),
        (1, 1, Ok(Received::Queued)),
        (1, 1, Ok(Received::Queued)),
        (3, 1, Err(Violation::Gap { got: Seq(3), want: Seq(2) })),
        (17_000, 1, Err(Violation::TooFar(Seq(17_000)))),
        (u64::MAX - 1, u64::MAX - 1, Err(Violation::Nonsense(Seq(u64::MAX - 1)))),
    ];
    for (seq, lowest, want) in table {
        assert_eq!(rig.front.receive(A, Seq(seq), Seq(lowest), op()), want, "{seq} {lowest}");
    }
    let nobody = rig.front.receive(SessionId([9; 16]), Seq(1), Seq(1), op());
    assert_eq!(nobody, Err(Violation::NoSession));
}

#[test]
fn a_broken_connection_drops_what_was_not_admitted() {
    let mut rig = Rig::new();
    rig.send(A, make(ROOT, "x", FileKind::File));
    rig.send(B, make(ROOT, "x", FileKind::File));
    rig.send(B, make(ROOT, "y", FileKind::File));
    rig.admit_all();
    rig.front.detach(B);
    rig.apply_all();
    assert!(rig.admit().is_none());
    let again = rig.front.receive(B, Seq(1), Seq(1), make(ROOT, "z", FileKind::File));
    assert_eq!(again, Ok(Received::Queued), "it is sent again from the first unadmitted one");
    assert_eq!(records(&rig.admit_all()), 1);
}

#[test]
fn durable_is_a_prefix_of_each_sessions_requests() {
    let mut rig = Rig::new();
    let f = rig.file(ROOT, "f");
    let base = rig.log.len() as u64;
    for text in ["1", "2"] {
        rig.send(B, append(f, text));
    }
    rig.send(B, unlink(ROOT, "nothing"));
    rig.send(B, append(f, "3"));
    rig.send(B, unlink(ROOT, "nothing"));
    rig.admit_all();
    let table = [(0, 0), (1, 1), (2, 3), (3, 5)];
    for apply in [false, true] {
        if apply {
            rig.apply_all();
        }
        // Once recorded, a refusal is durable with the record that carries it.
        let recorded = [(0, 0), (1, 1), (2, if apply { 2 } else { 3 }), (3, 5)];
        for ((index, _), (_, seq)) in table.iter().zip(recorded) {
            assert_eq!(rig.front.durable_seq(B, Index(base + index)), Seq(seq), "{apply} {index}");
        }
    }
    assert_eq!(rig.front.index_of(B, Seq(2)), Some(Index(base + 2)));
    assert_eq!(rig.front.index_of(B, Seq(5)), Some(Index(base + 3)));
    assert_eq!(rig.front.index_of(B, Seq(6)), None, "not arrived");
}
