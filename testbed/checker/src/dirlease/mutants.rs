//! The protocol without one of its rules, and where that must be noticed.

use super::models::named;
use super::rules::Rules;
use super::{Bounds, Model};

/// A rule that is taken out.
#[derive(Clone, Copy, Debug)]
pub struct Mutant {
    pub rule: &'static str,
    pub model: &'static str,
    /// The bounds of the hunt, of the model's small ones.
    pub within: fn(Bounds) -> Bounds,
    /// Why no state breaks a promise without it, where that is so: other rules are enough.
    pub spare: Option<&'static str>,
}

const fn caught(rule: &'static str, model: &'static str) -> Mutant {
    Mutant { rule, model, within: |bounds| bounds, spare: None }
}

const fn spare(rule: &'static str, model: &'static str, why: &'static str) -> Mutant {
    Mutant { spare: Some(why), ..caught(rule, model) }
}

/// A asks for the lease again, under one leader.
const fn again(rule: &'static str) -> Mutant {
    Mutant { within: |b| Bounds { leaders: 1, locks: 2, ..b }, ..caught(rule, "dir-leases") }
}

/// One for each rule, in their order.
pub const MUTANTS: &[Mutant] = &[
    caught("belief_from_sending", "dir-leases"),
    caught("belief_from_first_sending", "dir-leases"),
    caught("recall_ends_belief", "dir-leases"),
    spare(
        "attach_ends_belief",
        "dir-lookups",
        "belief ends by its time before a lease is revoked, whoever is the leader",
    ),
    caught("given_back_asks_nothing", "dir-leases"),
    caught("unlock_behind_creates", "dir-leases"),
    caught("doubt_after_belief", "dir-leases"),
    caught("renew_by_sure_leader", "dir-leases"),
    caught("no_renew_after_recall", "dir-leases"),
    caught("revoke_waits", "dir-leases"),
    caught("revoke_outlasts_belief", "dir-leases"),
    again("recall_of_this_lease"),
    caught("recall_of_this_leader", "dir-leases"),
    caught("lease_is_replicated", "dir-leases"),
    caught("pending_lease_counts", "dir-leases"),
    again("judged_again"),
    caught("only_empty", "dir-leases"),
    caught("pending_name_counts", "dir-leases"),
    caught("refusal_when_committed", "dir-leases"),
];

impl Mutant {
    /// The model without the rule.
    ///
    /// # Panics
    /// When the table names a rule or a model that is not there.
    #[must_use]
    pub fn model(&self) -> Model {
        let model = named(self.model).expect("a model of the table").model(false);
        let rules = Rules::without(self.rule).expect("a rule of the table");
        Model { rules, bounds: (self.within)(model.bounds), ..model }
    }
}
