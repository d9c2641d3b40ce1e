//! Changes of S and of the seat. When a leader finds one called for is up to its timers, so that it may begin one at any time.

use super::{Action, Steps, append_own};
use crate::config::{BRICKS, Config, Placed, Record, brick};
use crate::model::Model;
use crate::quorum::commits;
use crate::rules::Rules;
use crate::state::{Brick, Trust};

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

/// Gives up a change that is not committed. One that this leader began needs the old configuration only, and so does one that
/// cannot have been committed before; any other that it found may have gone on elsewhere, and is followed by the two steps
/// back. (Both, where the leader may not have heard what shows it.)
fn turn_back(steps: &mut Steps<'_>, leader: usize) {
    let (model, me) = (steps.model, &steps.from.bricks[leader]);
    let (config, own, term) = (me.config(), me.lead.own_joint, me.term);
    let (old, new) = (config.record.old(), config.record.target());
    let others = new.in_sync() & !brick(leader);
    if !model.shape.turning || me.lead.committed >= config.index || others == 0 {
        return;
    }
    let alone = own || was_never_committed(&model.rules, me);
    let newcomer = others & !old.in_sync() != 0;
    let ways = [
        alone.then(|| Record::last(term, old)),
        (!own && newcomer && old.has(leader)).then(|| Record::joint(term, new, old)),
    ];
    for record in ways.into_iter().flatten() {
        let mut to = *steps.from;
        let me = &mut to.bricks[leader];
        me.lead.own_joint = false;
        append_own(model, me, record);
        forget_ends(me);
        to.spent.changes += 1;
        steps.add(Action::TurnBack(leader), to);
    }
}

/// Whether no earlier leader can have committed the joint record that this one found: so many bricks of c' showed logs that
/// ended before the first record like it that the others are no commit quorum.
fn was_never_committed(rules: &Rules, me: &Brick) -> bool {
    let Placed { index, record } = me.config();
    let like = |other: &Placed| other.record.again(0) == record.again(0);
    let mut configs = (1..=index).rev().map(|index| Placed { index, record: me.record(index) });
    let mut configs = configs.by_ref().filter(|placed| placed.record.is_config()).peekable();
    let mut first = index;
    while let Some(placed) = configs.next_if(like) {
        first = placed.index;
    }
    let before_is_final = configs.next().is_none_or(|placed| !placed.record.is_joint());
    let lacks = (0..BRICKS).filter(|b| (1..=first).contains(&me.lead.ended[*b]));
    let lacking = lacks.fold(0, |all, b| all | brick(b));
    let proven = !commits(rules, record.target(), !lacking) || !rules.turn_back_needs_proof;
    proven && (before_is_final || !rules.turn_back_from_final)
}

/// Takes note of where a follower's log ends.
pub fn note_end(model: &Model, lead: &mut Brick, follower: &Brick, i: usize) {
    let counts = follower.trust != Trust::Blank || !model.rules.blank_proves_nothing;
    let end = &mut lead.lead.ended[i];
    if model.shape.turning && counts {
        *end = if *end == 0 { follower.len + 1 } else { (*end).min(follower.len + 1) };
    }
    forget_ends(lead);
}

/// What a leader need not know any more.
pub fn forget_ends(me: &mut Brick) {
    let config = me.config();
    if me.lead.own_joint || !config.record.is_joint() || me.lead.committed >= config.index {
        me.lead.ended = [0; BRICKS];
    }
}
