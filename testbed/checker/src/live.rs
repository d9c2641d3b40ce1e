//! Whether a replica set can go on once nothing fails any more: some brick must be able to become a leader and commit.

use crate::model::{Bounds, Model};
use crate::state::{LOG, State, Trust};
use crate::step::{self, Action, Step};

/// No more faults, no more changes, as many terms and records as it takes.
const QUIET: Bounds = Bounds {
    terms: 15,
    log: LOG as u8,
    data: 0,
    crashes: 0,
    powers: 0,
    witness_faults: 0,
    changes: 0,
    reads: 0,
    disks: 0,
};

/// Whether there is a way on. A new disk may have held the only copy: such states are not judged.
#[must_use]
pub fn goes_on(model: &Model, state: &State) -> bool {
    let mut model = *model;
    (model.bounds, model.shape.leases) = (QUIET, false);
    let bricks = 0..model.shape.bricks;
    let blank = state.bricks.iter().any(|brick| brick.trust == Trust::Blank);
    blank || bricks.into_iter().any(|i| leads_on(&model, *state, i))
}

/// Whether this brick becomes a leader that has committed all of its log, when everybody helps it.
fn leads_on(model: &Model, mut state: State, i: usize) -> bool {
    for brick in &mut state.bricks {
        (brick.holds, brick.hold_term) = (false, 0);
    }
    for witness in &mut state.witnesses {
        (witness.holds, witness.hold_term) = (false, 0);
    }
    let mut steps = Vec::new();
    loop {
        let me = &state.bricks[i];
        if me.leads() && me.lead.committed == me.len && me.len >= me.lead.first {
            return true;
        }
        step::all(model, &state, &mut steps);
        let helpful = |step: &&Step| rank(&state, i, step.action).is_some();
        let Some(best) = steps.iter().filter(helpful).min_by_key(|step| rank(&state, i, step.action)) else {
            return false;
        };
        state = best.to;
    }
}

/// What helps the brick, the most urgent first.
fn rank(state: &State, i: usize, action: Action) -> Option<u8> {
    let me = &state.bricks[i];
    let top =
        state.bricks.iter().map(|b| b.term).chain(state.witnesses.iter().map(|w| w.register.term)).max();
    let asks = me.role == crate::state::Role::Candidate && Some(me.term) == top;
    match action {
        Action::Learn { brick, .. } if brick == i || me.leads() || asks => Some(0),
        Action::Campaign(candidate) if candidate == i => Some(if asks { 7 } else { 1 }),
        Action::Win(candidate) if candidate == i => Some(2),
        Action::Vote { candidate, .. } | Action::WitnessVote { candidate, .. } if candidate == i => Some(3),
        Action::Journal(_) | Action::Sync(_) if me.leads() => Some(4),
        Action::Append { leader, .. } | Action::Vouch { leader, .. } | Action::Store { leader, .. }
            if leader == i =>
        {
            Some(5)
        }
        Action::Commit(leader) if leader == i => Some(6),
        _ => None,
    }
}
