//! What a leader counts as committed and as durable, and the end of a configuration change.

use super::change::forget_ends;
use super::{Action, Broken, Steps, append_own};
use crate::config::{BRICKS, Record, Voters, brick};
use crate::model::Model;
use crate::quorum::{commits, elects, reached};
use crate::state::{Brick, Promised};

pub fn steps(steps: &mut Steps<'_>) {
    for leader in steps.leaders() {
        advance(steps, leader);
        early_final(steps, leader);
    }
}

/// Moves both indexes as far as they go. A joint record that is committed is followed by its final one at once.
fn advance(steps: &mut Steps<'_>, leader: usize) {
    let (model, mut to) = (steps.model, *steps.from);
    let me = &mut to.bricks[leader];
    let mut broken = None;
    loop {
        let target = committable(model, me, leader);
        if target > me.lead.committed && (target >= me.lead.first || !model.rules.own_term_commits) {
            me.lead.committed = target;
            if !model.shape.growing {
                broken = broken.or(promise(&mut to.promised, me, target));
            }
        }
        let config = me.config();
        if me.lead.committed < config.index || !config.record.is_joint() {
            break;
        }
        if me.len >= model.bounds.log {
            return;
        }
        me.lead.own_joint = false;
        append_own(model, me, Record::last(me.term, config.record.target()));
    }
    forget_ends(me);
    let durable = durable(model, me, leader).min(me.lead.committed);
    if model.shape.growing && durable >= me.lead.first {
        broken = promise(&mut to.promised, me, durable);
    }
    to.promised.durable = to.promised.durable.max(durable);
    steps.add_checked(Action::Commit(leader), to, broken);
}

/// Notes what is committed: one record for each index, for ever.
fn promise(promised: &mut Promised, me: &Brick, upto: u8) -> Option<Broken> {
    let committed = usize::from(upto);
    let known = usize::from(promised.committed).min(committed);
    if promised.log[..known] != me.log[..known] {
        return Some(Broken::TwoValues);
    }
    promised.log[known..committed].copy_from_slice(&me.log[known..committed]);
    promised.committed = promised.committed.max(upto);
    promised.term = promised.term.max(me.term);
    None
}

fn journaled(model: &Model, me: &Brick, i: usize) -> [u8; BRICKS] {
    let mut marks = me.lead.journaled;
    marks[i] = if model.rules.own_journal_counts { me.journaled } else { me.len };
    marks
}

fn synced(model: &Model, me: &Brick, i: usize) -> [u8; BRICKS] {
    if !model.rules.durable_is_synced {
        return journaled(model, me, i);
    }
    let mut marks = me.lead.synced;
    marks[i] = me.synced;
    marks
}

fn committable(model: &Model, me: &Brick, i: usize) -> u8 {
    let (rules, config, marks) = (&model.rules, me.config(), journaled(model, me, i));
    if !config.record.is_joint() {
        return reached(rules, config.record.target(), marks);
    }
    let (old, new) = (config.record.old(), config.record.target());
    if joint_stored(model, me, i) {
        let least = if rules.joint_needs_new { 0 } else { config.index };
        return reached(rules, new, marks).max(least);
    }
    if !rules.joint_blocks {
        return reached(rules, old, marks);
    }
    // Behind another joint record that is not committed nothing is, either.
    let before = me.config_upto(config.index.min(me.len + 1) - 1);
    if before.is_some_and(|placed| placed.record.is_joint()) {
        return 0;
    }
    reached(rules, old, marks).min(config.index - 1)
}

/// Whether an election quorum of the old configuration and a commit quorum of the new one have the joint record synced.
fn joint_stored(model: &Model, me: &Brick, i: usize) -> bool {
    let (rules, config) = (&model.rules, me.config());
    let marks = if rules.joint_is_synced { synced(model, me, i) } else { journaled(model, me, i) };
    let have = (0..BRICKS).filter(|b| marks[*b] >= config.index).fold(0, |all: Voters, b| all | brick(b));
    let by_old = elects(rules, config.record.old(), have | me.lead.stored) || !rules.joint_needs_old;
    let by_new = commits(rules, config.record.target(), have) || !rules.joint_needs_new;
    by_old && by_new
}

fn durable(model: &Model, me: &Brick, i: usize) -> u8 {
    let (config, marks) = (me.config(), synced(model, me, i));
    if config.record.is_joint() {
        return reached(&model.rules, config.record.old(), marks).min(config.index - 1);
    }
    reached(&model.rules, config.record.target(), marks)
}

/// A mutant's final record does not wait for the joint one.
fn early_final(steps: &mut Steps<'_>, leader: usize) {
    let (model, mut to) = (steps.model, *steps.from);
    let me = &mut to.bricks[leader];
    let config = me.config().record;
    if !model.rules.final_after_joint && config.is_joint() && me.len < model.bounds.log {
        append_own(model, me, Record::last(me.term, config.target()));
        steps.add(Action::Final(leader), to);
    }
}
