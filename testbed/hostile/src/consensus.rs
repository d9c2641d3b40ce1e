//! A brick whose shell is honest, among bricks and witnesses that say anything, in any order.
//!
//! Promises: no panic, whatever comes; what the brick asks its shell for makes sense; a brick that starts again from what
//! it wrote down starts; memory of at most [`FACTOR`] times the input's length and [`SLACK`] bytes.

mod brick;
mod lies;
mod witness;

use crate::alloc::peak;
use crate::source::Source;
use brick::Brick;

/// Memory for each byte of input: the byte may make a message that is held until the vote is on the disk.
pub const FACTOR: usize = 4096;
pub const SLACK: usize = 256 * 1024;

/// The target.
///
/// # Panics
/// When a promise is broken.
pub fn run(data: &[u8]) {
    let ((), most) = peak(|| history(&mut Source::new(data)));
    let bound = FACTOR * data.len() + SLACK;
    assert!(most <= bound, "{most} bytes for an input of {}", data.len());
}

fn history(source: &mut Source<'_>) {
    if source.below(4) == 0 {
        return witness::history(source);
    }
    let mut brick = Brick::new(source);
    while !source.is_empty() && !brick.stopped {
        brick.act(source);
    }
    brick.restart(source);
}
