//! What the search has to know of a protocol.

use std::fmt::Display;
use std::hash::Hash;

/// A step that can be taken.
#[derive(Clone, Copy)]
pub struct Step<State, Action, Broken> {
    pub action: Action,
    pub to: State,
    /// What the step itself breaks.
    pub broken: Option<Broken>,
}

/// The step of a protocol.
pub type StepOf<P> = Step<<P as Protocol>::State, <P as Protocol>::Action, <P as Protocol>::Broken>;

/// States, and the steps between them.
pub trait Protocol: Sync {
    type State: Copy + Hash + Display + Send + Sync;
    type Action: Copy + Display + Send;
    type Broken: Copy + PartialEq + Display + Send;

    /// Where every history begins.
    fn genesis(&self) -> Self::State;

    /// The one of equivalent states that stands for them all.
    fn canonical(&self, state: &Self::State) -> Self::State {
        *state
    }

    /// Collects every step that can be taken, in the place of what was there.
    fn steps(&self, from: &Self::State, out: &mut Vec<StepOf<Self>>);

    /// What is wrong with a state, whichever step led to it.
    fn problem(&self, state: &Self::State) -> Option<Self::Broken>;
}
