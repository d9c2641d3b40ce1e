//! The log: what leaders take, send and write, and what followers acknowledge.

use super::change::note_end;
use super::suspect::regain_trust;
use super::{Action, Steps, append_own, journal, lease, see_term};
use crate::config::{Record, brick};
use crate::model::Model;
use crate::state::{State, Trust};

pub fn steps(steps: &mut Steps<'_>) {
    for leader in steps.leaders() {
        propose(steps, leader);
        for follower in steps.bricks() {
            append(steps, leader, follower);
            hear(steps, leader, follower);
        }
        let mut to = *steps.from;
        journal(steps.model, &mut to.bricks[leader]);
        steps.add(Action::Journal(leader), to);
    }
    for i in steps.bricks() {
        let mut to = *steps.from;
        to.bricks[i].synced = to.bricks[i].journaled;
        acknowledge(steps.model, &mut to, i);
        steps.add(Action::Sync(i), to);
    }
}

fn propose(steps: &mut Steps<'_>, leader: usize) {
    let (bounds, mut to) = (steps.model.bounds, *steps.from);
    let me = &mut to.bricks[leader];
    if to.spent.data < bounds.data && me.len < bounds.log {
        to.spent.data += 1;
        append_own(steps.model, me, Record::data(me.term));
        steps.add(Action::Propose(leader), to);
    }
}

/// A frame of the leader: the first record that the follower lacks, or none.
fn append(steps: &mut Steps<'_>, leader: usize, follower: usize) {
    let (model, mut to) = (steps.model, *steps.from);
    let lead = to.bricks[leader];
    let me = &mut to.bricks[follower];
    if leader == follower || me.term > lead.term || (me.term == lead.term && me.leads()) {
        return;
    }
    see_term(model, me, lead.term);
    if me.votes | me.suspects != 0 || me.role != crate::state::Role::Follower {
        me.follow();
    }
    let before = *me;
    note_end(model, &mut to.bricks[leader], &before, follower);
    let me = &mut to.bricks[follower];
    let common = me.common(&lead);
    if common < lead.len {
        me.cut(common);
        me.append(lead.log[usize::from(common)]);
        journal(model, me);
    }
    me.agreed = me.agreed.max(lead.len.min(common + 1));
    lease::promise(model, me, lead.term);
    let after = *me;
    note_end(model, &mut to.bricks[leader], &after, follower);
    regain_trust(model, &mut to, leader, follower);
    acknowledge(model, &mut to, follower);
    lease::count(model, &mut to, leader, brick(follower), follower);
    steps.add(Action::Append { leader, follower }, to);
}

/// A frame without a record, and the answer to it. Anywhere else it adds nothing to an append that comes later.
fn hear(steps: &mut Steps<'_>, leader: usize, follower: usize) {
    let (model, mut to) = (steps.model, *steps.from);
    let lead = to.bricks[leader];
    let me = &mut to.bricks[follower];
    let led = me.term > lead.term || (me.term == lead.term && me.leads());
    if leader == follower || led || !model.shape.turning {
        return;
    }
    see_term(model, me, lead.term);
    if me.role != crate::state::Role::Follower {
        me.follow();
    }
    lease::promise(model, me, lead.term);
    let me = *me;
    note_end(model, &mut to.bricks[leader], &me, follower);
    if to.bricks[leader] != lead {
        steps.add(Action::Hear { leader, follower }, to);
    }
}

/// Tells the leader of the follower's term how far its log is the leader's.
pub fn acknowledge(model: &Model, to: &mut State, follower: usize) {
    let me = to.bricks[follower];
    let counts = me.trust == Trust::Sound || !model.rules.suspect_acks_nothing;
    let leader = to.bricks.iter_mut().find(|other| other.leads() && other.term == me.term);
    if let (Some(leader), true, true) = (leader, counts, me.agreed > 0) {
        let marks = &mut leader.lead;
        marks.journaled[follower] = marks.journaled[follower].max(me.agreed.min(me.journaled));
        marks.synced[follower] = marks.synced[follower].max(me.agreed.min(me.synced));
    }
}
