//! Promises, leases and reads, without a clock: a lease is one token for each voter that acknowledged a heartbeat, and ends at
//! any time; the voter's promise ends at any time after it, for the lease is counted from the sending of the heartbeat and
//! shorter than the promise, which is counted from its receipt.

use super::witness::{save, see_term};
use super::{Action, Broken, Steps};
use crate::config::{BRICKS, SEATS, Voters, brick, witness};
use crate::model::Model;
use crate::quorum::blocks;
use crate::state::{Brick, Role, State, Trust};

pub fn steps(steps: &mut Steps<'_>) {
    if !steps.model.shape.leases {
        return;
    }
    for leader in steps.leaders() {
        for seat in steps.witnesses() {
            heartbeat(steps, leader, seat);
        }
        lease_ends(steps, leader);
        read(steps, leader);
        answer(steps, leader);
        for to in steps.bricks() {
            handover(steps, leader, to);
        }
    }
    hold_ends(steps);
}

/// A follower's promise.
pub fn promise(model: &Model, me: &mut Brick, term: u8) {
    if model.shape.leases {
        (me.holds, me.hold_term) = (true, term);
    }
}

/// The leader counts it.
pub fn count(model: &Model, to: &mut State, leader: usize, voter: Voters, i: usize) {
    let sound = i >= BRICKS || to.bricks[i].trust == Trust::Sound || !model.rules.suspect_acks_nothing;
    let lead = &mut to.bricks[leader].lead;
    if model.shape.leases && sound {
        lead.lease |= voter;
        lead.round |= if lead.read > 0 { voter } else { 0 };
    }
}

fn heartbeat(steps: &mut Steps<'_>, leader: usize, seat: usize) {
    let (model, mut to) = (steps.model, *steps.from);
    let lead = to.bricks[leader];
    let me = &mut to.witnesses[seat];
    if lead.term < me.register.term || lead.config().record.seats() & witness(seat) == 0 {
        return;
    }
    see_term(me, lead.term);
    save(model, me);
    (me.holds, me.hold_term) = (true, lead.term);
    count(model, &mut to, leader, witness(seat), BRICKS + seat);
    steps.add(Action::Heartbeat { leader, seat }, to);
}

fn lease_ends(steps: &mut Steps<'_>, leader: usize) {
    for voter in 0..BRICKS + SEATS {
        let mut to = *steps.from;
        to.bricks[leader].lead.lease &= !(1 << voter);
        steps.add(Action::LeaseEnds { leader, voter }, to);
    }
}

fn hold_ends(steps: &mut Steps<'_>) {
    let leased = steps.from.bricks.iter().fold(0, |all, brick| all | brick.lead.lease);
    let over = |voter: Voters| leased & voter == 0 || !steps.model.rules.hold_outlasts_lease;
    let (bricks, seats): (Vec<_>, Vec<_>) = (
        steps.bricks().filter(|i| over(brick(*i))).collect(),
        steps.seats().filter(|s| over(witness(*s))).collect(),
    );
    for i in bricks {
        let mut to = *steps.from;
        (to.bricks[i].holds, to.bricks[i].hold_term) = (false, 0);
        steps.add(Action::HoldEnds(i), to);
    }
    for s in seats {
        let mut to = *steps.from;
        (to.witnesses[s].holds, to.witnesses[s].hold_term) = (false, 0);
        steps.add(Action::WitnessHoldEnds(s), to);
    }
}

/// Whether the leader may answer reads by its lease.
fn lease_valid(model: &Model, me: &Brick, i: usize) -> bool {
    let (rules, record) = (&model.rules, me.config().record);
    let enough = blocks(rules, record, me.lead.lease | brick(i)) || !rules.lease_from_enough;
    let member = record.has(i) || !rules.outsider_has_no_lease;
    enough && member && (me.lead.committed >= me.lead.first || !rules.lease_after_commit)
}

/// No leader may answer by a lease and lack what is committed.
pub fn check(model: &Model, state: &State) -> Option<Broken> {
    let stale = |(i, me): (usize, &Brick)| {
        me.leads() && me.lead.committed < state.promised.committed && lease_valid(model, me, i)
    };
    (model.shape.leases && state.bricks.iter().enumerate().any(stale)).then_some(Broken::StaleLease)
}

fn read(steps: &mut Steps<'_>, leader: usize) {
    let mut to = *steps.from;
    let lead = &mut to.bricks[leader].lead;
    if to.spent.reads < steps.model.bounds.reads && lead.read == 0 {
        (lead.read, lead.round) = (to.promised.committed + 1, 0);
        to.spent.reads += 1;
        steps.add(Action::Read(leader), to);
    }
}

fn answer(steps: &mut Steps<'_>, leader: usize) {
    let (rules, mut to) = (&steps.model.rules, *steps.from);
    let me = &mut to.bricks[leader];
    let enough = blocks(rules, me.config().record, me.lead.round | brick(leader)) || !rules.round_from_enough;
    if me.lead.read == 0 || !enough || (me.lead.committed < me.lead.first && rules.lease_after_commit) {
        return;
    }
    let stale = me.lead.committed + 1 < me.lead.read;
    (me.lead.read, me.lead.round) = (0, 0);
    steps.add_checked(Action::AnswerRead(leader), to, stale.then_some(Broken::StaleRead));
}

/// A leader lets go, and the promises to it are void for the one that it named.
fn handover(steps: &mut Steps<'_>, leader: usize, successor: usize) {
    let (rules, mut to) = (&steps.model.rules, *steps.from);
    let lead = &mut to.bricks[leader];
    let (term, ready) = (lead.term, lead.lead.journaled[successor] == lead.len);
    let config = lead.config().record;
    if leader == successor || !ready || config.is_joint() || !config.has(successor) {
        return;
    }
    if rules.release_by_leader {
        lead.follow();
        lead.released = term;
    }
    let next = &mut to.bricks[successor];
    if next.term == term && next.role == Role::Follower {
        next.released = term;
    }
    steps.add(Action::Handover { leader, to: successor }, to);
}
