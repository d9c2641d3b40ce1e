//! Breadth first, level by level: the first violation is found by a shortest way.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::fingerprint;
use crate::live;
use crate::model::Model;
use crate::state::State;
use crate::step::{self, Action, Broken, Step};
use crate::symmetry::Symmetry;
use crate::visited::{Id, Visited};

/// States that a thread takes at once.
const PORTION: usize = 256;

/// How to search.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// With one, the figures of a search that ends early are the same each time.
    pub threads: usize,
    /// Ask of each state whether it can go on.
    pub live: bool,
    /// Give up after so many states.
    pub limit: usize,
}

/// How far a search is; others may look.
#[derive(Debug, Default)]
pub struct Progress {
    pub states: AtomicUsize,
    pub frontier: AtomicUsize,
    pub depth: AtomicUsize,
}

/// What a search found.
#[derive(Debug)]
pub struct Found {
    pub states: usize,
    pub transitions: u64,
    /// Steps on the longest of all shortest ways.
    pub depth: usize,
    /// Everything within the bounds was seen.
    pub complete: bool,
    pub violation: Option<Violation>,
    pub took: Duration,
}

/// A shortest way to what must never be.
#[derive(Debug)]
pub struct Violation {
    pub broken: Broken,
    pub trace: Vec<(Action, Box<State>)>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

struct Search<'a> {
    model: &'a Model,
    options: Options,
    symmetry: Symmetry,
    visited: Visited,
    transitions: AtomicU64,
    stop: AtomicBool,
    /// The state before, the last step and what is wrong.
    broken: Mutex<Option<(Id, Action, Broken)>>,
    progress: &'a Progress,
}

type Frontier = Vec<(Id, State)>;

/// Explores everything within the bounds, or up to the first violation.
///
/// # Panics
/// When the bounds ask for more than a state can hold.
pub fn search(model: &Model, options: Options, progress: &Progress) -> Found {
    assert!(usize::from(model.bounds.log) + 2 <= crate::state::LOG, "no room for so many records");
    assert!(model.bounds.terms <= 12, "no room for so many terms");
    let begun = Instant::now();
    let symmetry = Symmetry::new(model.shape.bricks, model.shape.seats);
    let (visited, broken) = (Visited::default(), Mutex::new(None));
    let (transitions, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let search = Search { model, options, symmetry, visited, transitions, stop, broken, progress };
    let first = search.symmetry.canonical(&State::genesis(
        model.shape.bricks,
        model.shape.seats,
        model.shape.growing,
    ));
    let id = search.visited.insert(fingerprint::of(&first), None);
    let mut frontier: Frontier = id.into_iter().map(|id| (id, first)).collect();
    let mut depth = 0;
    while !search.stop.load(Relaxed) {
        let next = search.level(&frontier);
        if next.is_empty() {
            break;
        }
        (frontier, depth) = (next, depth + 1);
        progress.frontier.store(frontier.len(), Relaxed);
        progress.depth.store(depth, Relaxed);
    }
    search.report(depth, begun)
}

impl Search<'_> {
    fn level(&self, frontier: &Frontier) -> Frontier {
        let taken = AtomicUsize::new(0);
        let work = || {
            let mut next = Vec::new();
            let mut steps = Vec::new();
            while !self.stop.load(Relaxed) {
                let from = taken.fetch_add(PORTION, Relaxed);
                let Some(rest) = frontier.get(from..) else { break };
                for (id, state) in rest.iter().take(PORTION) {
                    self.expand(*id, state, &mut steps, &mut next);
                }
            }
            next
        };
        if self.options.threads < 2 {
            return work();
        }
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..self.options.threads).map(|_| scope.spawn(work)).collect();
            threads.into_iter().flat_map(|thread| thread.join().expect("a thread of the search")).collect()
        })
    }

    fn expand(&self, id: Id, state: &State, steps: &mut Vec<Step>, next: &mut Frontier) {
        step::all(self.model, state, steps);
        self.transitions.fetch_add(steps.len() as u64, Relaxed);
        for step in steps {
            if self.stop.load(Relaxed) {
                return;
            }
            let to = self.symmetry.canonical(&step.to);
            let new = self.visited.insert(fingerprint::of(&to), Some(id));
            let broken = step.broken.or_else(|| new.and_then(|_| self.problem(&to)));
            if let Some(broken) = broken {
                return self.end(Some((id, step.action, broken)));
            }
            if let Some(new) = new {
                next.push((new, to));
                if self.progress.states.fetch_add(1, Relaxed) > self.options.limit {
                    self.end(None);
                }
            }
        }
    }

    fn problem(&self, state: &State) -> Option<Broken> {
        let stuck = || (self.options.live && !live::goes_on(self.model, state)).then_some(Broken::Stuck);
        step::check(self.model, state).or_else(stuck)
    }

    fn end(&self, broken: Option<(Id, Action, Broken)>) {
        self.stop.store(true, Relaxed);
        let mut first = self.broken.lock().expect("no thread panics with it");
        *first = first.take().or(broken);
    }

    fn report(self, depth: usize, begun: Instant) -> Found {
        let broken = *self.broken.lock().expect("no thread panics with it");
        Found {
            states: self.visited.len(),
            transitions: self.transitions.load(Relaxed),
            depth,
            complete: !self.stop.load(Relaxed),
            violation: broken.map(|(id, last, broken)| self.trace(id, last, broken)),
            took: begun.elapsed(),
        }
    }

    /// Walks the way again, with the names that the first state gave.
    fn trace(&self, to: Id, last: Action, broken: Broken) -> Violation {
        let mut state =
            State::genesis(self.model.shape.bricks, self.model.shape.seats, self.model.shape.growing);
        let mut trace = Vec::new();
        let mut steps = Vec::new();
        for print in self.visited.way(to).into_iter().skip(1) {
            step::all(self.model, &state, &mut steps);
            let step = steps.iter().find(|step| self.print(&step.to) == print);
            let step = step.expect("the way was walked before");
            trace.push((step.action, Box::new(step.to)));
            state = step.to;
        }
        step::all(self.model, &state, &mut steps);
        let same_kind = |step: &&Step| std::mem::discriminant(&step.action) == std::mem::discriminant(&last);
        let ends = |step: &&Step| step.broken == Some(broken) || self.problem(&step.to) == Some(broken);
        let step = steps.iter().filter(same_kind).find(ends).expect("the last step breaks it");
        trace.push((step.action, Box::new(step.to)));
        Violation { broken, trace }
    }

    fn print(&self, state: &State) -> u128 {
        fingerprint::of(&self.symmetry.canonical(state))
    }
}
