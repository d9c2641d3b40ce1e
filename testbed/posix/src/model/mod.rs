//! A small file system in memory, and random operations which it and a real directory must answer in the same way.

mod alike;
mod attrs;
mod data;
mod dice;
mod fault;
mod hunt;
mod names;
mod op;
mod real;
mod tree;

pub use fault::{Fault, Faulty};
pub use hunt::{Hunt, Missed, hunt, look_again, now, once};
pub use op::{Kind, Look, Op, Outcome, Seen, Target, When};
pub use real::Real;
pub use tree::Model;

/// Something that carries out operations and tells what a program would see.
pub trait Subject {
    fn apply(&mut self, op: &Op) -> Outcome;
}
