//! Changes of S and of the seat. When a leader finds one called for is up to its timers, so that it may begin one at any time.

use super::{Action, Steps, append_own};
use crate::config::{Config, Record, brick};

pub fn steps(steps: &mut Steps<'_>) {
    for leader in steps.leaders() {
        let me = &steps.from.bricks[leader];
        let bounds = steps.model.bounds;
        if steps.from.spent.changes >= bounds.changes || me.len >= bounds.log {
            continue;
        }
        if me.config().record.is_joint() {
            turn_back(steps, leader);
            continue;
        }
        demote(steps, leader);
        let settled = me.lead.committed >= me.lead.first.max(me.config().index);
        if settled || !steps.model.rules.one_change {
            grow(steps, leader);
            move_seat(steps, leader);
        }
    }
}

/// Appends the first record of a change.
fn propose(steps: &mut Steps<'_>, leader: usize, new: Config, by_joint: bool) {
    let (model, mut to) = (steps.model, *steps.from);
    to.spent.changes += 1;
    let me = &mut to.bricks[leader];
    let (old, joint) = (me.config().record.target(), by_joint && model.rules.joint_first);
    let record = if joint { Record::joint(me.term, old, new) } else { Record::last(me.term, new) };
    append_own(model, me, record);
    me.lead.own_joint = joint;
    steps.add(Action::Change(leader), to);
}

/// A new S, and each seat that it may have.
fn propose_sync(steps: &mut Steps<'_>, leader: usize, in_sync: u8) {
    let vacant = Config::new(in_sync, None);
    propose(steps, leader, vacant, true);
    if vacant.is_even() {
        for seat in steps.witnesses() {
            propose(steps, leader, Config::new(in_sync, Some(seat)), true);
        }
    }
}

/// The final record of the configuration proves that it is in force, committed or not.
fn demote(steps: &mut Steps<'_>, leader: usize) {
    let config = steps.from.bricks[leader].config().record.target();
    if !steps.model.shape.demotion || !config.has(leader) {
        return;
    }
    for gone in steps.bricks().filter(|b| *b != leader && config.has(*b)) {
        propose_sync(steps, leader, config.in_sync() & !brick(gone));
    }
}

/// A learner that lacks at most one record.
fn grow(steps: &mut Steps<'_>, leader: usize) {
    let me = &steps.from.bricks[leader];
    let config = me.config().record.target();
    if !steps.model.shape.growth || !config.has(leader) {
        return;
    }
    let (marks, len) = (me.lead.journaled, me.len);
    for learner in steps.bricks().filter(|b| *b != leader && !config.has(*b) && marks[*b] + 1 >= len) {
        propose_sync(steps, leader, config.in_sync() | brick(learner));
    }
}

fn move_seat(steps: &mut Steps<'_>, leader: usize) {
    let config = steps.from.bricks[leader].config().record.target();
    if !steps.model.shape.moves || !config.is_even() || !config.has(leader) {
        return;
    }
    let by_joint = steps.model.rules.seat_by_joint;
    let others = steps.witnesses().map(Some).chain([None]);
    for seat in others.filter(|seat| *seat != config.seat()) {
        propose(steps, leader, Config::new(config.in_sync(), seat), by_joint);
    }
}

/// Gives up a change that is not committed. One that this leader began needs the old configuration only; one that it found
/// may have gone on elsewhere, and is followed by the two steps back.
fn turn_back(steps: &mut Steps<'_>, leader: usize) {
    let (model, mut to) = (steps.model, *steps.from);
    let me = &mut to.bricks[leader];
    let (config, own) = (me.config(), me.lead.own_joint || !model.rules.turn_back_own);
    if !model.shape.turning || me.lead.committed >= config.index {
        return;
    }
    let (old, new) = (config.record.old(), config.record.target());
    let newcomer = new.in_sync() & !old.in_sync() & !brick(leader) != 0;
    if new.in_sync() & !brick(leader) == 0 || !(own || newcomer && old.has(leader)) {
        return;
    }
    let record = if own { Record::last(me.term, old) } else { Record::joint(me.term, new, old) };
    me.lead.own_joint = false;
    append_own(model, me, record);
    to.spent.changes += 1;
    steps.add(Action::TurnBack(leader), to);
}
