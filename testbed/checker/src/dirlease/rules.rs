//! The rules of leases on directories, each of which can be taken out. The mount has the lease, or asks for it.

use crate::rules::rules;

rules! {
    belief_from_sending: "belief counts from the moment at which the question was sent that its answer affirms",
        "";
    belief_from_first_sending: "of a request that was sent again, it is the first sending",
        "";
    recall_ends_belief: "a mount that hears a Recall answers nothing on belief any more",
        "";
    attach_ends_belief: "nor does one that attaches anew, until it has asked again",
        "";
    given_back_asks_nothing: "a mount that gives a lease back heeds no answer to what it asked before",
        "";
    unlock_behind_creates: "the Unlock is behind all creates that were answered on belief",
        "";
    doubt_after_belief: "when belief is over, names that the leader has not confirmed are in doubt: programs wait for them",
        "";
    renew_by_sure_leader: "a leader answers Renew when it is sure that it leads",
        "";
    no_renew_after_recall: "a leader that has sent a Recall, or tried to, answers no Renew of that lease",
        "";
    revoke_waits: "a leader revokes a lease some time after its Recall, not at once",
        "";
    revoke_outlasts_belief: "that time is longer than belief",
        "";
    recall_of_this_lease: "it counts from the Recall of this lease, not of an earlier one",
        "";
    recall_of_this_leader: "and from this leader's Recall, not from an earlier leader's",
        "";
    lease_is_replicated: "a new leader knows the leases",
        "";
    pending_lease_counts: "a lease that is proposed keeps others waiting as one that is applied does",
        "";
    judged_again: "who has waited for a lease to go is judged anew",
        "";
    only_empty: "a lease is granted on an empty directory only",
        "";
    pending_name_counts: "a name that is proposed is one that is there",
        "";
    refusal_when_committed: "a refusal is answered when everything by which it was judged is committed",
        "";
}
