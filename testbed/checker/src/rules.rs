//! The rules of the protocol, each of which can be taken out.

/// A rule as people read it.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    pub name: &'static str,
    /// What it says.
    pub says: &'static str,
    /// Where engine/core keeps it: file and function. Empty: nowhere yet.
    pub code: &'static str,
}

macro_rules! rules {
    ($($name:ident: $says:literal, $code:literal;)*) => {
        /// Which rules hold. All, but for a mutant.
        #[derive(Clone, Copy, Debug)]
        #[allow(clippy::struct_excessive_bools, reason = "each is one rule")]
        pub struct Rules {
            $(pub $name: bool,)*
        }

        impl Rules {
            /// The protocol.
            pub const ALL: Self = Self { $($name: true,)* };

            /// All but one; `None` when there is no such rule.
            #[must_use]
            pub fn without(name: &str) -> Option<Self> {
                let mut rules = Self::ALL;
                match name {
                    $(stringify!($name) => rules.$name = false,)*
                    _ => return None,
                }
                Some(rules)
            }
        }

        /// In the order of the protocol.
        pub const RULES: &[$crate::rules::Rule] = &[
            $($crate::rules::Rule { name: stringify!($name), says: $says, code: $code },)*
        ];

        /// The rule of that name.
        #[must_use]
        pub fn rule(name: &str) -> Option<&'static $crate::rules::Rule> {
            RULES.iter().find(|rule| rule.name == name)
        }
    };
}

pub(crate) use rules;

rules! {
    witness_commits_nothing: "a commit quorum is of bricks of S; the witness does not count",
        "quorum::commits, reached";
    election_needs_a_brick: "an election quorum has a brick",
        "quorum::elects";
    log_comparison: "no vote for a log that ends before the voter's own",
        "vote::judge";
    one_vote: "a brick gives one vote a term",
        "vote::judge";
    vote_saved: "term and vote are fsynced before the answer leaves",
        "save::Saver";
    witness_one_vote: "a witness gives one vote a term",
        "witness::judge";
    witness_compares_configs: "a witness gives no vote to a candidate with an older configuration than it stored",
        "witness::judge";
    witness_keeps_newer_config: "a witness lets no former leader put an older configuration in its register",
        "witness::store";
    witness_saved: "a witness's register is fsynced before the answer leaves",
        "witness::Answer";
    lost_register_is_a_stranger: "a witness that lost its register has no vote under its old name",
        "witness::Register::new";
    own_term_commits: "a leader commits nothing before a record of its own term",
        "commit::advance";
    own_journal_counts: "a leader counts its own records when they are journaled",
        "commit::journaled_by";
    durable_is_synced: "durable counts what is synced",
        "commit::synced_by";
    commit_counts_members: "a learner's acknowledgement does not count",
        "quorum::reached";
    votes_of_members: "a learner's vote does not count",
        "elect::wins";
    members_stand: "a brick outside S is no candidate",
        "elect::can_stand";
    joint_first: "S changes by a joint record, then a final one",
        "change::propose_config";
    joint_needs_old: "a joint record is committed by an election quorum of the old configuration too",
        "commit::joint_stored";
    joint_needs_new: "a joint record is committed by a commit quorum of the new configuration too",
        "commit::joint_stored";
    joint_is_synced: "a joint record counts where it is synced",
        "commit::joint_stored";
    joint_blocks: "nothing at or behind a joint record is committed before it",
        "commit::committable";
    candidate_asks_old: "a candidate with a joint record last needs an election quorum of the old configuration",
        "quorum::elects_all";
    candidate_asks_new: "a candidate with a joint record last needs an election quorum of the new configuration",
        "quorum::elects_all";
    final_after_joint: "the final record is appended when the joint one is committed",
        "commit::advance";
    joint_written_again: "a new leader with a joint record last writes it again, in its own term",
        "lead::become_leader";
    one_change: "no growth before the last change and a record of the own term are committed",
        "change::reconfigure";
    turn_back_needs_proof: "a change that this leader found is turned back by a final record alone only where logs show that it was never \
         committed",
        "change::was_never_committed";
    turn_back_from_final: "and only where it does not turn back another one",
        "change::was_never_committed";
    blank_proves_nothing: "a brick with a new disk does not show that it never had a joint record",
        "lead::Progress::note";
    final_ahead_stands: "a final configuration that is in the hard state outlives its record in the log",
        "mod::choose_config";
    joint_ahead_falls: "a joint configuration in the hard state whose record is lost does not count",
        "mod::choose_config";
    witness_told_when_durable: "a witness is told of a configuration that its leader cannot forget",
        "lead::config_is_durable";
    seat_by_joint: "the seat moves by a joint record, then a final one",
        "seat::place_seat";
    old_seat_is_out: "a vote counts only from the seat of the candidate's configuration",
        "elect::voting_seats";
    hold_outlasts_lease: "a voter's promise outlasts the leader's lease",
        "api::Timing (lease_us < hold_us)";
    lease_from_enough: "a lease needs promises that leave no election quorum free",
        "read::lease_valid, quorum::blocks";
    outsider_has_no_lease: "a leader outside S has no lease, for a brick that is all of S heeds no promise of its own",
        "read::lease_valid, elect::free_us";
    lease_after_commit: "no read before the leader committed a record of its own term",
        "read::lease_valid, answer_reads";
    hold_after_restart: "a voter that was restarted keeps the promise of the one before",
        "mod::new, witness::Witness::new";
    own_hold: "who made the promise to a leader is no candidate either",
        "elect::free_us";
    round_from_enough: "a read without a lease needs a round that leaves no election quorum free",
        "read::confirmed";
    release_by_leader: "only a leader that serves no more lets go of the promises to it",
        "leave::hand_over";
    suspect_is_noticed: "a start after a power loss is a suspect's",
        "mod::begin";
    suspect_has_no_vote: "a suspect's vote does not make a quorum",
        "elect::wins";
    suspect_acks_nothing: "a suspect's acknowledgement does not count",
        "lead::Progress::note";
    suspect_stands_not: "a suspect is not elected by a quorum",
        "elect::wins";
    suspicion_saved: "suspicion is fsynced before the brick speaks",
        "mod::begin, save::Saver";
    fresh_nonce: "an answer to a nonce of an earlier start does not count",
        "suspect::on_vouch";
    vouch_of_term: "no answer of a leader with an older term counts",
        "suspect::on_vouch";
    agree_to_vouched: "a suspect is sound when its log agrees up to the index in the answer",
        "suspect::regain_trust";
    all_suspect_needs_all: "without enough sound votes all of S must vote",
        "elect::wins";
    all_of_s_is_enough: "the votes of all of S elect, whoever is suspect",
        "elect::wins";
    blank_has_no_vote: "a brick with a new disk has no vote",
        "vote::judge";
    blank_starts_as_learner: "a brick with a new disk counts again under a committed configuration without it",
        "suspect::regain_trust";
}
