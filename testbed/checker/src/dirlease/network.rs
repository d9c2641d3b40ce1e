//! Connections, leaders and time.

use super::state::{Mount, Renew};
use super::tree::Leader;
use super::{Action, Model, Steps};

pub fn steps(steps: &mut Steps<'_>) {
    tick(steps);
    cut(steps);
    for k in 0..=steps.from.leads {
        attach(steps, k);
    }
    elect(steps);
}

/// The same moment passes for everybody.
fn tick(steps: &mut Steps<'_>) {
    let (bounds, mut to) = (&steps.model.bounds, *steps.from);
    let me = &mut to.mount;
    for age in [&mut me.age, &mut me.lock_age, &mut me.renew_age] {
        *age = (*age + 1).min(bounds.belief + 1);
    }
    for leader in &mut to.leaders {
        leader.recall_age = (leader.recall_age + 1).min(bounds.revoke);
    }
    steps.add(Action::Tick, to);
}

/// The connection breaks: what is on its way is lost.
fn cut(steps: &mut Steps<'_>) {
    let mut to = *steps.from;
    let me = &mut to.mount;
    (me.at, me.delivered, me.answered) = (0, 0, 0);
    me.inbox.cut(0);
    (me.renew, me.renew_void) = (Renew::None, false);
    steps.add(Action::Cut, to);
}

/// A attaches anew, and sends again what was not answered.
fn attach(steps: &mut Steps<'_>, k: u8) {
    let (rules, mut to) = (&steps.model.rules, *steps.from);
    let me = &mut to.mount;
    if me.at > 0 || k + 1 < me.seen {
        return;
    }
    (me.at, me.seen) = (k + 1, k + 1);
    me.believes &= !rules.attach_ends_belief;
    if !me.granted && !rules.belief_from_first_sending {
        me.lock_age = 0;
    }
    steps.add(Action::Attach(usize::from(k)), to);
}

/// Another leader, that has what was committed, and any beginning of the rest.
fn elect(steps: &mut Steps<'_>) {
    let (model, from) = (steps.model, steps.from);
    if from.leads + 1 >= model.bounds.leaders {
        return;
    }
    let former = &from.leaders[usize::from(from.leads)];
    for kept in 0..=former.pending.len() {
        let mut to = *from;
        to.leads += 1;
        let mut next = Leader { applied: former.applied, pending: former.pending, ..Leader::default() };
        next.pending.cut(kept);
        if !model.rules.lease_is_replicated {
            next.applied.lock = 0;
        }
        to.leaders[usize::from(to.leads)] = next;
        steps.add(Action::Elect { kept }, to);
    }
}

/// What makes no difference any more is zero, or as old as can be.
pub fn settle(model: &Model, mount: &mut Mount, leaders: &mut [Leader]) {
    let old = model.bounds.belief + 1;
    mount.believes &= mount.age < old;
    let stands = (0..mount.told.len()).any(|name| model.stands_by(mount, name));
    if !mount.believes && !stands {
        mount.age = old;
    }
    if mount.lease == 0 || mount.granted {
        mount.lock_age = old;
    }
    if mount.renew == Renew::None || mount.renew_void {
        mount.renew_age = old;
    }
    if mount.seen == 2 && model.rules.recall_of_this_leader {
        leaders[0] = Leader::default();
    }
    for leader in leaders {
        if leader.applied.b_done {
            (leader.waiting, leader.recalled) = (false, 0);
        }
        if leader.recalled == 0 {
            leader.recall_age = 0;
        }
    }
}
