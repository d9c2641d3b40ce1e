//! A brick's hard state: what must survive a power loss for its votes to be worth anything. One small file, replaced as a
//! whole and fsynced before any message that depends on it leaves.

use crate::config::{Config, ConfigEntry, ConfigRecord, GENESIS_TERM, Position};
use crate::ids::{NodeId, Term};
use crate::sealed::{SealProblem, seal, unseal};
use crate::{layout, tagged};

/// Whether a brick has all that it ever acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Trust {
    #[default]
    Sound,
    /// It went down with its kernel: the unsynced end of its log may be lost. No vote, no candidacy, no acknowledgement that
    /// counts, until a live leader has vouched for it.
    Suspect,
    /// Its disk is new. Nothing counts until a configuration without it was committed: then it begins again as a learner.
    Blank,
}
tagged!(Trust, "a brick's trust", { 1 => Sound {}, 2 => Suspect {}, 3 => Blank {} });

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HardState {
    /// The highest term seen; the lineage is its upper half.
    pub term: Term,
    /// Who got this brick's vote in `term`.
    pub voted_for: Option<NodeId>,
    pub trust: Trust,
    /// The newest configuration record received.
    pub config: ConfigEntry,
}
layout!(HardState { term, voted_for, trust, config });

const MAGIC: [u8; 4] = *b"rfsh";
const VERSION: u16 = 1;

impl HardState {
    /// Of each brick of a new replica set.
    #[must_use]
    pub fn genesis(bricks: &[NodeId]) -> Self {
        let config = ConfigEntry::genesis(bricks);
        Self { term: GENESIS_TERM, voted_for: None, trust: Trust::Sound, config }
    }

    /// Of a brick whose disk was replaced by an empty one. `bricks` are those of the replica set.
    #[must_use]
    pub fn blank(bricks: &[NodeId]) -> Self {
        let record = ConfigRecord::Final { config: Config::of(bricks) };
        let config = ConfigEntry { at: Position::ZERO, record };
        Self { term: Term::ZERO, voted_for: None, trust: Trust::Blank, config }
    }

    /// The file.
    #[must_use]
    pub fn to_file(&self) -> Vec<u8> {
        seal(MAGIC, VERSION, self)
    }

    /// # Errors
    /// [`SealProblem`].
    pub fn from_file(bytes: &[u8]) -> Result<Self, SealProblem> {
        let hard: Self = unseal(MAGIC, VERSION, bytes)?;
        if hard.config.record.problem().is_some() { Err(SealProblem::Content) } else { Ok(hard) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_is_frozen() {
        let hard = HardState {
            voted_for: Some(NodeId([2; 16])),
            trust: Trust::Suspect,
            ..HardState::genesis(&[NodeId([1; 16])])
        };
        let file = hard.to_file();
        let (n1, n2) = ("01".repeat(16), "02".repeat(16));
        let golden = format!(
            "7266736801005400\
             0100000000000000\
             01{n2}\
             02\
             01000000000000000100000000000000\
             0201000000{n1}01000000{n1}00"
        );
        let hex: String = file.iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex[..hex.len() - 8], golden);
        assert_eq!(HardState::from_file(&file), Ok(hard));
    }

    #[test]
    fn a_senseless_configuration_is_refused() {
        let mut hard = HardState::genesis(&[NodeId([1; 16])]);
        hard.config.record =
            ConfigRecord::Final { config: Config { bricks: vec![], in_sync: vec![], seat: None } };
        assert_eq!(HardState::from_file(&hard.to_file()), Err(SealProblem::Content));
    }
}
