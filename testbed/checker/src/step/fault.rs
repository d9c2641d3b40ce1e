//! What breaks. Whatever goes down is started again in the same step, for one that is down is one that takes no steps.

use super::{Action, Steps};
use crate::config::Record;
use crate::model::Model;
use crate::state::{Brick, Register, Trust};

pub fn steps(steps: &mut Steps<'_>) {
    let (bounds, spent) = (steps.model.bounds, steps.from.spent);
    for i in steps.bricks() {
        if spent.crashes < bounds.crashes {
            crash(steps, i);
        }
        if spent.powers < bounds.powers {
            let me = &steps.from.bricks[i];
            for kept in me.synced..=me.journaled {
                lose_power(steps, i, kept);
            }
        }
        if spent.disks < bounds.disks {
            new_disk(steps, i);
        }
    }
    if spent.witness_faults < bounds.witness_faults {
        for seat in steps.witnesses() {
            crash_witness(steps, seat);
            lose_register(steps, seat);
        }
    }
}

/// A start: what was not saved is forgotten, what was promised is not.
fn restart(model: &Model, me: &mut Brick) {
    me.cut(me.journaled);
    me.follow();
    ((me.term, me.voted), me.trust) = (me.saved, me.saved_trust);
    if me.end().0 > me.term {
        (me.term, me.voted) = (me.end().0, 0);
    }
    me.saved = if model.rules.vote_saved { (me.term, me.voted) } else { me.saved };
    me.holds = model.shape.leases && model.rules.hold_after_restart;
    (me.hold_term, me.released) = (if me.holds { me.term } else { 0 }, 0);
}

fn crash(steps: &mut Steps<'_>, i: usize) {
    let mut to = *steps.from;
    to.spent.crashes += 1;
    restart(steps.model, &mut to.bricks[i]);
    steps.add(Action::Crash(i), to);
}

fn lose_power(steps: &mut Steps<'_>, i: usize, kept: u8) {
    let (model, mut to) = (steps.model, *steps.from);
    let rules = &model.rules;
    to.spent.powers += 1;
    let me = &mut to.bricks[i];
    let lost = me.config_upto(me.journaled).filter(|config| config.index > kept);
    if let (0, Some(lost)) = (me.ahead_at, lost) {
        let stands = if lost.record.is_joint() { !rules.joint_ahead_falls } else { rules.final_ahead_stands };
        (me.ahead, me.ahead_at) = if stands { (lost.record, lost.index) } else { (Record::default(), 0) };
    }
    me.cut(kept);
    me.synced = kept;
    me.settle_config();
    restart(model, me);
    if me.trust == Trust::Sound && rules.suspect_is_noticed {
        me.trust = Trust::Suspect;
        if rules.suspicion_saved {
            me.saved_trust = Trust::Suspect;
        }
    }
    steps.add(Action::PowerLoss { brick: i, kept }, to);
}

fn new_disk(steps: &mut Steps<'_>, i: usize) {
    let mut to = *steps.from;
    to.spent.disks += 1;
    to.bricks[i] = Brick { trust: Trust::Blank, saved_trust: Trust::Blank, ..Brick::default() };
    steps.add(Action::NewDisk(i), to);
}

fn crash_witness(steps: &mut Steps<'_>, seat: usize) {
    let mut to = *steps.from;
    to.spent.witness_faults += 1;
    let me = &mut to.witnesses[seat];
    me.register = me.saved;
    me.holds = steps.model.shape.leases && steps.model.rules.hold_after_restart;
    me.hold_term = if me.holds { me.register.term } else { 0 };
    steps.add(Action::WitnessCrash(seat), to);
}

fn lose_register(steps: &mut Steps<'_>, seat: usize) {
    let mut to = *steps.from;
    to.spent.witness_faults += 1;
    let me = &mut to.witnesses[seat];
    (me.register, me.saved) = (Register::default(), Register::default());
    (me.holds, me.hold_term) = (false, 0);
    me.lost = steps.model.rules.lost_register_is_a_stranger;
    steps.add(Action::RegisterLost(seat), to);
}
