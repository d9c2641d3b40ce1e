//! What a mount lists of a folder in which a client of another mount works: all that was acknowledged before it looked.

use std::collections::{BTreeMap, HashSet};

use rustix::io::Errno;

use super::{Rule, Violation};
use crate::clock::Micros;
use crate::event::{Event, Op};
use crate::history::{History, Track};

/// One request for a name.
struct Change {
    begun: Micros,
    ended: Micros,
    /// Whether the name was there after it; `None`: nobody knows.
    there: Option<bool>,
}

pub fn check(history: &History) -> Vec<Violation> {
    let mut found = Vec::new();
    for owner in &history.tracks {
        let names = changes(owner);
        if names.is_empty() {
            continue;
        }
        for reader in history.tracks.iter().filter(|t| t.client != owner.client) {
            for event in reader.events.iter().filter(|e| e.ok()) {
                let Op::List { name, seen } = &event.op else { continue };
                if *name == owner.client {
                    found.extend(wrong(history, owner, &names, event, seen).map(|text| {
                        Violation::new(Rule::WrongName, event.begun, format!("{}: {text}", reader.client))
                    }));
                }
            }
        }
    }
    found
}

/// By name, in order.
fn changes(owner: &Track) -> BTreeMap<&str, Vec<Change>> {
    let mut names = BTreeMap::<&str, Vec<Change>>::new();
    for event in &owner.events {
        let (name, makes) = match &event.op {
            Op::Make { name } | Op::MakeDir { name } => (name, true),
            Op::Remove { name } | Op::RemoveDir { name } => (name, false),
            _ => continue,
        };
        let there = match (event.errno.map(Errno::from_raw_os_error), makes) {
            (None, makes) => Some(makes),
            (Some(Errno::EXIST), true) => Some(true),
            (Some(Errno::NOENT), false) => Some(false),
            (Some(_), _) => None,
        };
        if name.contains('/') {
            names.entry(name).or_default().push(Change { begun: event.begun, ended: event.ended, there });
        }
    }
    names
}

fn wrong<'a>(
    history: &'a History,
    owner: &'a Track,
    names: &'a BTreeMap<&str, Vec<Change>>,
    list: &'a Event,
    seen: &'a [String],
) -> impl Iterator<Item = String> + 'a {
    let seen: HashSet<&str> = seen.iter().map(String::as_str).collect();
    names.iter().filter_map(move |(name, changes)| {
        // The last one before the listing's end must have been answered before its beginning.
        let last = changes[..changes.partition_point(|c| c.begun < list.ended)].last()?;
        let there = last.there.filter(|_| last.ended < list.begun)?;
        let differs = there != seen.contains(name) && !history.may_forget(&owner.host, last.ended);
        differs.then(|| format!("a listing {} {name}", if there { "lacks" } else { "shows the removed" }))
    })
}
