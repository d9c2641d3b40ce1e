//! Names that all race to make: one wins.

use std::collections::BTreeMap;

use rustix::io::Errno;

use super::{Rule, Violation};
use crate::clock::Micros;
use crate::event::Op;
use crate::history::History;

#[derive(Default)]
struct Race<'a> {
    at: Micros,
    winners: Vec<&'a str>,
    /// Their answer was lost: one of them may have won.
    perhaps: usize,
    /// They were told that the name exists.
    losers: usize,
    /// The winner's mount died, and a brick's kernel with it.
    forgotten: bool,
}

pub fn check(history: &History) -> Vec<Violation> {
    let mut races: BTreeMap<&str, Race> = BTreeMap::new();
    for track in &history.tracks {
        for event in &track.events {
            let Op::Win { name } = &event.op else { continue };
            let race = races.entry(name).or_default();
            race.at = race.at.max(event.ended);
            race.forgotten |= history.may_forget(&track.host, event.ended);
            match event.errno.map(Errno::from_raw_os_error) {
                None => race.winners.push(&track.client),
                Some(Errno::EXIST) => race.losers += 1,
                Some(Errno::NOSPC) => {}
                Some(_) => race.perhaps += 1,
            }
        }
    }
    races.into_iter().flat_map(|(name, race)| judge(history, name, &race)).collect()
}

fn judge(history: &History, name: &str, race: &Race) -> Vec<Violation> {
    let mut found = Vec::new();
    if race.forgotten {
        return found;
    }
    let mut wrong = |rule, text| found.push(Violation::new(rule, race.at, text));
    if race.winners.len() > 1 {
        wrong(Rule::TwoWinners, format!("{name}: {} made it", race.winners.join(" and ")));
    }
    if race.winners.is_empty() && race.perhaps == 0 && race.losers > 0 {
        wrong(Rule::NoWinner, format!("{name} was there, and nobody had made it"));
    }
    for place in &history.places {
        let there = place.names.contains(name);
        if !there && !race.winners.is_empty() {
            wrong(Rule::LostClosed, format!("{}: {name} is not there", place.name));
        }
        if there && race.winners.is_empty() && race.perhaps == 0 {
            wrong(Rule::FromNowhere, format!("{}: {name} is there", place.name));
        }
    }
    found
}
