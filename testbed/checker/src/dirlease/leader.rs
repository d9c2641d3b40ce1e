//! What a leader does, be it the last one or one that does not know yet that there is another.

use super::state::{Renew, Request, State, Word};
use super::tree::{Leader, Owner, Record, Tree};
use super::{Action, Broken, Goal, Model, Steps};

pub fn steps(steps: &mut Steps<'_>) {
    for k in 0..=usize::from(steps.from.leads) {
        deliver(steps, k);
        be_sure(steps, k);
        renew(steps, k);
        asked_by_b(steps, k);
        recall(steps, k);
        go_on(steps, k);
        revoke(steps, k);
    }
    commit(steps);
}

fn has_mount(state: &State, k: usize) -> bool {
    usize::from(state.mount.at) == k + 1
}

/// The next request of A's window arrives. One that was carried out before is answered when that is committed.
fn deliver(steps: &mut Steps<'_>, k: usize) {
    let mut to = *steps.from;
    let me = &mut to.mount;
    let Some(request) = me.window.as_slice().get(usize::from(me.delivered)).copied() else { return };
    if !has_mount(steps.from, k) {
        return;
    }
    let (number, leader) = (me.number(me.delivered), &mut to.leaders[k]);
    let mut broken = None;
    if number > leader.view().done {
        let record = judge(steps.model, leader, request);
        leader.pending.push(record);
        let early = k < usize::from(to.leads) && !steps.model.rules.refusal_when_committed;
        broken = early.then(|| wrongly_refused(steps.from, record)).flatten();
    }
    me.delivered += 1;
    answer(&mut to, k);
    steps.add_checked(Action::Deliver(request, k), to, broken);
}

/// A name that A has told a program of is refused for good, though its lease was not revoked.
fn wrongly_refused(state: &State, record: Record) -> Option<Broken> {
    let Record::RefuseCreate(name) = record else { return None };
    let tree = &state.leaders[usize::from(state.leads)].applied;
    (!revoked(tree, state, name)).then_some(Broken::Refused)
}

fn judge(model: &Model, leader: &Leader, request: Request) -> Record {
    let view = leader.view();
    let names = if model.rules.pending_name_counts { view } else { leader.applied };
    match request {
        Request::Lock if view.lock == 0 && (names.is_empty() || !model.rules.only_empty) => Record::Lock,
        Request::Lock | Request::None => Record::RefuseLock,
        Request::Create(name) if view.owners[usize::from(name)] == Owner::Nobody => Record::Create(name),
        Request::Create(name) => Record::RefuseCreate(name),
        Request::Unlock => Record::Unlock,
    }
}

/// Answers go in the order of the requests, as soon as these are committed.
fn answer(state: &mut State, k: usize) {
    if !has_mount(state, k) {
        return;
    }
    let (me, applied) = (&mut state.mount, &state.leaders[k].applied);
    while me.answered < me.delivered && me.number(me.answered) <= applied.done {
        let done = applied.granted >> me.number(me.answered) & 1 == 1;
        me.inbox.push(Word::Answer { done });
        me.answered += 1;
    }
}

/// By a round that began after Renew came, the leader is sure that it leads; it may be none any more when it answers.
fn be_sure(steps: &mut Steps<'_>, k: usize) {
    let mut to = *steps.from;
    let sure = k == usize::from(to.leads) || !steps.model.rules.renew_by_sure_leader;
    if has_mount(steps.from, k) && to.mount.renew == Renew::Asked && sure {
        to.mount.renew = Renew::Sure;
        steps.add(Action::Sure(k), to);
    }
}

fn renew(steps: &mut Steps<'_>, k: usize) {
    let (rules, mut to) = (&steps.model.rules, *steps.from);
    if !has_mount(steps.from, k) || to.mount.renew != Renew::Sure {
        return;
    }
    let leader = &to.leaders[k];
    let lock = leader.view().lock;
    let recalled = leader.recalled == lock && rules.no_renew_after_recall;
    if lock == 0 || recalled {
        (to.mount.renew, to.mount.renew_void) = (Renew::None, false);
        return steps.add(Action::RefuseRenew(k), to);
    }
    to.mount.renew = Renew::Answered;
    to.mount.inbox.push(Word::Renewed);
    steps.add(Action::AnswerRenew(k), to);
}

/// A request of B arrives, perhaps again.
fn asked_by_b(steps: &mut Steps<'_>, k: usize) {
    let mut to = *steps.from;
    if !to.leaders[k].view().b_done {
        to.leaders[k].waiting = true;
        steps.add(Action::AskedByB(k), to);
    }
}

/// The lease that keeps B waiting.
fn in_the_way(model: &Model, leader: &Leader) -> u8 {
    let rules = &model.rules;
    let lock = if rules.pending_lease_counts { leader.view().lock } else { leader.applied.lock };
    let another = leader.recalled > 0 && leader.recalled != lock;
    if another && !rules.judged_again { 0 } else { lock }
}

fn recall(steps: &mut Steps<'_>, k: usize) {
    let (rules, mut to) = (&steps.model.rules, *steps.from);
    let earlier = to.leaders[0];
    let leader = &mut to.leaders[k];
    let lock = in_the_way(steps.model, leader);
    let done = leader.recalled == lock || leader.recalled > 0 && !rules.recall_of_this_lease;
    if !leader.waiting || lock == 0 || done {
        return;
    }
    (leader.recalled, leader.recall_age) = (lock, 0);
    if k > 0 && earlier.recalled == lock && !rules.recall_of_this_leader {
        leader.recall_age = earlier.recall_age;
    }
    if has_mount(steps.from, k) {
        to.mount.inbox.push(Word::Recall);
    }
    steps.add(Action::Recall(k), to);
}

fn go_on(steps: &mut Steps<'_>, k: usize) {
    let mut to = *steps.from;
    let leader = &mut to.leaders[k];
    if !leader.waiting || in_the_way(steps.model, leader) > 0 {
        return;
    }
    let view = leader.view();
    if !view.b_done {
        let free = view.owners[0] == Owner::Nobody;
        leader.pending.push(if free { Record::CreateByB } else { Record::RefuseB });
    }
    leader.waiting = false;
    steps.add(Action::GoOn(k), to);
}

fn revoke(steps: &mut Steps<'_>, k: usize) {
    let (model, mut to) = (steps.model, *steps.from);
    let leader = &mut to.leaders[k];
    let lock = leader.view().lock;
    let this = leader.recalled == lock || leader.recalled > 0 && !model.rules.recall_of_this_lease;
    if model.bounds.revoke > 0 && lock > 0 && this && leader.recall_age >= model.revoke_after() {
        leader.pending.push(Record::Revoke);
        steps.add(Action::Revoke(k), to);
    }
}

/// The first of what is pending is committed, which B is told at once.
fn commit(steps: &mut Steps<'_>) {
    let (k, mut to) = (usize::from(steps.from.leads), *steps.from);
    let leader = &mut to.leaders[k];
    let Some(record) = leader.pending.pop() else { return };
    leader.applied.apply(record);
    let broken = match record {
        Record::CreateByB => steps.reaches(created_by_b(leader)),
        Record::Create(name) if revoked(&leader.applied, steps.from, name) => {
            steps.reaches(Goal::ConfirmedLate)
        }
        _ => wrongly_refused(steps.from, record),
    };
    answer(&mut to, k);
    steps.add_checked(Action::Commit(record), to, broken);
}

fn created_by_b(leader: &Leader) -> Goal {
    let tree = &leader.applied;
    match (tree.revoked, leader.recalled) {
        (0, 0) => Goal::CreatedFreely,
        (0, _) => Goal::CreatedAfterRecall,
        _ => Goal::CreatedAfterRevocation,
    }
}

/// Whether the lease on which A told the name was revoked.
fn revoked(tree: &Tree, state: &State, name: u8) -> bool {
    tree.revoked >> state.mount.under[usize::from(name)] & 1 == 1
}
