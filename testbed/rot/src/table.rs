//! The figures at the end.

use std::collections::BTreeMap;

use clap::ValueEnum;

use crate::kind::Kind;
use crate::round::{Noticed, Outcome, Round};

/// One line for each kind.
#[must_use]
pub fn table(rounds: &[Round]) -> String {
    let mut by_kind: BTreeMap<Kind, Vec<&Round>> = BTreeMap::new();
    for round in rounds {
        by_kind.entry(round.kind).or_default().push(round);
    }
    let mut out = format!(
        "{:<16} {:>6}  {:>5} {:>5} {:>5} {:>5}  {:>8} {:>7} {:>8} {:>5}  {:>7}\n",
        "KIND",
        "ROUNDS",
        "START",
        "READ",
        "SCRUB",
        "NEVER",
        "REPAIRED",
        "REFUSED",
        "HARMLESS",
        "WRONG",
        "SECONDS"
    );
    for (kind, rounds) in by_kind {
        let at = |noticed| rounds.iter().filter(|r| r.noticed == noticed).count();
        let wrong = rounds.iter().filter(|r| matches!(r.outcome, Outcome::Wrong(_))).count();
        let ended = |outcome: &Outcome| rounds.iter().filter(|r| r.outcome == *outcome).count();
        let seconds: f64 = rounds.iter().map(|r| r.seconds).sum::<f64>() / rounds.len() as f64;
        let name = kind.to_possible_value().map(|v| v.get_name().to_owned()).unwrap_or_default();
        out += &format!(
            "{name:<16} {:>6}  {:>5} {:>5} {:>5} {:>5}  {:>8} {:>7} {:>8} {wrong:>5}  {seconds:>7.1}\n",
            rounds.len(),
            at(Noticed::Start),
            at(Noticed::Read),
            at(Noticed::Scrub),
            at(Noticed::Never),
            ended(&Outcome::Repaired),
            ended(&Outcome::Refused),
            ended(&Outcome::Harmless),
        );
    }
    out
}
