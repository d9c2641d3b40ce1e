//! Lines that were appended by clients of all mounts.

use std::collections::{BTreeMap, BTreeSet};

use super::writes::{Write, answered_before, newest_before, writes};
use super::{Rule, Violation};
use crate::clock::Micros;
use crate::event::{Event, Op};
use crate::history::{History, Track};
use crate::look::Place;
use crate::work::files::LINES;

struct Writer<'a> {
    track: &'a Track,
    writes: Vec<Write>,
}

pub fn check(history: &History) -> Vec<Violation> {
    let appends = |t: &&Track| t.events.iter().any(|e| matches!(e.op, Op::Append { .. }));
    let writers: Vec<Writer> = (history.tracks.iter().filter(appends))
        .map(|track| Writer { track, writes: writes(history, track, LINES) })
        .collect();
    let mut found = Vec::new();
    for writer in &writers {
        for place in &history.places {
            found.extend(at_the_end(history, writer, place));
        }
        for track in &history.tracks {
            found.extend(track.events.iter().filter_map(|e| while_it_goes_on(writer, track, e)));
        }
    }
    for place in &history.places {
        found.extend(strangers(&writers, place));
    }
    found
}

fn at_the_end(history: &History, writer: &Writer, place: &Place) -> Vec<Violation> {
    let name = &writer.track.client;
    let nothing = BTreeMap::new();
    let lines = match &place.lines {
        Some(Err(why)) => {
            return vec![Violation::new(Rule::Nonsense, place.begun, format!("{}: {why}", place.name))];
        }
        Some(Ok(lines)) => lines,
        None => &nothing,
    };
    let there: BTreeSet<u64> = lines.get(name).into_iter().flatten().copied().collect();
    let lost = |w: &&Write| w.stays(history, &writer.track.host) && !there.contains(&w.n);
    let mut found: Vec<Violation> = (writer.writes.iter().filter(lost))
        .map(|w| {
            let rule = match (w.synced, w.closed) {
                (Some(_), _) => Rule::LostSynced,
                (_, Some(_)) => Rule::LostClosed,
                _ => Rule::LostWrite,
            };
            Violation::new(rule, w.ended, format!("line {} of {name} is not in {}", w.n, place.name))
        })
        .collect();
    found.extend(holes(writer, &there, place));
    found
}

/// What a mount takes along when it dies is an end of what it was given, never something in the middle.
fn holes(writer: &Writer, there: &BTreeSet<u64>, place: &Place) -> Vec<Violation> {
    let mut first_lost: BTreeMap<u32, u64> = BTreeMap::new();
    let mut found = Vec::new();
    for write in &writer.writes {
        let Some(death) = write.lost_with else { continue };
        if !there.contains(&write.n) {
            first_lost.entry(death).or_insert(write.n);
        } else if let Some(lost) = first_lost.get(&death) {
            let text =
                format!("{}: {} lost line {lost} and kept line {}", place.name, writer.track.client, write.n);
            found.push(Violation::new(Rule::Hole, write.begun, text));
        }
    }
    found
}

/// A file of lines was read: all that was promised to this reader must be in it. Lines are in order, so the last tells.
fn while_it_goes_on(writer: &Writer, reader: &Track, event: &Event) -> Option<Violation> {
    let Op::Lines { last, wrong: None, .. } = &event.op else { return None };
    if !event.ok() {
        return None;
    }
    let name = &writer.track.client;
    let seen = last.get(name).copied().unwrap_or(0);
    let same = reader.host == writer.track.host;
    let due = |w: &&Write| {
        let voided = w.void.is_some_and(|at| at <= event.ended);
        let since: Option<Micros> = if same { Some(w.ended) } else { w.promised() };
        !voided && since.is_some_and(|at| at < event.begun)
    };
    let due = answered_before(&writer.writes, event.begun).iter().rev().find(due).map_or(0, |w| w.n);
    let rule = if same { Rule::StaleRead } else { Rule::StaleOpen };
    if seen < due {
        let text = format!("{} read the lines of {name} up to {seen}, of {due}", reader.client);
        return Some(Violation::new(rule, event.begun, text));
    }
    let begun = newest_before(&writer.writes, event.ended).map_or(0, |w| w.n);
    (seen > begun).then(|| {
        let text = format!("{} read line {seen} of {name}, which was at {begun}", reader.client);
        Violation::new(Rule::FromNowhere, event.begun, text)
    })
}

/// Lines that nobody wrote.
fn strangers(writers: &[Writer], place: &Place) -> Vec<Violation> {
    let Some(Ok(lines)) = &place.lines else { return Vec::new() };
    let written = |name: &str, n: u64| {
        let of = |w: &&Writer| w.track.client == name;
        writers.iter().find(of).is_some_and(|w| w.writes.binary_search_by_key(&n, |w| w.n).is_ok())
    };
    let all = lines.iter().flat_map(|(name, numbers)| numbers.iter().map(move |n| (name, *n)));
    all.filter(|(name, n)| !written(name, *n))
        .map(|(name, n)| {
            let text = format!("{}: line {n} of {name} was never written", place.name);
            Violation::new(Rule::FromNowhere, place.begun, text)
        })
        .collect()
}
