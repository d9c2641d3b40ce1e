//! The protocol without one of its rules, and where that must be noticed.

use crate::model::{Bounds, Model};
use crate::models::named;
use crate::rules::Rules;

/// A rule that is taken out.
#[derive(Clone, Copy, Debug)]
pub struct Mutant {
    pub rule: &'static str,
    pub model: &'static str,
    /// The bounds of the hunt, of the model's small ones.
    pub within: fn(Bounds) -> Bounds,
    /// Whether states from which nothing goes on count.
    pub live: bool,
    /// Why no state breaks a promise without it, where that is so: other rules are enough.
    pub spare: Option<&'static str>,
}

const fn caught(rule: &'static str, model: &'static str) -> Mutant {
    Mutant { rule, model, within: |bounds| bounds, live: false, spare: None }
}

const fn within(rule: &'static str, model: &'static str, within: fn(Bounds) -> Bounds) -> Mutant {
    Mutant { within, ..caught(rule, model) }
}

const fn spare(rule: &'static str, model: &'static str, why: &'static str) -> Mutant {
    Mutant { spare: Some(why), ..caught(rule, model) }
}

const fn spare_within(
    rule: &'static str,
    model: &'static str,
    within: fn(Bounds) -> Bounds,
    why: &'static str,
) -> Mutant {
    Mutant { within, ..spare(rule, model, why) }
}

/// S shrinks and grows again, with two leaders.
const THERE_AND_BACK: fn(Bounds) -> Bounds = |b| Bounds { terms: 3, log: 6, changes: 2, ..b };

/// One for each rule, in their order.
pub const MUTANTS: &[Mutant] = &[
    caught("witness_commits_nothing", "two+witness"),
    spare(
        "election_needs_a_brick",
        "two+witness",
        "a quorum of an even S is at least two voters, and at most one of them is the witness",
    ),
    caught("log_comparison", "two+witness"),
    caught("one_vote", "two+witness"),
    caught("vote_saved", "two+witness"),
    caught("witness_one_vote", "two+witness"),
    caught("witness_compares_configs", "two+witness"),
    within("witness_keeps_newer_config", "growth", |b| Bounds { changes: 3, log: 8, ..b }),
    caught("witness_saved", "two+witness"),
    caught("lost_register_is_a_stranger", "two+witness"),
    within("own_term_commits", "three", |b| Bounds { terms: 5, crashes: 0, ..b }),
    caught("own_journal_counts", "two+witness"),
    caught("durable_is_synced", "power"),
    within("commit_counts_members", "three-changes", |b| Bounds { terms: 3, data: 1, ..b }),
    caught("votes_of_members", "growth"),
    caught("members_stand", "two+witness"),
    caught("joint_first", "two+witness"),
    caught("joint_needs_old", "two+witness"),
    spare_within(
        "joint_needs_new",
        "three-changes",
        THERE_AND_BACK,
        "the final record needs that quorum too; until then everybody with the joint record asks both",
    ),
    within("joint_is_synced", "power-changes", |b| Bounds { changes: 2, log: 6, ..b }),
    spare_within(
        "joint_blocks",
        "three-changes",
        THERE_AND_BACK,
        "what the old quorum commits behind a joint record is in the log of whom both quorums elect",
    ),
    caught("candidate_asks_old", "two+witness"),
    caught("candidate_asks_new", "two+witness"),
    caught("final_after_joint", "two+witness"),
    within("joint_written_again", "two+witness", |b| Bounds {
        terms: 5,
        data: 0,
        crashes: 0,
        witness_faults: 0,
        changes: 2,
        ..b
    }),
    spare_within(
        "one_change",
        "three-changes",
        THERE_AND_BACK,
        "each change begins with a joint record, and who finds one needs both quorums; demotion never waits",
    ),
    within("turn_back_needs_proof", "growth", |b| Bounds { terms: 5, changes: 4, log: 8, ..b }),
    within("turn_back_from_final", "turning-power", |b| Bounds { terms: 4, ..b }),
    spare_within(
        "blank_proves_nothing",
        "new-disk",
        |b| Bounds { log: 7, changes: 3, ..b },
        "who found the joint record has the votes of a quorum of c' that had its disks, and what a brick had of a final \
         record is gone with its disk",
    ),
    spare(
        "final_ahead_stands",
        "power-changes",
        "the joint record before it was synced by a commit quorum, so it is still there, and asks for more",
    ),
    spare(
        "joint_ahead_falls",
        "power-changes",
        "a leader with it writes it again, as if it began the change anew; the rule is for availability",
    ),
    caught("witness_told_when_durable", "power-changes"),
    within("seat_by_joint", "seat-moves", |b| Bounds { terms: 4, ..b }),
    caught("old_seat_is_out", "seat-moves"),
    caught("hold_outlasts_lease", "leases-three"),
    caught("lease_from_enough", "leases-three"),
    caught("outsider_has_no_lease", "leases-changes"),
    caught("lease_after_commit", "leases"),
    within("hold_after_restart", "leases-three", |b| Bounds { crashes: 1, reads: 0, ..b }),
    caught("own_hold", "leases-three"),
    caught("round_from_enough", "leases-three"),
    caught("release_by_leader", "leases-three"),
    caught("suspect_is_noticed", "power"),
    caught("suspect_has_no_vote", "power-three"),
    spare(
        "suspect_acks_nothing",
        "power-three",
        "an acknowledgement says what the log has now, and all of S must vote where too few are sound; with the rule, \
         what is committed is where a quorum of sound bricks finds it, so that one more fault blocks nobody",
    ),
    caught("suspect_stands_not", "power"),
    within("suspicion_saved", "power", |b| Bounds { powers: 1, crashes: 1, ..b }),
    caught("fresh_nonce", "power"),
    within("vouch_of_term", "power-three", |b| Bounds { terms: 4, ..b }),
    caught("agree_to_vouched", "power"),
    within("all_suspect_needs_all", "power-three", |b| Bounds { powers: 2, ..b }),
    Mutant { live: true, ..caught("all_of_s_is_enough", "power") },
    caught("blank_has_no_vote", "new-disk"),
    caught("blank_starts_as_learner", "new-disk"),
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
