//! What becomes of the writes that no flush had covered.

use fastrand::Rng;
use serde::Serialize;

/// The fate of the unflushed writes of one device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Losses {
    /// None of them reached the disk.
    All,
    /// Every one did.
    Nothing,
    /// Those up to some point did, the last one in part.
    Suffix,
    /// Any of them did, in any order, some in part.
    Random,
    /// The disk lies: the last flushes were not carried out either. No promise holds on such a disk; it is there to show
    /// that what is lost is noticed.
    Flushed,
}

impl Losses {
    /// One that a real disk may suffer.
    pub fn pick(rng: &mut Rng) -> Losses {
        match rng.u32(..100) {
            0..10 => Losses::Nothing,
            10..25 => Losses::All,
            25..40 => Losses::Suffix,
            _ => Losses::Random,
        }
    }
}
