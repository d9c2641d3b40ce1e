//! Lies, told to the checker: what a broken volume would have left in a history. Each must be found out, by its rule.

use crate::check::Rule;
use crate::event::{Event, Op};
use crate::history::{History, Track};

/// A lie.
#[derive(Clone, Copy, Debug)]
pub struct Plant {
    pub name: &'static str,
    /// By which the checker finds it.
    pub rule: Rule,
    /// Tells it; false where the history has no place for it.
    tell: fn(&mut History) -> bool,
}

impl Plant {
    /// Falsifies a history; false where it has no place for this lie.
    #[must_use]
    pub fn tell(&self, history: &mut History) -> bool {
        (self.tell)(history)
    }
}

/// All lies.
pub const PLANTS: [Plant; 13] = [
    Plant { name: "a synced line is gone", rule: Rule::LostSynced, tell: synced_line_gone },
    Plant { name: "a line that nobody wrote", rule: Rule::FromNowhere, tell: strange_line },
    Plant { name: "a brick has a torn file", rule: Rule::Nonsense, tell: torn_file },
    Plant { name: "a read misses a closed line", rule: Rule::StaleOpen, tell: line_unseen },
    Plant { name: "a slot shows the version before", rule: Rule::StaleRead, tell: stale_slot },
    Plant { name: "a slot is old at the end", rule: Rule::LostSynced, tell: old_slot },
    Plant { name: "a name shows an older version", rule: Rule::StaleRead, tell: old_name },
    Plant { name: "a name is missing at the end", rule: Rule::LostClosed, tell: name_gone },
    Plant { name: "a removed file is there", rule: Rule::WrongName, tell: file_back },
    Plant { name: "a listing lacks a file", rule: Rule::WrongName, tell: listing_short },
    Plant { name: "two hold a lock", rule: Rule::LocksOverlap, tell: lock_early },
    Plant { name: "two count to the same number", rule: Rule::LostUpdate, tell: same_count },
    Plant { name: "two win a race", rule: Rule::TwoWinners, tell: both_win },
];

fn events<'a>(history: &'a mut History, kind: &str) -> impl Iterator<Item = &'a mut Event> {
    let of = history.tracks.iter_mut().filter(move |t| t.client.starts_with(kind));
    of.flat_map(|t| t.events.iter_mut())
}

/// Number of the last line that a client synced before its handle was closed in good order.
fn synced_line(track: &Track) -> Option<u64> {
    let (mut last, mut synced) = (None, None);
    for event in track.events.iter().filter(|e| e.ok()) {
        match event.op {
            Op::Append { n, .. } => last = Some(n),
            Op::Sync { .. } => synced = last,
            _ => {}
        }
    }
    synced
}

fn synced_line_gone(history: &mut History) -> bool {
    let track = history.tracks.iter().find_map(|t| Some((t.client.clone(), synced_line(t)?)));
    let Some((client, n)) = track else { return false };
    let Some(Ok(lines)) = history.places.iter_mut().find_map(|p| p.lines.as_mut()) else { return false };
    lines.get_mut(&client).is_some_and(|numbers| {
        numbers.retain(|m| *m != n);
        true
    })
}

fn strange_line(history: &mut History) -> bool {
    let Some(Ok(lines)) = history.places.iter_mut().find_map(|p| p.lines.as_mut()) else { return false };
    lines.values_mut().next().is_some_and(|numbers| {
        numbers.push(u64::MAX);
        true
    })
}

fn torn_file(history: &mut History) -> bool {
    let lines = history.places.iter_mut().find_map(|p| p.lines.as_mut());
    lines.is_some_and(|lines| {
        *lines = Err("torn line".into());
        true
    })
}

fn line_unseen(history: &mut History) -> bool {
    for at in 0..history.tracks.len() {
        let (host, client) = match history.tracks.get(at) {
            Some(track) if track.client.starts_with("append") => (track.host.clone(), track.client.clone()),
            _ => continue,
        };
        let others = history.tracks.iter_mut().filter(|t| t.host != host);
        let seen = others.flat_map(|t| t.events.iter_mut()).find_map(|e| match &mut e.op {
            Op::Lines { last, .. } => last.get_mut(&client).filter(|n| **n > 200),
            _ => None,
        });
        if let Some(n) = seen {
            *n -= 200;
            return true;
        }
    }
    false
}

fn stale_slot(history: &mut History) -> bool {
    let get = events(history, "keys").find_map(|e| match &mut e.op {
        Op::Get { fresh: false, seen, .. } => seen.iter_mut().find(|v| **v > 0),
        _ => None,
    });
    get.is_some_and(|version| {
        *version = 0;
        true
    })
}

fn old_slot(history: &mut History) -> bool {
    let Some(slots) = history.places.iter_mut().find_map(|p| p.slots.values_mut().next()) else {
        return false;
    };
    slots.as_mut().is_ok_and(|versions| {
        versions.fill(0);
        true
    })
}

fn old_name(history: &mut History) -> bool {
    for track in history.tracks.iter_mut().filter(|t| t.client.starts_with("replace")) {
        let client = track.client.clone();
        let own = track.events.iter_mut().find_map(|e| match &mut e.op {
            Op::Look { name, seen, .. } if *name == client && *seen > 1 => Some(seen),
            _ => None,
        });
        if let Some(seen) = own {
            *seen -= 1;
            return true;
        }
    }
    false
}

fn name_gone(history: &mut History) -> bool {
    history.places.iter_mut().find_map(|p| p.versions.pop_first()).is_some()
}

fn file_back(history: &mut History) -> bool {
    let removed = events(history, "names").find_map(|e| match &e.op {
        Op::Remove { .. } if e.ok() => Some(e),
        _ => None,
    });
    // It was there, and its removal is said to have found nothing.
    removed.is_some_and(|event| {
        event.errno = Some(libc::ENOENT);
        true
    })
}

fn listing_short(history: &mut History) -> bool {
    let names = history.tracks.iter_mut().filter(|t| t.client.starts_with("names"));
    let mut lists = names.flat_map(|t| t.events.iter_mut().map(|e| (&t.client, e)));
    let own = lists.find_map(|(client, e)| match &mut e.op {
        Op::List { name, seen } if name == client && !seen.is_empty() => Some(seen),
        _ => None,
    });
    own.and_then(Vec::pop).is_some()
}

fn lock_early(history: &mut History) -> bool {
    let mut last = None;
    let mut taken: Vec<&mut Event> = events(history, "flock")
        .filter(|e| e.ok() && matches!(e.op, Op::Lock { .. } | Op::Unlock { .. }))
        .collect();
    taken.sort_by_key(|e| e.ended);
    for event in taken {
        match (&event.op, last) {
            (Op::Unlock { .. }, _) => last = Some(event.begun),
            (Op::Lock { .. }, Some(unlocked)) => {
                event.ended = unlocked - 1;
                event.begun = event.begun.min(event.ended);
                return true;
            }
            _ => {}
        }
    }
    false
}

fn same_count(history: &mut History) -> bool {
    let later = events(history, "fcntl").find_map(|e| match &mut e.op {
        Op::Count { read, .. } if *read > 2 => Some(read),
        _ => None,
    });
    later.is_some_and(|read| {
        *read -= 1;
        true
    })
}

fn both_win(history: &mut History) -> bool {
    let loser = events(history, "win").find(|e| e.errno == Some(libc::EEXIST));
    loser.is_some_and(|event| {
        event.errno = None;
        true
    })
}
