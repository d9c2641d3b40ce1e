//! Breadth first, level by level: the first violation is found by a shortest way.

use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::fingerprint;
use crate::protocol::{Protocol, StepOf};
use crate::visited::{Id, Visited};

/// States that a thread takes at once.
const PORTION: usize = 256;

/// How to search.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// With one, the figures of a search that ends early are the same each time.
    pub threads: usize,
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

/// A shortest way to what must never be, as people read it.
pub struct Violation {
    pub broken: String,
    /// Steps, and the states that they led to.
    pub trace: Vec<(String, String)>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (action, state)) in self.trace.iter().enumerate() {
            writeln!(f, "{:>4}. {action}\n{state}", number + 1)?;
        }
        write!(f, "      {}", self.broken)
    }
}

impl fmt::Debug for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\n{self}")
    }
}

/// The state before, the last step and what is wrong.
type Last<P> = (Id, <P as Protocol>::Action, <P as Protocol>::Broken);

type Frontier<P> = Vec<(Id, <P as Protocol>::State)>;

struct Search<'a, P: Protocol> {
    protocol: &'a P,
    options: Options,
    visited: Visited,
    transitions: AtomicU64,
    stop: AtomicBool,
    broken: Mutex<Option<Last<P>>>,
    progress: &'a Progress,
}

/// Explores everything within the bounds, or up to the first violation.
pub fn search<P: Protocol>(protocol: &P, options: Options, progress: &Progress) -> Found {
    let begun = Instant::now();
    let (visited, broken) = (Visited::default(), Mutex::new(None));
    let (transitions, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let search = Search { protocol, options, visited, transitions, stop, broken, progress };
    let first = protocol.canonical(&protocol.genesis());
    let id = search.visited.insert(fingerprint::of(&first), None);
    let mut frontier: Frontier<P> = id.into_iter().map(|id| (id, first)).collect();
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

impl<P: Protocol> Search<'_, P> {
    fn level(&self, frontier: &Frontier<P>) -> Frontier<P> {
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

    fn expand(&self, id: Id, state: &P::State, steps: &mut Vec<StepOf<P>>, next: &mut Frontier<P>) {
        self.protocol.steps(state, steps);
        self.transitions.fetch_add(steps.len() as u64, Relaxed);
        for step in steps {
            if self.stop.load(Relaxed) {
                return;
            }
            let to = self.protocol.canonical(&step.to);
            let new = self.visited.insert(fingerprint::of(&to), Some(id));
            let broken = step.broken.or_else(|| new.and_then(|_| self.protocol.problem(&to)));
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

    fn end(&self, broken: Option<Last<P>>) {
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
    fn trace(&self, to: Id, last: P::Action, broken: P::Broken) -> Violation {
        let mut state = self.protocol.genesis();
        let mut trace = Vec::new();
        let mut steps = Vec::new();
        for print in self.visited.way(to).into_iter().skip(1) {
            self.protocol.steps(&state, &mut steps);
            let step = steps.iter().find(|step| self.print(&step.to) == print);
            let step = step.expect("the way was walked before");
            trace.push((step.action.to_string(), step.to.to_string()));
            state = step.to;
        }
        self.protocol.steps(&state, &mut steps);
        let same_kind =
            |step: &&StepOf<P>| std::mem::discriminant(&step.action) == std::mem::discriminant(&last);
        let ends = |step: &&StepOf<P>| {
            step.broken == Some(broken) || self.protocol.problem(&step.to) == Some(broken)
        };
        let step = steps.iter().filter(same_kind).find(ends).expect("the last step breaks it");
        trace.push((step.action.to_string(), step.to.to_string()));
        Violation { broken: broken.to_string(), trace }
    }

    fn print(&self, state: &P::State) -> u128 {
        fingerprint::of(&self.protocol.canonical(state))
    }
}
