//! The witness: its vote, and the configuration that it remembers.

use super::elect::asked_seats;
use super::{Action, Broken, Steps};
use crate::config::{Placed, witness};
use crate::model::Model;
use crate::state::{Role, State, Witness};

pub fn steps(steps: &mut Steps<'_>) {
    for seat in steps.witnesses() {
        for candidate in steps.bricks() {
            vote(steps, seat, candidate);
        }
        for leader in steps.leaders() {
            store(steps, leader, seat);
        }
        let mut to = *steps.from;
        to.witnesses[seat].saved = to.witnesses[seat].register;
        steps.add(Action::WitnessSave(seat), to);
    }
}

pub fn see_term(witness: &mut Witness, term: u8) {
    if term > witness.register.term {
        (witness.register.term, witness.register.voted) = (term, 0);
    }
}

/// The register is as good as its fsync.
pub fn save(model: &Model, witness: &mut Witness) {
    if model.rules.witness_saved {
        witness.saved = witness.register;
    }
}

fn vote(steps: &mut Steps<'_>, seat: usize, candidate: usize) {
    let (model, mut to) = (steps.model, *steps.from);
    let rules = &model.rules;
    let asking = to.bricks[candidate];
    if asking.role != Role::Candidate || asked_seats(rules, &asking, candidate) & witness(seat) == 0 {
        return;
    }
    let me = &mut to.witnesses[seat];
    let held = model.shape.leases && me.holds && asking.released < me.hold_term;
    let old = asking.config().at() < me.register.config && rules.witness_compares_configs;
    if asking.term < me.register.term || held || old {
        return;
    }
    let taken = me.register.voted != 0 && me.register.voted != candidate as u8 + 1;
    if asking.term == me.register.term && taken && rules.witness_one_vote {
        return;
    }
    see_term(me, asking.term);
    me.register.voted = candidate as u8 + 1;
    save(model, me);
    to.bricks[candidate].votes |= witness(seat);
    steps.add(Action::WitnessVote { seat, candidate }, to);
}

/// The holder of the seat must store a configuration; any other witness shall know it.
fn store(steps: &mut Steps<'_>, leader: usize, seat: usize) {
    let (rules, lead) = (&steps.model.rules, &steps.from.bricks[leader]);
    let newest = lead.config();
    if lead.synced >= newest.index || !rules.witness_told_when_durable {
        store_config(steps, leader, seat, newest);
    }
    if !rules.witness_keeps_newer_config {
        let former = (lead.lead.first..newest.index).filter_map(|at| lead.config_upto(at));
        for config in former.filter(|config| config.record.term() == lead.term) {
            store_config(steps, leader, seat, config);
        }
    }
}

fn store_config(steps: &mut Steps<'_>, leader: usize, seat: usize, config: Placed) {
    let (model, mut to) = (steps.model, *steps.from);
    let lead = &mut to.bricks[leader];
    let me = &mut to.witnesses[seat];
    if lead.term < me.register.term {
        return;
    }
    see_term(me, lead.term);
    let register = &mut me.register;
    let newer = lead.term > register.stored_in || config.at() >= register.config;
    if newer || !model.rules.witness_keeps_newer_config {
        (register.stored_in, register.config) = (lead.term, config.at());
    }
    if register.config == lead.config().at() {
        lead.lead.stored |= config.record.seats() & witness(seat);
    }
    save(model, me);
    steps.add(Action::Store { leader, seat }, to);
}

/// A witness must not ask for a configuration that power took from the only brick that had it. (Of three bricks, two may go
/// on without the one that told the witness, and tell it of theirs; as may a leader that asks another witness, and a brick
/// that is all of S, which asks none.)
pub fn check(model: &Model, state: &State) -> Option<Broken> {
    let known = state.bricks.iter().map(|brick| brick.config().at()).max();
    let orphan = state.witnesses.iter().any(|witness| Some(witness.register.config) > known);
    let shape = &model.shape;
    let judged =
        shape.lazy_sync && shape.bricks == 2 && shape.seats == 1 && !shape.growing && state.spent.disks == 0;
    (judged && orphan).then_some(Broken::Orphan)
}
