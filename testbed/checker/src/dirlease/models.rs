//! The models of leases on directories.

use super::rules::Rules;
use super::{Bounds, Model};

/// A model by its name.
#[derive(Clone, Copy, Debug)]
pub struct Named {
    pub name: &'static str,
    pub about: &'static str,
    pub lookups: bool,
    pub small: Bounds,
    pub full: Bounds,
}

const SMALL: Bounds = Bounds { leaders: 2, locks: 1, names: 1, belief: 1, revoke: 2 };
/// Two names, and longer times.
const LONG: Bounds = Bounds { names: 2, belief: 2, revoke: 3, ..SMALL };

/// All of them.
pub const MODELS: &[Named] = &[
    Named {
        name: "dir-leases",
        about: "a mount creates names on belief, another one wants the same name, leaders change",
        lookups: false,
        small: SMALL,
        full: LONG,
    },
    Named {
        name: "dir-patience",
        about: "the leader never revokes: B waits, and no name is ever in doubt",
        lookups: false,
        small: Bounds { revoke: 0, ..SMALL },
        full: Bounds { revoke: 0, ..LONG },
    },
    Named {
        name: "dir-lookups",
        about: "the mount says on belief, too, that a name is not there",
        lookups: true,
        small: Bounds { names: 0, ..SMALL },
        full: Bounds { locks: 2, ..SMALL },
    },
    Named {
        name: "dir-again",
        about: "one leader; the mount asks for the lease again, and says that a name is not there",
        lookups: true,
        small: Bounds { leaders: 1, locks: 2, names: 0, ..SMALL },
        full: Bounds { leaders: 1, locks: 2, names: 1, ..LONG },
    },
];

impl Named {
    /// The model with all rules.
    #[must_use]
    pub fn model(&self, full: bool) -> Model {
        let bounds = if full { self.full } else { self.small };
        Model { bounds, rules: Rules::ALL, lookups: self.lookups, goal: None }
    }
}

/// The model of that name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Named> {
    MODELS.iter().find(|model| model.name == name)
}
