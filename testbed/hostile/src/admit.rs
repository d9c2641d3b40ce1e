//! The judgement of requests, and the state that records make.
//!
//! A leader among mounts that say anything: no panic; each record that it makes is one that any brick takes
//! ([`Stamped::problem`](rfs_model::op::Stamped::problem)), fits a record, and can be carried out; its state survives its
//! bytes. A follower under a leader that says anything: it carries records out or refuses them, and does not panic.

mod follower;
mod leader;

use crate::alloc::peak;
use crate::source::Source;

/// Memory for each byte of input: the largest request is asked for by a few bytes, and each of 3 sessions may have a window
/// of them.
pub const FACTOR: usize = 1024 * 1024;
pub const SLACK: usize = 16 * 1024 * 1024;

/// The target.
///
/// # Panics
/// When a promise is broken.
pub fn run(data: &[u8]) {
    let ((), most) = peak(|| {
        let mut source = Source::new(data);
        if source.below(4) == 0 { follower::history(&mut source) } else { leader::history(&mut source) }
    });
    let bound = FACTOR * data.len() + SLACK;
    assert!(most <= bound, "{most} bytes for an input of {}", data.len());
}
