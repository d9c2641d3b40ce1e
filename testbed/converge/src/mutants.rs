//! Planted faults, which the fuzzer must notice.

use rfs_engine::tree::testing::{Log, Planted, TERM, stamped};
use rfs_engine::tree::{Converged, Fault, Replay, Tree};
use rfs_model::Index;

/// A fault in recovery or in what it relies on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// In the tree.
    Planted(Planted),
    /// Instead of recovery, each operation is issued again and errors are ignored.
    ReissueAndIgnore,
    /// A checkpoint writes the index before the file system is synced.
    IndexBeforeSync,
}

impl Mutant {
    /// All, with their names and what each does.
    pub const ALL: &[(&str, Self, &str)] = &[
        ("reissue-and-ignore", Self::ReissueAndIgnore, "operations are issued again, errors ignored"),
        (
            "index-before-sync",
            Self::IndexBeforeSync,
            "a checkpoint writes its index before the tree is synced",
        ),
        ("limbo-kept", Self::Planted(Planted::LimboKept), "limbo is not emptied"),
        (
            "limbo-forgotten",
            Self::Planted(Planted::LimboForgotten),
            "limbo of an earlier recovery is not looked at",
        ),
        (
            "occupants-removed",
            Self::Planted(Planted::WrongOccupantsRemoved),
            "wrong occupants are removed, not kept",
        ),
        ("torn-ignored", Self::Planted(Planted::TornIgnored), "torn creates are taken for nobody"),
        (
            "orphans-forgotten",
            Self::Planted(Planted::OrphansForgotten),
            "orphans of before the checkpoint are unknown",
        ),
        ("orphans-not-housed", Self::Planted(Planted::OrphansNotHoused), "new orphans stay in limbo"),
        ("data-not-redone", Self::Planted(Planted::DataNotRedone), "writes are not redone"),
        ("sizes-not-redone", Self::Planted(Planted::SizesNotRedone), "new sizes are not redone"),
        ("xattrs-not-removed", Self::Planted(Planted::XattrsNotRemoved), "removed attributes may come back"),
        (
            "birth-not-redone",
            Self::Planted(Planted::BirthNotRedone),
            "owner, mode, ACLs of new inodes as the crash left them",
        ),
        ("times-not-set", Self::Planted(Planted::TimesNotSet), "modification times as the crash left them"),
        (
            "not-swept",
            Self::Planted(Planted::NotSwept),
            "after a loss of power only what records touched is looked at",
        ),
        ("strays-kept", Self::Planted(Planted::StraysKept), "what no log knows any more is left where it is"),
        (
            "dies-at-once",
            Self::Planted(Planted::DiesAtOnce),
            "what unsynced records remove is deleted at once",
        ),
        ("places-kept", Self::Planted(Planted::PlacesKept), "the index keeps names that are gone"),
    ];

    /// # Errors
    /// When none has the name.
    pub fn from_name(name: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|(known, ..)| *known == name);
        found.map(|(_, mutant, _)| *mutant).ok_or_else(|| format!("no planted fault is called {name}"))
    }

    /// Whether only a disk with effects of lost records shows it.
    #[must_use]
    pub fn is_of_a_lost_tail(self) -> bool {
        matches!(self, Self::Planted(Planted::NotSwept | Planted::StraysKept | Planted::DiesAtOnce))
    }

    fn planted(self) -> Option<Planted> {
        match self {
            Self::Planted(fault) => Some(fault),
            _ => None,
        }
    }
}

/// Recovery, perhaps with a fault.
///
/// # Errors
/// Its faults.
pub fn converge(
    tree: &mut Tree,
    through: Index,
    log: &mut Log<'_>,
    mutant: Option<Mutant>,
) -> Result<Converged, Fault> {
    if mutant == Some(Mutant::ReissueAndIgnore) {
        return reissue(tree, log);
    }
    tree.plant(mutant.and_then(Mutant::planted));
    tree.converge(through, TERM, log)
}

fn reissue(tree: &mut Tree, log: &mut Log<'_>) -> Result<Converged, Fault> {
    log.replay(&mut |index, record| {
        if let Ok(applied) = tree.apply(index, TERM, &stamped(index, record.op.clone()))
            && let Some(leftover) = applied.leftover
        {
            leftover.run()?;
        }
        Ok(())
    })?;
    tree.end_batch()?;
    Ok(Converged::default())
}
