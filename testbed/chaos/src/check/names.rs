//! Names that one client makes and removes: it knows which are there.

use std::collections::{BTreeMap, HashSet};

use rustix::io::Errno;

use super::{Rule, Violation};
use crate::event::{Event, Op};
use crate::history::{History, Track};

/// What a client knows of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    There,
    Gone,
    Unknown,
}

type Model = BTreeMap<String, Known>;

pub fn check(history: &History) -> Vec<Violation> {
    let lists = |t: &&Track| t.events.iter().any(|e| matches!(e.op, Op::Make { .. }));
    history.tracks.iter().filter(lists).flat_map(|t| one(history, t)).collect()
}

fn one(history: &History, track: &Track) -> Vec<Violation> {
    let (mut model, mut found) = (Model::new(), Vec::new());
    for event in &track.events {
        if matches!(event.op, Op::Attach) && history.may_forget(&track.host, event.begun.saturating_sub(1)) {
            model.values_mut().for_each(|known| *known = Known::Unknown);
        }
        for text in follow(&mut model, &track.client, event) {
            let text = format!("{}: {text}", track.client);
            found.push(Violation::new(Rule::WrongName, event.begun, text));
        }
    }
    for place in &history.places {
        for (name, known) in &model {
            let there = place.names.contains(name);
            if (*known == Known::There && !there) || (*known == Known::Gone && there) {
                let text = format!("{}: {name} is {}", place.name, if there { "there" } else { "not there" });
                found.push(Violation::new(Rule::WrongName, place.begun, text));
            }
        }
    }
    found
}

/// Applies one event; returns what is wrong with it.
fn follow(model: &mut Model, own: &str, event: &Event) -> Vec<String> {
    let (name, makes) = match &event.op {
        Op::Make { name } | Op::MakeDir { name } => (name, true),
        Op::Remove { name } | Op::RemoveDir { name } => (name, false),
        Op::List { name, seen } if event.ok() && name == own => return listed(model, seen),
        _ => return Vec::new(),
    };
    let before = model.get(name).copied().unwrap_or(Known::Gone);
    let (after, must) = match (event.errno.map(Errno::from_raw_os_error), makes) {
        (None, true) => (Known::There, Some(Known::Gone)),
        (None, false) => (Known::Gone, Some(Known::There)),
        (Some(Errno::EXIST), true) => (Known::There, Some(Known::There)),
        (Some(Errno::NOENT), false) => (Known::Gone, Some(Known::Gone)),
        // Refused before anything was done.
        (Some(Errno::NOSPC), _) => (before, None),
        (Some(_), _) => (Known::Unknown, None),
    };
    model.insert(name.clone(), after);
    let wrong = must.is_some_and(|must| before != Known::Unknown && before != must);
    let said = event.errno.map_or("done".to_owned(), |e| std::io::Error::from_raw_os_error(e).to_string());
    wrong.then(|| format!("{:?}: {said}, though {name} was {before:?}", event.op)).into_iter().collect()
}

fn listed(model: &mut Model, seen: &[String]) -> Vec<String> {
    let seen: HashSet<&String> = seen.iter().collect();
    let mut wrong = Vec::new();
    for (name, known) in model.iter_mut().filter(|(name, _)| name.contains('/')) {
        let there = seen.contains(name);
        match known {
            Known::There if !there => wrong.push(format!("a listing lacks {name}")),
            Known::Gone if there => wrong.push(format!("a listing shows {name}, which is gone")),
            _ => *known = if there { Known::There } else { Known::Gone },
        }
    }
    wrong
}
