//! Locks exclude, and what is written under one is seen by the next holder.

use std::collections::{BTreeMap, BTreeSet};

use super::{Rule, Violation};
use crate::clock::Micros;
use crate::event::{Event, Op};
use crate::history::{History, Track};
use crate::look::Place;

/// From the answer that it was granted to the request that gives it back, or to the end of its mount.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Hold {
    client: String,
    from: Micros,
    to: Micros,
    /// What it wrote, if that was acknowledged, and the lock given back.
    wrote: Option<u64>,
    /// What it read.
    read: Option<u64>,
}

pub fn check(history: &History) -> Vec<Violation> {
    let mut by_file: BTreeMap<&str, Vec<Hold>> = BTreeMap::new();
    let mut tried: BTreeMap<&str, u64> = BTreeMap::new();
    for track in &history.tracks {
        for (file, hold) in holds(history, track) {
            let wrote = hold.read.map_or(0, |read| read + 1);
            let most = tried.entry(file).or_default();
            *most = wrote.max(*most);
            by_file.entry(file).or_default().push(hold);
        }
    }
    let mut found = Vec::new();
    for (file, mut holds) in by_file {
        holds.sort_by_key(|h| h.from);
        found.extend(overlaps(file, &holds));
        found.extend(counts(file, &holds));
        let due = holds.iter().filter_map(|h| h.wrote).max().unwrap_or(0);
        let most = tried.get(file).copied().unwrap_or(0);
        found.extend(history.places.iter().filter_map(|p| at_the_end(file, p, due, most)));
    }
    found
}

fn holds<'a>(history: &History, track: &'a Track) -> Vec<(&'a str, Hold)> {
    let mut all = Vec::new();
    let mut now: Option<(&str, Hold)> = None;
    for event in &track.events {
        match &event.op {
            Op::Lock { file, .. } if event.ok() => {
                let client = track.client.clone();
                let hold = Hold { client, from: event.ended, to: Micros::MAX, wrote: None, read: None };
                now = Some((file, hold));
            }
            Op::Count { read, .. } if event.ok() => {
                if let Some((_, hold)) = &mut now {
                    hold.read = Some(*read);
                }
            }
            Op::Unlock { .. } => {
                if let Some((file, hold)) = now.take() {
                    all.push((file, ended(history, &track.host, hold, event)));
                }
            }
            _ => {}
        }
    }
    all
}

fn ended(history: &History, host: &str, mut hold: Hold, unlock: &Event) -> Hold {
    hold.to = unlock.begun;
    if let Some(end) = history.mount_end(host, hold.from, unlock.ended) {
        hold.to = hold.to.min(end.begun.max(hold.from));
    }
    let promised =
        unlock.ok() && !history.may_forget(host, unlock.ended) && !history.was_full(hold.from, unlock.ended);
    hold.wrote = hold.read.filter(|_| promised).map(|read| read + 1);
    hold
}

fn overlaps(file: &str, holds: &[Hold]) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut longest: Option<&Hold> = None;
    for hold in holds {
        if let Some(before) = longest.filter(|b| b.to > hold.from) {
            let text = format!(
                "{file}: {} has it until {}, {} from {} on",
                before.client, before.to, hold.client, hold.from
            );
            found.push(Violation::new(Rule::LocksOverlap, hold.from, text));
        }
        if longest.is_none_or(|b| b.to < hold.to) {
            longest = Some(hold);
        }
    }
    found
}

/// Each holder reads at least what holders before it have written; no two write the same.
fn counts(file: &str, holds: &[Hold]) -> Vec<Violation> {
    let mut found = Vec::new();
    let (mut written, mut before) = (BTreeSet::new(), 0);
    for hold in holds {
        if hold.read.is_some_and(|read| read < before) {
            let text = format!(
                "{file}: {} read {:?} under the lock, after {before} was written",
                hold.client, hold.read
            );
            found.push(Violation::new(Rule::LostUpdate, hold.from, text));
        }
        if let Some(wrote) = hold.wrote {
            if !written.insert(wrote) {
                let text = format!("{file}: {} wrote {wrote}, as another had", hold.client);
                found.push(Violation::new(Rule::LostUpdate, hold.from, text));
            }
            before = before.max(wrote);
        }
    }
    found
}

fn at_the_end(file: &str, place: &Place, due: u64, most: u64) -> Option<Violation> {
    let (rule, text) = match place.numbers.get(file) {
        Some(Err(why)) => (Rule::Nonsense, why.clone()),
        Some(Ok(n)) if *n < due => (Rule::LostUpdate, format!("{n}, not {due}")),
        Some(Ok(n)) if *n > most => (Rule::FromNowhere, format!("{n}, not {most}")),
        None if due > 0 => (Rule::LostClosed, format!("nothing, not {due}")),
        _ => return None,
    };
    Some(Violation::new(rule, place.begun, format!("{}: {file}: {text}", place.name)))
}
