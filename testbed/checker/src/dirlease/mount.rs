//! The mount A.

use super::state::{Mount, Renew, Request, Told, Word};
use super::{Action, Goal, Model, Steps};

pub fn steps(steps: &mut Steps<'_>) {
    hear(steps);
    ask_lock(steps);
    ask_renew(steps);
    give_back(steps);
    for name in 0..steps.model.bounds.names {
        create(steps, name);
        send(steps, name);
    }
}

impl Model {
    /// Whether A answers its programs by itself.
    pub fn believes(&self, mount: &Mount) -> bool {
        mount.believes && mount.age <= self.bounds.belief
    }

    /// Whether a program that was told "created" may go on with that name before the leader has confirmed it.
    pub fn stands_by(&self, mount: &Mount, name: usize) -> bool {
        let told = matches!(mount.told[name], Told::Unsent | Told::Created);
        let doubts = self.rules.doubt_after_belief && self.bounds.revoke > 0;
        told && (mount.age <= self.bounds.belief || !doubts)
    }
}

fn ask_lock(steps: &mut Steps<'_>) {
    let mut to = *steps.from;
    let me = &mut to.mount;
    if me.locks < steps.model.bounds.locks && me.lease == 0 && me.has_room() {
        me.window.push(Request::Lock);
        me.locks += 1;
        (me.lease, me.lock_age) = (me.number(me.window.len() - 1), 0);
        steps.add(Action::AskLock, to);
    }
}

fn ask_renew(steps: &mut Steps<'_>) {
    let mut to = *steps.from;
    let me = &mut to.mount;
    if me.granted && me.renew == Renew::None && me.at > 0 {
        (me.renew, me.renew_age, me.renew_void) = (Renew::Asked, 0, false);
        steps.add(Action::AskRenew, to);
    }
}

fn create(steps: &mut Steps<'_>, name: u8) {
    let (model, mut to) = (steps.model, *steps.from);
    let (me, place) = (&mut to.mount, usize::from(name));
    if me.told[place] != Told::Nothing || !model.believes(me) || !me.has_room() {
        return;
    }
    me.under[place] = me.lease;
    if model.rules.unlock_behind_creates {
        me.told[place] = Told::Created;
        me.window.push(Request::Create(name));
    } else {
        me.told[place] = Told::Unsent;
    }
    steps.add(Action::Create(name), to);
}

/// What the mutant has told its program, and not sent.
fn send(steps: &mut Steps<'_>, name: u8) {
    let mut to = *steps.from;
    let (me, place) = (&mut to.mount, usize::from(name));
    if me.told[place] == Told::Unsent && me.has_room() {
        me.told[place] = Told::Created;
        me.window.push(Request::Create(name));
        steps.add(Action::Send(name), to);
    }
}

fn give_back(steps: &mut Steps<'_>) {
    let mut to = *steps.from;
    if to.mount.lease > 0 && to.mount.has_room() {
        unlock(steps.model, &mut to.mount);
        to.mount.believes = false;
        steps.add(Action::GiveBack, to);
    }
}

/// Sends Unlock, and forgets the lease.
fn unlock(model: &Model, me: &mut Mount) {
    me.window.push(Request::Unlock);
    if model.rules.given_back_asks_nothing {
        me.renew_void = true;
    } else if !me.granted {
        return;
    }
    (me.lease, me.granted) = (0, false);
}

fn hear(steps: &mut Steps<'_>) {
    let (model, mut to) = (steps.model, *steps.from);
    let me = &mut to.mount;
    let Some(word) = me.inbox.pop() else { return };
    let goal = match word {
        Word::None => None,
        Word::Recall if me.lease == 0 => None,
        // There is room for an Unlock of each lease, or the history ends here.
        Word::Recall if !me.has_room() => return,
        Word::Recall => {
            unlock(model, me);
            me.believes &= !model.rules.recall_ends_belief;
            None
        }
        Word::Renewed => renewed(model, me),
        Word::Answer { done } => answered(model, me, done),
    };
    steps.add_reaching(Action::Hear(word), to, goal);
}

fn renewed(model: &Model, me: &mut Mount) -> Option<Goal> {
    if !me.renew_void {
        believe(model, me, me.renew_age);
    }
    (me.renew, me.renew_void) = (Renew::None, false);
    (me.at == 2 && model.believes(me)).then_some(Goal::RenewedByTheNext)
}

/// The lease was there at some moment after a question was sent.
fn believe(model: &Model, me: &mut Mount, age: u8) {
    let age = if model.rules.belief_from_sending { age } else { 0 };
    (me.believes, me.age) = (true, me.age.min(age));
}

fn answered(model: &Model, me: &mut Mount, done: bool) -> Option<Goal> {
    let request = me.window.pop().expect("what is answered was asked");
    (me.done, me.delivered, me.answered) = (me.done + 1, me.delivered - 1, me.answered - 1);
    match request {
        Request::Create(name) => {
            let told = if done { Told::Confirmed } else { Told::Lost };
            me.told[usize::from(name)] = told;
            Some(if done { Goal::Confirmed } else { Goal::Lost })
        }
        Request::Lock if me.lease == me.done && done => {
            me.granted = true;
            believe(model, me, me.lock_age);
            None
        }
        Request::Lock if me.lease == me.done => {
            me.lease = 0;
            None
        }
        _ => None,
    }
}
