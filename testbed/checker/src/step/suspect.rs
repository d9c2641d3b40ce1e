//! A brick that lost its power, and the leader's word for it.

use super::change::note_end;
use super::follow::acknowledge;
use super::{Action, Steps, see_term};
use crate::model::Model;
use crate::state::{Role, State, Trust};

pub fn steps(steps: &mut Steps<'_>) {
    for suspect in steps.bricks().filter(|i| steps.from.bricks[*i].trust != Trust::Sound) {
        for leader in steps.leaders() {
            vouch(steps, leader, suspect);
        }
        stale_vouch(steps, suspect);
    }
}

fn vouch(steps: &mut Steps<'_>, leader: usize, suspect: usize) {
    let (model, mut to) = (steps.model, *steps.from);
    let lead = to.bricks[leader];
    let me = &mut to.bricks[suspect];
    let former = lead.term < me.term;
    if leader == suspect || (former && model.rules.vouch_of_term) {
        return;
    }
    if !former {
        see_term(model, me, lead.term);
    }
    if me.role != Role::Follower {
        return;
    }
    let before = *me;
    if !former {
        note_end(model, &mut to.bricks[leader], &before, suspect);
    }
    let me = &mut to.bricks[suspect];
    if !model.rules.fresh_nonce {
        me.stale_vouch = (lead.len + 1, lead.term);
    }
    if former && me.common(&lead) == lead.len {
        (me.agreed, me.vouched) = (lead.len, lead.len + 1);
    } else if !former {
        me.vouched = lowest(me.vouched, lead.len + 1);
    }
    regain_trust(model, &mut to, leader, suspect);
    acknowledge(model, &mut to, suspect);
    steps.add(Action::Vouch { leader, suspect }, to);
}

fn lowest(known: u8, new: u8) -> u8 {
    if known == 0 { new } else { known.min(new) }
}

/// A mutant takes an answer that an earlier start asked for.
fn stale_vouch(steps: &mut Steps<'_>, suspect: usize) {
    let (model, mut to) = (steps.model, *steps.from);
    let me = &mut to.bricks[suspect];
    let (upto, term) = me.stale_vouch;
    if upto == 0 || term < me.term {
        return;
    }
    see_term(model, me, term);
    me.vouched = lowest(me.vouched, upto);
    regain_trust(model, &mut to, suspect, suspect);
    steps.add(Action::StaleVouch(suspect), to);
}

/// A suspect is sound once its log agrees with the leader's as far as the leader said; a new disk not before a committed
/// configuration does without it.
pub fn regain_trust(model: &Model, to: &mut State, leader: usize, i: usize) {
    let committed = to.bricks[leader].lead.committed;
    let me = &mut to.bricks[i];
    let upto = me.vouched.saturating_sub(1);
    let agreed = (me.agreed >= upto && me.journaled >= upto) || !model.rules.agree_to_vouched;
    if me.vouched == 0 || me.role != Role::Follower || !agreed {
        return;
    }
    let config = me.config();
    let left = !config.record.is_joint() && !config.record.has(i) && config.index > 0;
    let learner = left && config.index <= committed.min(me.agreed);
    if me.trust == Trust::Suspect || learner || !model.rules.blank_starts_as_learner {
        (me.trust, me.saved_trust, me.vouched) = (Trust::Sound, Trust::Sound, 0);
    }
}
