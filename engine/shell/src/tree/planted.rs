//! Faults that tests plant in recovery, to see that the fuzzer notices them. Outside the feature `testing` there are none.

use super::Tree;

/// A step of recovery that is left out or done wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planted {
    /// Limbo is not emptied at the end.
    LimboKept,
    /// What stands in a wrong place is removed and not moved to limbo.
    WrongOccupantsRemoved,
    /// What limbo holds from an earlier recovery is not looked at.
    LimboForgotten,
    /// An entry without identity is taken for nobody.
    TornIgnored,
    /// Orphans of before the checkpoint are not known as such.
    OrphansForgotten,
    /// What is in limbo and an orphan stays there.
    OrphansNotHoused,
    /// Writes are not redone.
    DataNotRedone,
    /// New sizes are not redone.
    SizesNotRedone,
    /// Extended attributes that were removed may stay.
    XattrsNotRemoved,
    /// Owner, mode and ACLs of new inodes stay as the crash left them.
    BirthNotRedone,
    /// Modification times stay as the crash left them.
    TimesNotSet,
    /// The index keeps names that records have taken away.
    PlacesKept,
    /// After a loss of power only the names that records touched are looked at.
    NotSwept,
    /// Names that no log tells of stay.
    StraysKept,
    /// What a record removes is gone before the log is synced.
    DiesAtOnce,
}

impl Tree {
    #[cfg(any(test, feature = "testing"))]
    pub(super) fn has_fault(&self, fault: Planted) -> bool {
        self.planted == Some(fault)
    }

    #[cfg(not(any(test, feature = "testing")))]
    #[allow(clippy::unused_self)]
    pub(super) fn has_fault(&self, _: Planted) -> bool {
        false
    }
}
