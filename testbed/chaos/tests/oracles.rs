//! The checker, on histories made by hand: each rule lets a good history pass and finds a bad one.

use std::collections::{BTreeMap, BTreeSet};

use rfs_chaos::check::{Rule, check};
use rfs_chaos::clock::Micros;
use rfs_chaos::event::{Event, LockKind, Op};
use rfs_chaos::history::{History, Spell, Track};
use rfs_chaos::look::Place;
use rfs_chaos::nemesis::{Fault, Kind};

/// Seconds, as the histories below count.
const S: Micros = 1_000_000;

fn at(begun: Micros, ended: Micros, op: Op) -> Event {
    Event { begun: begun * S, ended: ended * S, op, errno: None }
}

fn failed(begun: Micros, ended: Micros, op: Op, errno: i32) -> Event {
    Event { errno: Some(errno), ..at(begun, ended, op) }
}

fn track(client: &str, host: &str, events: Vec<Event>) -> Track {
    Track { client: client.into(), host: host.into(), events }
}

fn spell(kind: Kind, host: &str, begun: Micros, ended: Micros) -> Spell {
    let fault = Fault { kind, host: host.into(), other: None, after_ms: 0, hold_ms: 0, amount: 0 };
    Spell { begun: begun * S, ended: ended * S, fault, drained: kind == Kind::MountTerm }
}

fn history(tracks: Vec<Track>, spells: Vec<Spell>, places: Vec<Place>) -> History {
    History { tracks, spells, places }
}

#[track_caller]
fn finds(history: &History, want: &[Rule]) {
    let found: BTreeSet<Rule> = check(history).into_iter().map(|v| v.rule).collect();
    assert_eq!(found, want.iter().copied().collect(), "{:#?}", check(history));
}

fn lines() -> String {
    "lines".into()
}

fn append(t: Micros, n: u64) -> Event {
    at(t, t, Op::Append { file: lines(), n })
}

fn sync(t: Micros) -> Event {
    at(t, t, Op::Sync { file: lines() })
}

fn close(t: Micros) -> Event {
    at(t, t, Op::Close { file: lines() })
}

fn place_of_lines(numbers: &[u64]) -> Place {
    let lines = Some(Ok(BTreeMap::from([("append-a".to_owned(), numbers.to_vec())])));
    Place { name: "a".into(), begun: 1000 * S, lines, ..Place::default() }
}

#[test]
fn lines_that_were_promised_are_there() {
    let written = vec![append(1, 1), sync(2), append(3, 2), close(4), append(5, 3)];
    let one = |there: &[u64]| {
        history(vec![track("append-a", "a", written.clone())], vec![], vec![place_of_lines(there)])
    };
    finds(&one(&[1, 2, 3]), &[]);
    finds(&one(&[2, 3]), &[Rule::LostSynced]);
    finds(&one(&[1, 3]), &[Rule::LostClosed]);
    finds(&one(&[1, 2]), &[Rule::LostWrite]);
    finds(&one(&[1, 2, 3, 4]), &[Rule::FromNowhere]);
    let mut torn = one(&[1, 2, 3]);
    torn.places[0].lines = Some(Err("line 2 of append-a twice".into()));
    finds(&torn, &[Rule::Nonsense]);
}

/// A mount that is killed may take an end of what it had, not something in the middle; and nothing that was closed.
#[test]
fn a_killed_mount_may_forget_an_end() {
    let mut written = vec![append(1, 1), close(2), append(3, 2), append(4, 3)];
    written.push(failed(6, 6, Op::Append { file: lines(), n: 4 }, libc::ENOTCONN));
    let one = |kind, there: &[u64]| {
        let tracks = vec![track("append-a", "a", written.clone())];
        history(tracks, vec![spell(kind, "a", 5, 7)], vec![place_of_lines(there)])
    };
    for there in [&[1][..], &[1, 2], &[1, 2, 3], &[1, 2, 3, 4]] {
        finds(&one(Kind::MountKill, there), &[]);
    }
    finds(&one(Kind::MountKill, &[1, 3]), &[Rule::Hole]);
    finds(&one(Kind::MountKill, &[2, 3]), &[Rule::LostClosed]);
    // One that ends in good order forgets nothing; the line that failed may be there or not.
    finds(&one(Kind::MountTerm, &[1, 2, 3]), &[]);
    finds(&one(Kind::MountTerm, &[1, 2]), &[Rule::LostSynced]);
    // Nobody had hurt the mount.
    finds(&one(Kind::Kill, &[1, 2, 3]), &[Rule::Error]);
}

/// With the mount, a brick's kernel died: what was closed and not synced may be gone.
#[test]
fn only_what_was_synced_survives_everything() {
    let written = vec![append(1, 1), sync(2), append(3, 2), close(4)];
    let spells = vec![spell(Kind::MountKill, "a", 5, 7), spell(Kind::Power, "server1", 5, 9)];
    let one = |there: &[u64]| {
        history(vec![track("append-a", "a", written.clone())], spells.clone(), vec![place_of_lines(there)])
    };
    finds(&one(&[1]), &[]);
    finds(&one(&[2]), &[Rule::LostSynced]);
}

#[test]
fn a_full_disk_explains_its_error_and_no_other() {
    let mut written = vec![append(1, 1), close(2), append(3, 2)];
    written.push(failed(4, 4, Op::Sync { file: lines() }, libc::ENOSPC));
    let one = |kind, there: &[u64]| {
        let tracks = vec![track("append-a", "a", written.clone())];
        history(tracks, vec![spell(kind, "server1", 3, 7)], vec![place_of_lines(there)])
    };
    finds(&one(Kind::Full, &[1]), &[]);
    finds(&one(Kind::Full, &[2]), &[Rule::LostClosed]);
    finds(&one(Kind::Cut, &[1, 2]), &[Rule::Error]);
}

#[test]
fn readers_of_lines_see_what_was_closed() {
    let read = |client: &str, host: &str, t, n| {
        let last = BTreeMap::from([("append-a".to_owned(), n)]);
        track(client, host, vec![at(t, t, Op::Lines { file: lines(), last, wrong: None })])
    };
    let written = || track("append-a", "a", vec![append(1, 1), close(2), append(5, 2)]);
    let all = [place_of_lines(&[1, 2])];
    let with = |reader| history(vec![written(), reader], vec![], all.to_vec());
    finds(&with(read("append-b", "b", 6, 1)), &[]);
    finds(&with(read("append-b", "b", 3, 0)), &[Rule::StaleOpen]);
    finds(&with(read("append-c", "a", 6, 1)), &[Rule::StaleRead]);
    finds(&with(read("append-b", "b", 3, 2)), &[Rule::FromNowhere]);
}

fn keys() -> String {
    "keys-a".into()
}

fn put(t: Micros, version: u64) -> Event {
    at(t, t, Op::Put { file: keys(), slot: 0, version })
}

fn get(t: Micros, version: u64) -> Event {
    at(t, t, Op::Get { file: keys(), fresh: true, seen: vec![version], wrong: None })
}

fn place_of_keys(version: u64) -> Place {
    let slots = BTreeMap::from([(keys(), Ok(vec![version]))]);
    Place { name: "a".into(), begun: 1000 * S, slots, ..Place::default() }
}

#[test]
fn slots_are_read_as_they_were_written() {
    let closed = |t| at(t, t, Op::Close { file: keys() });
    let one = |own: Vec<Event>, other: Vec<Event>, last| {
        let mut events = vec![put(1, 1), put(2, 2), closed(3), put(5, 3)];
        events.extend(own);
        events.sort_by_key(|e| e.begun);
        let tracks = vec![track("keys-a", "a", events), track("keys-b", "b", other)];
        history(tracks, vec![], vec![place_of_keys(last)])
    };
    finds(&one(vec![get(6, 3)], vec![get(4, 2), get(6, 2), get(7, 3)], 3), &[]);
    finds(&one(vec![get(6, 2)], vec![], 3), &[Rule::StaleRead]);
    finds(&one(vec![], vec![get(4, 1)], 3), &[Rule::StaleOpen]);
    finds(&one(vec![], vec![get(6, 3), get(7, 2)], 3), &[Rule::Backwards]);
    finds(&one(vec![], vec![get(4, 3)], 3), &[Rule::FromNowhere]);
    finds(&one(vec![], vec![], 2), &[Rule::LostWrite]);
    finds(&one(vec![closed(8)], vec![], 2), &[Rule::LostClosed]);
    finds(&one(vec![at(8, 8, Op::Sync { file: keys() })], vec![], 2), &[Rule::LostSynced]);
    let torn = Op::Get { file: keys(), fresh: true, seen: vec![], wrong: Some("slot 3".into()) };
    finds(&one(vec![], vec![at(6, 6, torn)], 3), &[Rule::Nonsense]);
}

#[test]
fn a_name_always_shows_a_whole_and_new_version() {
    let name = || "replace-a".to_owned();
    let replace = |t, version| at(t, t + 1, Op::Replace { name: name(), version });
    let look = |t, seen| at(t, t, Op::Look { name: name(), seen, wrong: None });
    let last = |version: Result<u64, String>| {
        let versions = BTreeMap::from([(name(), version)]);
        Place { name: "a".into(), begun: 1000 * S, versions, ..Place::default() }
    };
    let one = |own: Vec<Event>, other: Vec<Event>, version| {
        let mut events = vec![replace(1, 1), replace(3, 2)];
        events.extend(own);
        events.sort_by_key(|e| e.begun);
        let tracks = vec![track("replace-a", "a", events), track("replace-b", "b", other)];
        history(tracks, vec![], vec![last(version)])
    };
    finds(&one(vec![look(5, 2)], vec![look(2, 1), look(4, 1), look(4, 2)], Ok(2)), &[]);
    finds(&one(vec![look(5, 1)], vec![], Ok(2)), &[Rule::StaleRead]);
    finds(&one(vec![], vec![look(5, 1)], Ok(2)), &[Rule::StaleOpen]);
    finds(&one(vec![], vec![look(4, 2), look(4, 1)], Ok(2)), &[Rule::Backwards]);
    finds(&one(vec![], vec![look(2, 2)], Ok(2)), &[Rule::FromNowhere]);
    finds(&one(vec![], vec![], Ok(1)), &[Rule::LostClosed]);
    finds(&one(vec![], vec![], Err("empty".into())), &[Rule::Nonsense]);
    let empty = Op::Look { name: name(), seen: 0, wrong: Some("empty".into()) };
    finds(&one(vec![], vec![at(7, 7, empty)], Ok(2)), &[Rule::Nonsense]);
    let missing = history(
        vec![track("replace-a", "a", vec![replace(1, 1)])],
        vec![],
        vec![Place { begun: 1000 * S, ..Place::default() }],
    );
    finds(&missing, &[Rule::LostClosed]);
}

#[test]
fn names_come_and_go_as_their_client_was_told() {
    let file = || "names-a/f".to_owned();
    let make = |t| at(t, t, Op::Make { name: file() });
    let remove = |t| at(t, t, Op::Remove { name: file() });
    let list = |t, seen: &[&str]| {
        let seen = seen.iter().map(|s| (*s).to_owned()).collect();
        at(t, t, Op::List { name: "names-a".into(), seen })
    };
    let one = |events: Vec<Event>, there: bool| {
        let names = there.then(file).into_iter().collect();
        let place = Place { begun: 1000 * S, names, ..Place::default() };
        history(vec![track("names-a", "a", events)], vec![spell(Kind::MountKill, "a", 50, 60)], vec![place])
    };
    finds(&one(vec![make(1), list(2, &["names-a/f"]), remove(3), list(4, &[])], false), &[]);
    finds(&one(vec![make(1)], false), &[Rule::WrongName]);
    finds(&one(vec![make(1), remove(2)], true), &[Rule::WrongName]);
    finds(&one(vec![make(1), list(2, &[])], true), &[Rule::WrongName]);
    finds(&one(vec![make(1), make(2)], true), &[Rule::WrongName]);
    let exists = |t| failed(t, t, Op::Make { name: file() }, libc::EEXIST);
    finds(&one(vec![make(1), exists(2)], true), &[]);
    finds(&one(vec![make(1), remove(2), exists(3)], true), &[Rule::WrongName]);
    // After an answer was lost, either may be.
    let lost = failed(50, 51, Op::Remove { name: file() }, libc::ENOTCONN);
    for there in [true, false] {
        finds(&one(vec![make(1), lost.clone()], there), &[]);
    }
}

#[test]
fn others_list_what_was_acknowledged_before() {
    let file = || "names-a/f".to_owned();
    let make = at(10, 12, Op::Make { name: file() });
    let remove = at(20, 22, Op::Remove { name: file() });
    let list = |begun, ended, there: bool| {
        let seen = there.then(file).into_iter().collect();
        at(begun, ended, Op::List { name: "names-a".into(), seen })
    };
    let one = |make: &Event, list: Event| {
        let names = vec![track("names-a", "a", vec![make.clone(), remove.clone()])];
        let tracks = [names, vec![track("names-b", "b", vec![list])]].concat();
        history(tracks, vec![], vec![Place { begun: 1000 * S, ..Place::default() }])
    };
    for (begun, ended, there) in
        [(13, 14, true), (23, 24, false), (9, 11, true), (9, 11, false), (15, 21, false)]
    {
        finds(&one(&make, list(begun, ended, there)), &[]);
    }
    finds(&one(&make, list(13, 14, false)), &[Rule::WrongName]);
    finds(&one(&make, list(23, 24, true)), &[Rule::WrongName]);
}

#[test]
fn locks_exclude_and_what_they_guard_is_seen() {
    let file = || "flock".to_owned();
    let how = LockKind::Flock;
    let section = |t: Micros, long, read| {
        vec![
            at(t, t, Op::Lock { file: file(), how }),
            at(t, t, Op::Count { file: file(), read }),
            at(t + long, t + long, Op::Unlock { file: file(), how }),
        ]
    };
    let one = |a: Vec<Event>, b: Vec<Event>, last: u64, spells| {
        let numbers = BTreeMap::from([(file(), Ok(last))]);
        let place = Place { begun: 1000 * S, numbers, ..Place::default() };
        history(vec![track("flock-a", "a", a), track("flock-b", "b", b)], spells, vec![place])
    };
    finds(&one(section(1, 1, 0), section(3, 1, 1), 2, vec![]), &[]);
    finds(&one(section(1, 5, 0), section(3, 1, 1), 2, vec![]), &[Rule::LocksOverlap]);
    finds(&one(section(1, 1, 0), section(3, 1, 0), 1, vec![]), &[Rule::LostUpdate]);
    finds(&one(section(1, 1, 0), section(3, 1, 1), 1, vec![]), &[Rule::LostUpdate]);
    finds(&one(section(1, 1, 0), section(3, 1, 1), 3, vec![]), &[Rule::FromNowhere]);
    // The first one's mount died while it had the lock.
    let mut dies = section(1, 80, 0);
    dies[2].errno = Some(libc::ENOTCONN);
    let killed = vec![spell(Kind::MountKill, "a", 2, 4)];
    finds(&one(dies.clone(), section(70, 1, 0), 1, killed), &[Rule::Error]);
    dies[2] = failed(3, 3, Op::Unlock { file: file(), how }, libc::ENOTCONN);
    let killed = vec![spell(Kind::MountKill, "a", 2, 4)];
    finds(&one(dies, section(70, 1, 0), 1, killed), &[]);
}

#[test]
fn one_wins_a_race() {
    let name = || "won/1".to_owned();
    let wins = |t| at(t, t, Op::Win { name: name() });
    let loses = |t| failed(t, t, Op::Win { name: name() }, libc::EEXIST);
    let one = |a: Event, b: Event, there: bool| {
        let names = there.then(name).into_iter().collect();
        let place = Place { begun: 1000 * S, names, ..Place::default() };
        let tracks = vec![track("win-a", "a", vec![a]), track("win-b", "b", vec![b])];
        history(tracks, vec![], vec![place])
    };
    finds(&one(wins(1), loses(1), true), &[]);
    finds(&one(wins(1), wins(1), true), &[Rule::TwoWinners]);
    finds(&one(loses(1), loses(1), true), &[Rule::NoWinner, Rule::FromNowhere]);
    finds(&one(wins(1), loses(1), false), &[Rule::LostClosed]);
}

#[test]
fn nobody_waits_for_ever_and_no_error_is_without_a_cause() {
    let one = |event| history(vec![track("append-a", "a", vec![event])], vec![], vec![]);
    finds(&one(at(1, 62, Op::Sync { file: lines() })), &[Rule::Stall]);
    finds(&one(at(1, 60, Op::Sync { file: lines() })), &[]);
    for errno in [libc::EIO, libc::ESTALE, libc::ETIMEDOUT, libc::ENOENT, libc::ENOSPC, libc::EBADF] {
        finds(&one(failed(1, 2, Op::Open { file: lines() }, errno)), &[Rule::Error]);
    }
    let lock =
        |errno, ended| failed(1, ended, Op::Lock { file: "flock".into(), how: LockKind::Flock }, errno);
    finds(&one(lock(libc::EAGAIN, 1)), &[]);
    finds(&one(lock(libc::EINTR, 131)), &[Rule::Error]);
    // A mount was killed with the lock, and each new leader waits for it anew.
    finds(&one(lock(libc::ENOLCK, 131)), &[Rule::Error]);
    let killed = |event| History { spells: vec![spell(Kind::MountKill, "b", 1, 3)], ..one(event) };
    finds(&killed(lock(libc::ENOLCK, 131)), &[]);
    finds(&killed(lock(libc::ENOLCK, 100)), &[Rule::Error]);
}
