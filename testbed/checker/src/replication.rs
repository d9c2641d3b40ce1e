//! The rules of replication, as the search sees them.

use crate::live;
use crate::model::Model;
use crate::protocol::Protocol;
use crate::state::{LOG, State};
use crate::step::{self, Action, Broken, Step};
use crate::symmetry::Symmetry;

/// A model with all namings of its bricks and witnesses.
pub struct Replication {
    model: Model,
    symmetry: Symmetry,
    /// Ask of each state whether it can go on.
    live: bool,
}

impl Replication {
    /// # Panics
    /// When the bounds ask for more than a state can hold.
    #[must_use]
    pub fn new(model: Model, live: bool) -> Self {
        assert!(usize::from(model.bounds.log) + 2 <= LOG, "no room for so many records");
        assert!(model.bounds.terms <= 12, "no room for so many terms");
        Self { model, symmetry: Symmetry::new(model.shape.bricks, model.shape.seats), live }
    }
}

impl Protocol for Replication {
    type State = State;
    type Action = Action;
    type Broken = Broken;

    fn genesis(&self) -> State {
        let shape = &self.model.shape;
        State::genesis(shape.bricks, shape.seats, shape.growing)
    }

    fn canonical(&self, state: &State) -> State {
        self.symmetry.canonical(state)
    }

    fn steps(&self, from: &State, out: &mut Vec<Step>) {
        step::all(&self.model, from, out);
    }

    fn problem(&self, state: &State) -> Option<Broken> {
        let stuck = || (self.live && !live::goes_on(&self.model, state)).then_some(Broken::Stuck);
        step::check(&self.model, state).or_else(stuck)
    }
}
