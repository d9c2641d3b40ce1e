//! When to cut.

use fastrand::Rng;
use serde::Serialize;

use crate::record::{Kind, Record};

/// A time at which the power goes, and why then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Moment {
    pub at_ns: u64,
    /// At a flush: just before it, when most is at stake, or just after it.
    pub at_flush: bool,
}

/// `count` moments from `from_ns` to `to_ns`, in order: 3 of 10 just before a flush, 2 just after one, the others after
/// any event.
pub fn moments(records: &[&Record], from_ns: u64, to_ns: u64, count: usize, rng: &mut Rng) -> Vec<Moment> {
    let events = records.iter().flat_map(|r| r.events()).filter(|e| (from_ns..=to_ns).contains(&e.at_ns));
    let (flushes, all): (Vec<u64>, Vec<u64>) = events.fold((Vec::new(), Vec::new()), |(mut f, mut a), e| {
        if e.kind == Kind::Flush {
            f.push(e.at_ns);
        }
        a.push(e.at_ns);
        (f, a)
    });
    assert!(!flushes.is_empty(), "nothing was flushed in that time");
    let mut some = || match rng.u32(..10) {
        0..3 => Moment { at_ns: rng.choice(&flushes).map_or(to_ns, |ns| ns - 1), at_flush: true },
        3..5 => Moment { at_ns: rng.choice(&flushes).copied().unwrap_or(to_ns), at_flush: true },
        _ => Moment { at_ns: rng.choice(&all).copied().unwrap_or(to_ns), at_flush: false },
    };
    let mut moments: Vec<Moment> = (0..count).map(|_| some()).collect();
    moments.sort_by_key(|m| m.at_ns);
    moments
}
