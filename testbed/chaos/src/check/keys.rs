//! Slots of a file for each client: one writes, all read.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::writes::{Write, answered_before, newest_before, writes};
use super::{Rule, Violation};
use crate::clock::Micros;
use crate::event::Op;
use crate::history::{History, Track};

struct Owner<'a> {
    track: &'a Track,
    /// By slot.
    writes: Vec<Vec<Write>>,
}

/// Versions that somebody saw.
struct Sight<'a> {
    /// The client, or the place.
    who: &'a str,
    /// Where: a mount's host, or nothing for a brick.
    host: Option<&'a str>,
    /// The reader is the owner itself, which does one thing after the other.
    own: bool,
    begun: Micros,
    ended: Micros,
    versions: &'a [u64],
    /// All clients have ended by then.
    last: bool,
    /// What it shows was committed, and nothing may have undone that.
    commits: bool,
}

/// The newest version that reads on other mounts showed, in the order of their beginnings.
#[derive(Default)]
struct Shown {
    /// By their ends.
    under_way: BinaryHeap<Reverse<(Micros, u64)>>,
    newest: u64,
}

impl Shown {
    /// Of those that ended before `at`, which does not get smaller.
    fn before(&mut self, at: Micros) -> u64 {
        while let Some(Reverse((ended, version))) = self.under_way.peek().copied()
            && ended < at
        {
            self.newest = self.newest.max(version);
            self.under_way.pop();
        }
        self.newest
    }
}

pub fn check(history: &History) -> Vec<Violation> {
    let writes_slots = |t: &&Track| t.events.iter().any(|e| matches!(e.op, Op::Put { .. }));
    let owners = history.tracks.iter().filter(writes_slots);
    owners.flat_map(|track| one(history, track)).collect()
}

fn one(history: &History, track: &Track) -> Vec<Violation> {
    let mut by_slot = vec![Vec::new(); crate::format::SLOTS];
    for write in writes(history, track, &track.client) {
        if let Some(slot) = by_slot.get_mut(write.slot) {
            slot.push(write);
        }
    }
    let owner = Owner { track, writes: by_slot };
    let mut found = Vec::new();
    let mut sights = sights(history, track, &mut found);
    sights.sort_by_key(|s| s.begun);
    for (slot, writes) in owner.writes.iter().enumerate() {
        found.extend(slot_violations(history, &owner, slot, writes, &sights));
    }
    found
}

fn sights<'a>(history: &'a History, owner: &Track, found: &mut Vec<Violation>) -> Vec<Sight<'a>> {
    let mut all = Vec::new();
    for track in &history.tracks {
        for event in track.events.iter().filter(|e| e.ok()) {
            let Op::Get { file, seen, wrong: None, .. } = &event.op else { continue };
            if *file == owner.client {
                let own = track.client == owner.client;
                let (who, host) = (track.client.as_str(), Some(track.host.as_str()));
                let (begun, ended) = (event.begun, event.ended);
                let commits = host != Some(owner.host.as_str()) && !history.may_forget(&owner.host, begun);
                all.push(Sight { who, host, own, begun, ended, versions: seen, last: false, commits });
            }
        }
    }
    for place in &history.places {
        match place.slots.get(&owner.client) {
            Some(Ok(versions)) => {
                let (begun, ended) = (place.begun, Micros::MAX);
                let (who, host) = (place.name.as_str(), None);
                let (own, last, commits) = (false, true, false);
                all.push(Sight { who, host, own, begun, ended, versions, last, commits });
            }
            Some(Err(why)) => {
                let text = format!("{}: {}: {why}", place.name, owner.client);
                found.push(Violation::new(Rule::Nonsense, place.begun, text));
            }
            None if owner.events.iter().any(|e| e.ok() && matches!(e.op, Op::Put { .. })) => {
                let text = format!("{}: {} is missing", place.name, owner.client);
                found.push(Violation::new(Rule::LostClosed, place.begun, text));
            }
            None => {}
        }
    }
    all
}

fn slot_violations(
    history: &History,
    owner: &Owner,
    slot: usize,
    writes: &[Write],
    sights: &[Sight],
) -> Vec<Violation> {
    let host = owner.track.host.as_str();
    let mut found = Vec::new();
    let mut shown = Shown::default();
    for sight in sights {
        let Some(seen) = sight.versions.get(slot).copied() else { continue };
        let before = shown.before(sight.begun);
        let wrong = judge(history, host, writes, sight, seen)
            .or_else(|| (before > seen).then_some((Rule::Backwards, before)));
        if let Some((rule, want)) = wrong {
            let file = &owner.track.client;
            let text = format!("{}: slot {slot} of {file} shows version {seen}, not {want}", sight.who);
            found.push(Violation::new(rule, sight.begun, text));
        }
        if sight.commits {
            shown.under_way.push(Reverse((sight.ended, seen)));
        }
    }
    found
}

/// What a sight must show at least, and can show at most.
fn judge(history: &History, host: &str, writes: &[Write], sight: &Sight, seen: u64) -> Option<(Rule, u64)> {
    let same = sight.own || sight.host == Some(host);
    let due = |w: &&Write| {
        let void = w.void.is_some_and(|at| at <= sight.ended);
        let since = if same || sight.last { Some(w.ended) } else { w.promised() };
        let kept =
            if sight.last { w.stays(history, host) } else { !void && !history.may_forget(host, w.ended) };
        kept && since.is_some_and(|at| at < sight.begun)
    };
    if let Some(due) = answered_before(writes, sight.begun).iter().rev().find(due)
        && due.n > seen
    {
        let rule = match (sight.last, same, due.synced, due.closed) {
            (true, _, Some(_), _) => Rule::LostSynced,
            (true, _, None, Some(_)) => Rule::LostClosed,
            (true, ..) => Rule::LostWrite,
            (false, true, ..) => Rule::StaleRead,
            (false, false, ..) => Rule::StaleOpen,
        };
        return Some((rule, due.n));
    }
    let found = writes.binary_search_by_key(&seen, |w| w.n).ok().and_then(|at| writes.get(at));
    let written = seen == 0 || found.is_some_and(|w| w.begun < sight.ended);
    let most = newest_before(writes, sight.ended).map_or(0, |w| w.n);
    (!written).then_some((Rule::FromNowhere, most))
}
