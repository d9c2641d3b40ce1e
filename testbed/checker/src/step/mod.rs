//! What can happen next. Each submodule is one part of the protocol; together they are the whole of it.
//!
//! # Messages
//!
//! There is no network in a state. A message that only *adds* to what its receiver knows (a vote, an acknowledgement, a stored
//! configuration) takes effect when it is sent: a receiver that does not act yet is one that has not got it yet, so delay,
//! loss, repetition and reordering of such messages are schedules of the receiver's own steps. An append is one record, the
//! first that the follower lacks: longer ones are several steps, and one that comes late is one that is sent late, as long as
//! its leader leads. What a late message could do beyond that (an answer to an old nonce, a vote of a former seat, a former
//! leader's configuration at a witness) is a step of its own.

mod change;
mod commit;
mod elect;
mod fault;
mod follow;
mod lease;
mod suspect;
mod witness;

use crate::config::{BRICKS, Record, SEATS};
use crate::model::Model;
use crate::state::{Brick, State};

/// One step, as a trace tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Campaign(usize),
    Vote { voter: usize, candidate: usize },
    WitnessVote { seat: usize, candidate: usize },
    Win(usize),
    Learn { brick: usize, term: u8 },
    Propose(usize),
    Journal(usize),
    Sync(usize),
    Append { leader: usize, follower: usize },
    Hear { leader: usize, follower: usize },
    Commit(usize),
    Change(usize),
    TurnBack(usize),
    Final(usize),
    Store { leader: usize, seat: usize },
    Vouch { leader: usize, suspect: usize },
    StaleVouch(usize),
    Heartbeat { leader: usize, seat: usize },
    LeaseEnds { leader: usize, voter: usize },
    HoldEnds(usize),
    WitnessHoldEnds(usize),
    Read(usize),
    AnswerRead(usize),
    Handover { leader: usize, to: usize },
    Crash(usize),
    PowerLoss { brick: usize, kept: u8 },
    NewDisk(usize),
    Save(usize),
    WitnessCrash(usize),
    RegisterLost(usize),
    WitnessSave(usize),
}

/// What must never be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub enum Broken {
    /// A second leader in one term.
    TwoLeaders,
    /// Two records committed at one index.
    TwoValues,
    /// A leader lacks a committed record, though no commit quorum lost its power.
    LostCommitted,
    /// A leader lacks a durable record.
    LostDurable,
    /// A leader that may answer reads by its lease lacks what is committed.
    StaleLease,
    /// A read by a round does not see what was committed before it began.
    StaleRead,
    /// Of two bricks, none has the configuration, or a newer one, without which the witness gives no vote.
    Orphan,
    /// Nothing fails any more, and no leader can commit.
    Stuck,
}

/// A step that can be taken.
pub type Step = crate::protocol::Step<State, Action, Broken>;

/// Collects the steps out of one state.
pub struct Steps<'a> {
    pub model: &'a Model,
    pub from: &'a State,
    pub out: &'a mut Vec<Step>,
}

impl Steps<'_> {
    fn add(&mut self, action: Action, to: State) {
        self.add_checked(action, to, None);
    }

    /// A step that changes nothing is none.
    fn add_checked(&mut self, action: Action, to: State, broken: Option<Broken>) {
        if broken.is_some() || to != *self.from {
            self.out.push(Step { action, to, broken });
        }
    }

    fn bricks(&self) -> std::ops::Range<usize> {
        0..self.model.shape.bricks
    }

    fn seats(&self) -> std::ops::Range<usize> {
        0..self.model.shape.seats
    }

    fn leaders(&self) -> impl Iterator<Item = usize> + use<> {
        let leads = self.from.bricks.map(|brick| brick.leads());
        (0..BRICKS).filter(move |i| leads[*i])
    }

    /// Witnesses that are who they were.
    fn witnesses(&self) -> impl Iterator<Item = usize> + use<> {
        let (lost, seats) = (self.from.witnesses.map(|witness| witness.lost), self.model.shape.seats);
        (0..SEATS).filter(move |s| *s < seats && !lost[*s])
    }
}

/// Collects every step that can be taken.
pub fn all(model: &Model, from: &State, out: &mut Vec<Step>) {
    out.clear();
    let mut steps = Steps { model, from, out };
    elect::steps(&mut steps);
    witness::steps(&mut steps);
    follow::steps(&mut steps);
    commit::steps(&mut steps);
    change::steps(&mut steps);
    suspect::steps(&mut steps);
    lease::steps(&mut steps);
    fault::steps(&mut steps);
}

/// What no step breaks by itself.
#[must_use]
pub fn check(model: &Model, state: &State) -> Option<Broken> {
    lease::check(model, state).or_else(|| witness::check(model, state))
}

/// Takes note of a higher term, which ends whatever the brick is.
fn see_term(model: &Model, brick: &mut Brick, term: u8) {
    if term > brick.term {
        (brick.term, brick.voted) = (term, 0);
        save_vote(model, brick);
        brick.follow();
    }
}

/// Term and vote are as good as their fsync.
fn save_vote(model: &Model, brick: &mut Brick) {
    if model.rules.vote_saved {
        brick.saved = (brick.term, brick.voted);
    }
}

/// A leader's own record.
fn append_own(model: &Model, brick: &mut Brick, record: Record) {
    brick.append(record);
    if !model.shape.lazy_journal {
        journal(model, brick);
    }
    if record.is_config() {
        brick.lead.stored = 0;
    }
}

/// Everything is written.
fn journal(model: &Model, brick: &mut Brick) {
    brick.journaled = brick.len;
    if !model.shape.lazy_sync {
        brick.synced = brick.len;
    }
}
