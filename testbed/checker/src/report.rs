//! What a run found, as tables and as JSON.

use serde::Serialize;

use crate::search::{Found, Violation};

/// The bounds of a model of either protocol.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(untagged)]
pub enum Limits {
    Replication(crate::model::Bounds),
    DirLease(crate::dirlease::Bounds),
}

/// A model that was explored.
#[derive(Debug, Serialize)]
pub struct Explored {
    pub model: &'static str,
    pub bounds: Limits,
    pub states: usize,
    pub transitions: u64,
    pub depth: usize,
    pub seconds: f64,
    pub ok: bool,
    /// What is broken, or why the search ended early.
    pub problem: Option<String>,
    /// The steps of a shortest counterexample.
    pub trace: Vec<String>,
}

/// A rule that was taken out.
#[derive(Debug, Serialize)]
pub struct Hunted {
    pub rule: &'static str,
    pub model: &'static str,
    pub bounds: Limits,
    pub states: usize,
    pub seconds: f64,
    /// As expected: caught, or known to be spare and not caught.
    pub ok: bool,
    pub caught: Option<String>,
    /// Why nothing is expected to be caught.
    pub spare: Option<&'static str>,
    pub trace: Vec<String>,
}

fn steps(violation: Option<&Violation>) -> Vec<String> {
    violation.iter().flat_map(|found| &found.trace).map(|(action, _)| action.clone()).collect()
}

impl Explored {
    #[must_use]
    pub fn new(model: &'static str, bounds: Limits, found: &Found) -> Self {
        let broken = found.violation.as_ref().map(|violation| violation.broken.clone());
        let early = (!found.complete).then(|| "the limit of states was reached".to_owned());
        Self {
            model,
            bounds,
            states: found.states,
            transitions: found.transitions,
            depth: found.depth,
            seconds: found.took.as_secs_f64(),
            ok: found.complete && broken.is_none(),
            problem: broken.or(early),
            trace: steps(found.violation.as_ref()),
        }
    }

    #[must_use]
    pub fn line(&self) -> String {
        let Self { model, states, transitions, depth, seconds, .. } = self;
        let result = self.problem.as_deref().unwrap_or("holds");
        let bounds = self.bounds.columns();
        format!("{model:<14} {bounds} {states:>11} {transitions:>12} {depth:>6} {seconds:>8.1}  {result}")
    }
}

impl Hunted {
    #[must_use]
    pub fn new(
        rule: &'static str,
        model: &'static str,
        spare: Option<&'static str>,
        bounds: Limits,
        found: &Found,
    ) -> Self {
        let caught = found.violation.as_ref().map(|violation| violation.broken.clone());
        let expected = if spare.is_some() { found.complete } else { caught.is_some() };
        Self {
            rule,
            model,
            bounds,
            states: found.states,
            seconds: found.took.as_secs_f64(),
            ok: expected,
            caught,
            spare,
            trace: steps(found.violation.as_ref()),
        }
    }

    #[must_use]
    pub fn line(&self) -> String {
        let Self { rule, model, states, .. } = self;
        let steps = if self.trace.is_empty() { "-".to_owned() } else { self.trace.len().to_string() };
        let result = match (&self.caught, self.ok) {
            (Some(broken), true) => broken,
            (Some(_), false) => "CAUGHT, AND NOT EXPECTED TO BE",
            (None, true) => "spare",
            (None, false) => "NOT CAUGHT",
        };
        format!("{rule:<28} {model:<14} {states:>9} {steps:>6}  {result}")
    }
}

impl Limits {
    /// What the columns of a line are. For replication: last term, records of a log, clients' records, crashes, power losses,
    /// faults of witnesses, changes, reads, new disks. For leases on directories: leaders, leases, names, ticks of belief,
    /// ticks before a revocation.
    #[must_use]
    pub const fn head(&self) -> &'static str {
        match self {
            Self::Replication(_) => {
                "model           ter log dat cra pow wit cha rea dis      states  transitions  depth  seconds  result"
            }
            Self::DirLease(_) => {
                "model           lea ask nam bel rev                      states  transitions  depth  seconds  result"
            }
        }
    }

    fn columns(&self) -> String {
        let all: &[u8] = match self {
            Self::Replication(b) => {
                &[b.terms, b.log, b.data, b.crashes, b.powers, b.witness_faults, b.changes, b.reads, b.disks]
            }
            Self::DirLease(b) => &[b.leaders, b.locks, b.names, b.belief, b.revoke],
        };
        let columns: String = all.iter().map(|bound| format!("{bound:>4}")).collect();
        format!("{columns:<36}")
    }
}

pub const MUTANTS_HEAD: &str = "rule taken out               model             states  steps  what is broken";
