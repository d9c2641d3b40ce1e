//! Where each lineage of the volume began. A brick whose log is of a lineage that the others have abandoned learns from it
//! which of its records they have, even when their logs no longer reach back so far.

use std::path::{Path, PathBuf};

use rfs_model::config::Position;
use rfs_model::sealed::{seal, unseal};
use rfs_model::{Index, Term, layout};

use crate::durable;
use crate::journal::Journal;

/// A lineage and the last record before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fork {
    /// The lineage's first term.
    pub term: Term,
    pub last: Position,
}
layout!(Fork { term, last });

/// All of them that this brick's log has gone through, ascending.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forks(pub Vec<Fork>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct File {
    forks: Vec<Fork>,
}
layout!(File { forks });

const MAGIC: [u8; 4] = *b"rfsk";
const VERSION: u16 = 1;

fn path(brick: &Path) -> PathBuf {
    brick.join(".rfs/lineages")
}

impl Forks {
    /// # Errors
    /// One line for a file that cannot be read. A missing one is that of a volume with one lineage.
    pub fn load(brick: &Path) -> Result<Self, String> {
        let path = path(brick);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(e) => return Err(format!("{}: {e}", path.display())),
        };
        let file: File = unseal(MAGIC, VERSION, &bytes).map_err(|e| format!("{}: {e}", path.display()))?;
        Ok(Self(file.forks))
    }

    /// Durable on return. Blocks.
    ///
    /// # Errors
    /// One line.
    pub fn save(&self, brick: &Path) -> Result<(), String> {
        let path = path(brick);
        durable::replace(&path, &seal(MAGIC, VERSION, &File { forks: self.0.clone() }))
            .map_err(|e| format!("{}: {e}", path.display()))
    }

    /// Notes that a record of `term` follows `last`. True when that begins a lineage.
    pub fn note(&mut self, last: Position, term: Term) -> bool {
        let begins = term.lineage() > last.term.lineage();
        if begins {
            self.0.retain(|fork| fork.term.lineage() < term.lineage());
            self.0.push(Fork { term, last });
        }
        begins
    }

    /// The index up to which a log is that of somebody who has gone through `theirs`; `None` when it has nothing that they
    /// lack, but for what every follower may have to cut off.
    ///
    /// Within the lineage that both know, terms tell: a record of the log that has at most the term and the index of the last
    /// one before the fork is theirs too, or was never committed.
    pub fn common(&self, theirs: &Self, journal: &Journal) -> Option<Index> {
        let last = journal.last().index;
        let known = |fork: &&Fork| !self.0.iter().any(|own| own.term.lineage() == fork.term.lineage());
        let fork = theirs.0.iter().find(known)?;
        let within = |index: Index| journal.term_at(index).is_some_and(|term| term <= fork.last.term);
        if journal.base().index <= fork.last.index && !within(journal.base().index) {
            // All that is left of the log came later: who knows what came before.
            return Some(Index::ZERO);
        }
        // Terms ascend: the last record of the log that is within.
        let (mut low, mut high) = (journal.base().index, last.min(fork.last.index));
        while low < high {
            let middle = Index(high.0 - (high.0 - low.0) / 2);
            if within(middle) {
                low = middle;
            } else {
                high = middle.prev();
            }
        }
        // A log that begins behind the fork.
        let common = low.min(fork.last.index);
        (common < last).then_some(common)
    }
}

#[cfg(test)]
mod tests {
    use rfs_model::Lineage;

    use super::*;

    #[test]
    fn a_lineage_is_noted_once_and_survives_the_file() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join(".rfs")).unwrap();
        let at = |lineage, term, index| Position::new(Term::new(Lineage(lineage), term), Index(index));
        let mut forks = Forks::load(dir.path()).unwrap();
        assert!(!forks.note(at(0, 1, 4), Term::new(Lineage(0), 3)));
        assert!(forks.note(at(0, 3, 9), Term::new(Lineage(5), 1)));
        assert!(!forks.note(at(5, 1, 10), Term::new(Lineage(5), 2)));
        // The first record of the lineage was cut off and came anew.
        assert!(forks.note(at(0, 3, 8), Term::new(Lineage(5), 2)));
        assert_eq!(forks.0, [Fork { term: Term::new(Lineage(5), 2), last: at(0, 3, 8) }]);
        forks.save(dir.path()).unwrap();
        assert_eq!(Forks::load(dir.path()).unwrap(), forks);
    }
}
