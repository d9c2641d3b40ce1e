//! Histories by seed, and the shortest one of a seed that goes wrong.

use std::time::{SystemTime, UNIX_EPOCH};

use fastrand::Rng;

use super::Subject;
use super::alike::difference;
use super::dice;
use super::op::Op;
use super::tree::Model;

/// Between two looks at everything.
const TREE_EACH: usize = 50;
/// How many shorter histories are tried.
const TRIES: usize = 300;

/// What is to be played.
#[derive(Clone, Copy, Debug)]
pub struct Hunt {
    /// The first history's; the others count up from it.
    pub seed: u64,
    pub histories: u64,
    /// In each history.
    pub operations: usize,
    /// The caller's, as the kernel applies it.
    pub umask: u32,
}

/// A history that went differently than foretold.
#[derive(Clone, Debug)]
pub struct Missed {
    pub seed: u64,
    pub operations: usize,
    /// The last of which went wrong.
    pub shortest: Vec<Op>,
    pub why: String,
}

impl std::fmt::Display for Missed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "seed {}: {}", self.seed, self.why)?;
        for op in &self.shortest {
            let text = format!("{op:?}");
            let cut = text.char_indices().nth(160).map_or(text.len(), |(at, _)| at);
            writeln!(f, "  {}", &text[..cut])?;
        }
        write!(
            f,
            "cargo xtask posix --only model --seed {} --histories 1 --operations {}",
            self.seed, self.operations
        )
    }
}

/// Plays histories until one goes wrong, that with the lowest seed. `fresh` gives an empty subject, `told` hears of each
/// history that is done.
///
/// # Errors
/// The history that went wrong, as short as it could be made.
pub fn hunt<S: Subject>(
    hunt: Hunt,
    mut fresh: impl FnMut() -> S,
    mut told: impl FnMut(u64),
) -> Result<(), Box<Missed>> {
    for seed in hunt.seed..hunt.seed + hunt.histories {
        once(seed, hunt.operations, hunt.umask, &mut fresh)?;
        told(seed);
    }
    Ok(())
}

/// Plays one history.
///
/// # Errors
/// As [`hunt`].
pub fn once<S: Subject>(
    seed: u64,
    operations: usize,
    umask: u32,
    fresh: &mut impl FnMut() -> S,
) -> Result<(), Box<Missed>> {
    let ops = history(seed, operations, umask);
    let Some((at, why)) = play(&ops, umask, fresh()) else { return Ok(()) };
    let (shortest, why) = shorten(ops[..=at].to_vec(), why, umask, fresh);
    Err(Box::new(Missed { seed, operations, shortest, why }))
}

/// Looks once more at what the histories left: a mount that was made anew has nothing cached. `of` gives the subject of each
/// history, counted from 0; `begun` is when the first one began, seconds.
///
/// # Errors
/// Where one differs.
pub fn look_again<S: Subject>(hunt: Hunt, begun: i64, mut of: impl FnMut(u64) -> S) -> Result<(), String> {
    for n in 0..hunt.histories {
        let mut model = Model::new(hunt.umask);
        for op in history(hunt.seed + n, hunt.operations, hunt.umask) {
            let _ = model.apply(&op);
        }
        let (want, got) = (model.apply(&Op::Tree), of(n).apply(&Op::Tree));
        if let Some(why) = difference(&want, &got, begun) {
            return Err(format!("seed {}, seen by another mount: {why}", hunt.seed + n));
        }
    }
    Ok(())
}

/// Seconds since 1970.
#[must_use]
pub fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    i64::try_from(now).unwrap_or(0)
}

fn history(seed: u64, operations: usize, umask: u32) -> Vec<Op> {
    let (mut dice, mut model) = (Rng::with_seed(seed), Model::new(umask));
    let next = |n: usize| {
        let all = n % TREE_EACH == TREE_EACH - 1 || n == operations - 1;
        let op = if all { Op::Tree } else { dice::operation(&mut dice, &model) };
        let _ = model.apply(&op);
        op
    };
    (0..operations).map(next).collect()
}

/// The first operation that went wrong, and how.
fn play(ops: &[Op], umask: u32, mut subject: impl Subject) -> Option<(usize, String)> {
    let mut model = Model::new(umask);
    let begun = now();
    ops.iter().enumerate().find_map(|(at, op)| {
        let (want, got) = (model.apply(op), subject.apply(op));
        Some((at, difference(&want, &got, begun)?))
    })
}

/// Leaves out ever smaller pieces as long as it still goes wrong.
fn shorten<S: Subject>(
    mut ops: Vec<Op>,
    mut why: String,
    umask: u32,
    fresh: &mut impl FnMut() -> S,
) -> (Vec<Op>, String) {
    let (mut piece, mut tries) = (ops.len().div_ceil(2), 0);
    while piece > 0 && tries < TRIES {
        let mut from = 0;
        while from < ops.len() && tries < TRIES {
            tries += 1;
            let mut fewer = ops.clone();
            fewer.drain(from..ops.len().min(from + piece));
            match play(&fewer, umask, fresh()) {
                Some((at, still)) => {
                    fewer.truncate(at + 1);
                    (ops, why) = (fewer, still);
                }
                None => from += piece,
            }
        }
        piece /= 2;
    }
    (ops, why)
}
