//! Names that are replaced: there is always a whole version, and none older than the last that was acknowledged.

use super::{Rule, Violation};
use crate::clock::Micros;
use crate::event::{Event, Op};
use crate::history::{History, Track};

pub fn check(history: &History) -> Vec<Violation> {
    let replaces = |t: &&Track| t.events.iter().any(|e| matches!(e.op, Op::Replace { .. }));
    let mut found = Vec::new();
    for owner in history.tracks.iter().filter(replaces) {
        for reader in &history.tracks {
            found.extend(reads(history, owner, reader));
        }
        found.extend(at_the_end(history, owner));
    }
    found
}

fn version(event: &Event) -> Option<u64> {
    match event.op {
        Op::Replace { version, .. } => Some(version),
        _ => None,
    }
}

/// The newest version that was acknowledged before `at` and that nothing may have undone.
fn due(history: &History, owner: &Track, at: Micros) -> u64 {
    let sure = |e: &&Event| e.ok() && version(e).is_some() && !history.may_forget(&owner.host, e.ended);
    // A client does one thing after the other.
    let answered = owner.events.partition_point(|e| e.ended < at);
    owner.events[..answered].iter().rev().find(sure).and_then(version).unwrap_or(0)
}

fn most(owner: &Track, at: Micros) -> u64 {
    let begun = owner.events.partition_point(|e| e.begun < at);
    owner.events[..begun].iter().rev().find_map(version).unwrap_or(0)
}

fn reads(history: &History, owner: &Track, reader: &Track) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut newest = 0;
    for event in reader.events.iter().filter(|e| e.ok()) {
        let Op::Look { name, seen, wrong: None } = &event.op else { continue };
        if *name != owner.client {
            continue;
        }
        let (due, most) = (due(history, owner, event.begun), most(owner, event.ended));
        let rule = match () {
            () if *seen < due && reader.host == owner.host => Some((Rule::StaleRead, due)),
            () if *seen < due => Some((Rule::StaleOpen, due)),
            () if *seen < newest => Some((Rule::Backwards, newest)),
            () if *seen > most => Some((Rule::FromNowhere, most)),
            () => None,
        };
        if let Some((rule, want)) = rule {
            let text = format!("{}: {name} shows version {seen}, not {want}", reader.client);
            found.push(Violation::new(rule, event.begun, text));
        }
        if !history.may_forget(&owner.host, event.ended) {
            newest = newest.max(*seen);
        }
    }
    found
}

fn at_the_end(history: &History, owner: &Track) -> Vec<Violation> {
    let (due, most) = (due(history, owner, Micros::MAX), most(owner, Micros::MAX));
    let mut found = Vec::new();
    for place in &history.places {
        let wrong = match place.versions.get(&owner.client) {
            Some(Err(why)) => Some((Rule::Nonsense, why.clone())),
            Some(Ok(seen)) if *seen < due => Some((Rule::LostClosed, format!("version {seen}, not {due}"))),
            Some(Ok(seen)) if *seen > most => {
                Some((Rule::FromNowhere, format!("version {seen}, not {most}")))
            }
            None if due > 0 => Some((Rule::LostClosed, format!("nothing, not version {due}"))),
            _ => None,
        };
        found.extend(wrong.map(|(rule, text)| {
            Violation::new(rule, place.begun, format!("{}: {}: {text}", place.name, owner.client))
        }));
    }
    found
}
