//! Leases on directories: who has one may tell its programs that a name is created before the leader has heard of it.
//!
//! There is one directory. The mount A wants its lease, and makes names in it on belief; B wants a name, and is told by the
//! leader when the record is committed. The log is one list, of which a leader knows what is committed and has proposed the
//! rest: how that comes about is for the models of replication. What A says and hears is kept in its order.

mod leader;
mod list;
pub mod models;
mod mount;
pub mod mutants;
mod network;
pub mod rules;
mod show;
pub mod state;
pub mod tree;

use serde::Serialize;

use self::rules::Rules;
use self::state::{Request, State, Word};
use self::tree::{Owner, Record};
use crate::protocol::Protocol;

/// How far a model goes. Ticks, broken connections, questions whether a lease is
/// there and B's tries are not bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Bounds {
    /// Leaders, one after the other.
    pub leaders: u8,
    /// How often A asks for a lease.
    pub locks: u8,
    /// Names that A makes.
    pub names: u8,
    /// Ticks after the sending in which A believes.
    pub belief: u8,
    /// Ticks after a Recall before the lease is revoked. Zero: it never is, and B waits.
    pub revoke: u8,
}

/// What must be possible, so that nothing is kept because nothing happens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Goal {
    /// A name that A created on belief was committed.
    Confirmed,
    /// One that was created on belief before the lease was revoked.
    ConfirmedLate,
    /// A's name was refused, after the lease was revoked.
    Lost,
    /// B created the name without a Recall.
    CreatedFreely,
    CreatedAfterRecall,
    CreatedAfterRevocation,
    /// A believes by the word of the second leader.
    RenewedByTheNext,
}

pub const GOALS: &[Goal] = &[
    Goal::Confirmed,
    Goal::ConfirmedLate,
    Goal::Lost,
    Goal::CreatedFreely,
    Goal::CreatedAfterRecall,
    Goal::CreatedAfterRevocation,
    Goal::RenewedByTheNext,
];

/// What must never be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Broken {
    /// B was told "created", and a program of A, which was told so too, may go on with that name.
    TwoCreated,
    /// A name that A created on belief is refused, though the lease was not revoked.
    Refused,
    /// A answers lookups on belief, and there is a name that it does not know.
    Unseen,
    /// Not broken: what was looked for.
    Reached(Goal),
}

/// Bounds, the rules that hold, and what is looked for.
#[derive(Clone, Copy, Debug)]
pub struct Model {
    pub bounds: Bounds,
    pub rules: Rules,
    /// A also says on belief that a name is not there.
    pub lookups: bool,
    /// Ends where this is reached.
    pub goal: Option<Goal>,
}

/// One step, as a trace tells it.
#[derive(Clone, Copy, Debug)]
pub enum Action {
    AskLock,
    AskRenew,
    Create(u8),
    Send(u8),
    GiveBack,
    Hear(Word),
    Deliver(Request, usize),
    Sure(usize),
    AnswerRenew(usize),
    RefuseRenew(usize),
    AskedByB(usize),
    Recall(usize),
    GoOn(usize),
    Revoke(usize),
    Commit(Record),
    Tick,
    Cut,
    Attach(usize),
    Elect { kept: u8 },
}

type Step = crate::protocol::Step<State, Action, Broken>;

/// Collects the steps out of one state.
struct Steps<'a> {
    model: &'a Model,
    from: &'a State,
    out: &'a mut Vec<Step>,
}

impl Steps<'_> {
    fn add(&mut self, action: Action, to: State) {
        self.add_checked(action, to, None);
    }

    fn add_reaching(&mut self, action: Action, to: State, goal: Option<Goal>) {
        let reached = goal.and_then(|goal| self.reaches(goal));
        self.add_checked(action, to, reached);
    }

    /// A step that changes nothing is none.
    fn add_checked(&mut self, action: Action, mut to: State, broken: Option<Broken>) {
        network::settle(self.model, &mut to.mount, &mut to.leaders);
        if broken.is_some() || to != *self.from {
            self.out.push(Step { action, to, broken });
        }
    }

    fn reaches(&self, goal: Goal) -> Option<Broken> {
        (self.model.goal == Some(goal)).then_some(Broken::Reached(goal))
    }
}

impl Model {
    /// Ticks after a Recall.
    fn revoke_after(&self) -> u8 {
        match (self.rules.revoke_waits, self.rules.revoke_outlasts_belief) {
            (false, _) => 0,
            (_, false) => self.bounds.belief,
            _ => self.bounds.revoke,
        }
    }
}

impl Protocol for Model {
    type State = State;
    type Action = Action;
    type Broken = Broken;

    fn genesis(&self) -> State {
        let mut state = State::default();
        (state.mount.at, state.mount.seen) = (1, 1);
        network::settle(self, &mut state.mount, &mut state.leaders);
        state
    }

    fn steps(&self, from: &State, out: &mut Vec<Step>) {
        out.clear();
        let mut steps = Steps { model: self, from, out };
        mount::steps(&mut steps);
        leader::steps(&mut steps);
        network::steps(&mut steps);
    }

    fn problem(&self, state: &State) -> Option<Broken> {
        let is_bs = state.leaders[usize::from(state.leads)].applied.owners[0] == Owner::B;
        let two = is_bs && self.stands_by(&state.mount, 0);
        let unseen = is_bs && self.lookups && self.believes(&state.mount);
        two.then_some(Broken::TwoCreated).or(unseen.then_some(Broken::Unseen))
    }
}
