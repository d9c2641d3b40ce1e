//! A witness among bricks that say anything. Each brick is one that the witness dialled itself; what it asks for may still be
//! nonsense.

use rfs_core::witness::{Answer, Witness};
use rfs_model::config::Position;
use rfs_model::register::{REGISTER_BYTES, Register};
use rfs_model::{Index, SeatId};

use super::lies::{self, Near};
use crate::source::Source;

const HOLD_US: u64 = 250_000;

/// # Panics
/// When a promise is broken.
pub fn history(source: &mut Source<'_>) {
    let mut now_us = 1;
    let mut witness = Witness::new(Register::new(SeatId([7; 16])), HOLD_US, now_us);
    while !source.is_empty() {
        now_us += source.pick(&[0, 1_000, 300_000]);
        let register = witness.register().clone();
        let last = register.config.as_ref().map_or(Position::new(register.term, Index(1)), |entry| entry.at);
        let near = Near { term: register.term, last, committed: last.index };
        let Answer { save, reply: _ } = witness.step(now_us, lies::request(source, &near));
        let after = witness.register().clone();
        assert!(after.term >= register.term, "a witness's term goes back");
        let two = after.term == register.term && register.voted_for.is_some();
        assert!(!two || after.voted_for == register.voted_for, "two votes in one term");
        if let Some(saved) = save {
            let file = saved.to_file();
            assert!(file.len() <= REGISTER_BYTES, "a register of {} bytes", file.len());
            assert_eq!(Register::from_file(&file), Ok(saved));
        }
        if source.below(16) == 0 {
            witness = Witness::new(after, HOLD_US, now_us);
        }
    }
}
