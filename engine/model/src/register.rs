//! The witness's register: the whole memory of a vote without data. One small file, replaced as a whole and fsynced before
//! the answer leaves. It belongs to a machine, one for each replica set; a lost register is a new [`SeatId`], hence a
//! stranger to every configuration: never a double vote.

use crate::config::{ConfigEntry, HOST_BYTES};
use crate::ids::{NodeId, SeatId, Term};
use crate::layout;
use crate::limits::BRICKS;
use crate::sealed::{SealProblem, seal, unseal};

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Register {
    pub seat: SeatId,
    /// The highest term seen.
    pub term: Term,
    /// Who got this seat's vote in `term`.
    pub voted_for: Option<NodeId>,
    /// The leader's term under which `config` was stored. A later leader may store an older record: the newer one of an
    /// earlier leader is then known not to have been committed.
    pub stored_in: Term,
    /// The last configuration record stored.
    pub config: Option<ConfigEntry>,
}
layout!(Register { seat, term, voted_for, stored_in, config });

/// Largest register file, bytes.
pub const REGISTER_BYTES: usize = 1024;
const MAGIC: [u8; 4] = *b"rfsw";
const VERSION: u16 = 1;

const CONFIG_BYTES: usize = 2 * (4 + BRICKS * 16) + 1 + 16 + 1 + 4 + HOST_BYTES;
const _: () = assert!(12 + 16 + 8 + 17 + 8 + 1 + 16 + 1 + 2 * CONFIG_BYTES < REGISTER_BYTES);

impl Register {
    /// One that has never voted. `seat` is random.
    #[must_use]
    pub fn new(seat: SeatId) -> Self {
        Self { seat, term: Term::ZERO, voted_for: None, stored_in: Term::ZERO, config: None }
    }

    /// The file, shorter than [`REGISTER_BYTES`].
    #[must_use]
    pub fn to_file(&self) -> Vec<u8> {
        seal(MAGIC, VERSION, self)
    }

    /// # Errors
    /// [`SealProblem`]: the register is lost, and a new one must be made.
    pub fn from_file(bytes: &[u8]) -> Result<Self, SealProblem> {
        let register: Self = unseal(MAGIC, VERSION, bytes)?;
        let wrong = register.config.as_ref().is_some_and(|entry| entry.record.problem().is_some());
        if wrong || register.seat.is_nil() { Err(SealProblem::Content) } else { Ok(register) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_is_frozen() {
        let register = Register {
            term: Term(5),
            voted_for: Some(NodeId([2; 16])),
            stored_in: Term(4),
            config: Some(ConfigEntry::genesis(&[NodeId([1; 16])])),
            ..Register::new(SeatId([7; 16]))
        };
        let file = register.to_file();
        let (n1, n2, n7) = ("01".repeat(16), "02".repeat(16), "07".repeat(16));
        let golden = format!(
            "7266737701006c00\
             {n7}\
             0500000000000000\
             01{n2}\
             0400000000000000\
             01\
             01000000000000000100000000000000\
             0201000000{n1}01000000{n1}00"
        );
        let hex: String = file.iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex[..hex.len() - 8], golden);
        assert_eq!(Register::from_file(&file), Ok(register));
    }

    #[test]
    fn a_register_without_a_seat_is_lost() {
        let file = Register::new(SeatId::NIL).to_file();
        assert_eq!(Register::from_file(&file), Err(SealProblem::Content));
    }
}
