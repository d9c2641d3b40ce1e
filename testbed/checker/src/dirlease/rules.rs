//! The rules of leases on directories, each of which can be taken out. The mount has the lease, or asks for it.

use crate::rules::rules;

rules! {
    belief_from_sending: "belief counts from the moment at which the question was sent that its answer affirms",
        "mountd lease::keep renew, table::got";
    belief_from_first_sending: "of a request that was sent again, it is the first sending",
        "mountd lease::table::wants (Lease::sent)";
    recall_ends_belief: "a mount that hears a Recall answers nothing on belief any more",
        "mountd lease::table::give_back";
    attach_ends_belief: "nor does one that attaches anew, until it has asked again",
        "mountd lease::Leases::lost";
    given_back_asks_nothing: "a mount that gives a lease back heeds no answer to what it asked before",
        "mountd lease::table::due: what was given back is not known any more";
    unlock_behind_creates: "the Unlock is behind all creates that were answered on belief",
        "mountd lease::table::due (Lease::queued)";
    doubt_after_belief: "when belief is over, names that the leader has not confirmed are in doubt: programs wait for them",
        "mountd fs::Inode::is_in_doubt";
    renew_by_sure_leader: "a leader answers Renew when it is sure that it leads",
        "shard::queries deliver";
    no_renew_after_recall: "a leader that has sent a Recall, or tried to, answers no Renew of that lease",
        "mountd lease::table: what leaves is not believed in again, renewed or not";
    revoke_waits: "a leader revokes a lease some time after its Recall, not at once",
        "admit::recalls::Recalls::overdue";
    revoke_outlasts_belief: "that time is longer than belief",
        "admit::recalls::PATIENCE_MS";
    recall_of_this_lease: "it counts from the Recall of this lease, not of an earlier one",
        "admit::recalls::Recalls::ended, take: no lease while a record about one is on its way";
    recall_of_this_leader: "and from this leader's Recall, not from an earlier leader's",
        "admit::lead::Lead::new";
    lease_is_replicated: "a new leader knows the leases",
        "admit::state (locks)";
    pending_lease_counts: "a lease that is proposed keeps others waiting as one that is applied does",
        "admit::scene not_leased";
    judged_again: "who has waited for a lease to go is judged anew",
        "admit::lead lease_ended";
    only_empty: "a lease is granted on an empty directory only",
        "admit::lease::take: at the version of which the mount knows all names";
    pending_name_counts: "a name that is proposed is one that is there",
        "admit::scene names_settled";
    refusal_when_committed: "a refusal is answered when everything by which it was judged is committed",
        "admit::scene child waits; shard::admission answer_unrecorded";
}
