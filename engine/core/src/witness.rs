//! A vote without data: the witness, sans-IO. It holds the majority of an even number of bricks, and remembers which
//! configuration it was last told of, so that it never helps a brick to lead that the others have left behind (Pâris,
//! *Voting with witnesses*, 1986).
//!
//! | request | granted when |
//! |---|---|
//! | vote | its term is not an old one; no heartbeat was acknowledged within 250 ms; the candidate's last configuration is at least the stored one; its log is of the lineage that it stands in; the vote of that term is free or the candidate's own |
//! | store | the leader's term is not an old one; the record is at least the stored one, or the leader a later one than it was stored by |
//! | heartbeat | the leader's term is not an old one |
//!
//! A later leader may store an older record: had the newer one been stored by an election quorum, that leader would have it.
//!
//! The register is saved (written, fsynced, renamed, directory fsynced) before the answer leaves. When that fails, the
//! witness must not answer again before it was started anew from what is on disk.

use rfs_model::config::{ConfigEntry, Position};
use rfs_model::peer::{Candidacy, Verdict, WitnessReply, WitnessRequest};
use rfs_model::register::Register;
use rfs_model::{SeatId, Term};

use crate::consensus::api::Mutations;

/// What must be done about a request, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Save this before the reply leaves.
    pub save: Option<Register>,
    pub reply: Option<WitnessReply>,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Witness {
    register: Register,
    hold_us: u64,
    held_until_us: u64,
    /// The term of the leader to whom the promise was made.
    held_for: Term,
    released: bool,
    mutations: Mutations,
}

impl Witness {
    /// `now_us`: CLOCK_BOOTTIME, microseconds. `hold_us`: [`crate::consensus::api::Timing::hold_us`]. The witness of a moment
    /// ago may have made a promise, so this one keeps it.
    #[must_use]
    pub fn new(register: Register, hold_us: u64, now_us: u64) -> Self {
        let (held_until_us, held_for) = (now_us + hold_us, register.term);
        Self { register, hold_us, held_until_us, held_for, released: false, mutations: Mutations::default() }
    }

    #[must_use]
    pub fn seat(&self) -> SeatId {
        self.register.seat
    }

    #[must_use]
    pub fn register(&self) -> &Register {
        &self.register
    }

    /// Whether a leader has said that the seat is another's now.
    #[must_use]
    pub fn is_released(&self) -> bool {
        self.released
    }

    /// For proofs that the simulator finds faults.
    #[doc(hidden)]
    pub fn mutate(&mut self, mutations: Mutations) {
        self.mutations = mutations;
    }

    pub fn step(&mut self, now_us: u64, request: WitnessRequest) -> Answer {
        let before = self.register.clone();
        let reply = match request {
            WitnessRequest::Vote { ask } => Some(self.vote(now_us, ask)),
            WitnessRequest::Store { term, entry, .. } => Some(self.store(term, entry)),
            WitnessRequest::Heartbeat { term, round, .. } => Some(self.heartbeat(now_us, term, round)),
            WitnessRequest::Released {} => {
                self.released = true;
                None
            }
        };
        let save = (self.register != before).then(|| self.register.clone());
        Answer { save, reply }
    }

    fn vote(&mut self, now_us: u64, ask: Candidacy) -> WitnessReply {
        let verdict = self.judge(now_us, ask);
        if !ask.pre && verdict == Verdict::Granted {
            self.see_term(ask.term);
            self.register.voted_for = Some(ask.candidate);
        }
        let config = self.register.config.clone().filter(|_| verdict == Verdict::OldConfig);
        WitnessReply::Vote { term: self.register.term, pre: ask.pre, verdict, config }
    }

    fn judge(&self, now_us: u64, ask: Candidacy) -> Verdict {
        let register = &self.register;
        if ask.term < register.term {
            return Verdict::OldTerm;
        }
        if now_us < self.held_until_us && ask.released < self.held_for {
            return Verdict::Held { retry_us: self.held_until_us - now_us };
        }
        let abandoned = ask.last.term.max(ask.config.term).lineage() < ask.term.lineage();
        if ask.config < self.stored_at() || abandoned {
            return Verdict::OldConfig;
        }
        let taken = register.voted_for.is_some_and(|brick| brick != ask.candidate);
        if ask.term == register.term && taken { Verdict::Taken } else { Verdict::Granted }
    }

    fn stored_at(&self) -> Position {
        self.register.config.as_ref().map_or(Position::ZERO, |entry| entry.at)
    }

    fn store(&mut self, term: Term, entry: ConfigEntry) -> WitnessReply {
        let offered = entry.at;
        if term >= self.register.term && entry.record.problem().is_none() && !self.mutations.witness_forgets {
            self.see_term(term);
            if term > self.register.stored_in || entry.at >= self.stored_at() {
                (self.register.stored_in, self.register.config) = (term, Some(entry));
            }
        }
        let at = if self.mutations.witness_forgets { offered } else { self.stored_at() };
        WitnessReply::Stored { term: self.register.term, at }
    }

    fn heartbeat(&mut self, now_us: u64, term: Term, round: u64) -> WitnessReply {
        if term < self.register.term {
            // Rounds are counted anew in each term: the same brick may lead in the later one when this answer comes, and
            // must not take it for one of its rounds there.
            return WitnessReply::Heartbeat { term: self.register.term, round: 0 };
        }
        self.see_term(term);
        (self.held_until_us, self.held_for) = (now_us + self.hold_us, term);
        self.released = false;
        WitnessReply::Heartbeat { term, round }
    }

    fn see_term(&mut self, term: Term) {
        if term > self.register.term {
            (self.register.term, self.register.voted_for) = (term, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use rfs_model::{Index, NodeId};

    use super::*;

    const HOLD_US: u64 = 250_000;
    const LATER_US: u64 = 10_000_000;

    fn node(n: u8) -> NodeId {
        NodeId([n; 16])
    }

    fn entry(term: u64, index: u64) -> ConfigEntry {
        ConfigEntry {
            at: Position::new(Term(term), Index(index)),
            ..ConfigEntry::genesis(&[node(1), node(2)])
        }
    }

    fn ask(candidate: u8, term: u64, config: (u64, u64)) -> Candidacy {
        Candidacy {
            term: Term(term),
            candidate: node(candidate),
            pre: false,
            last: Position::ZERO,
            config: Position::new(Term(config.0), Index(config.1)),
            released: Term::ZERO,
        }
    }

    fn fresh() -> Witness {
        Witness::new(Register::new(SeatId([9; 16])), HOLD_US, 0)
    }

    fn verdict(witness: &mut Witness, now_us: u64, ask: Candidacy) -> Verdict {
        match witness.step(now_us, WitnessRequest::Vote { ask }).reply {
            Some(WitnessReply::Vote { verdict, .. }) => verdict,
            other => panic!("{other:?}"),
        }
    }

    fn store(witness: &mut Witness, term: u64, entry: ConfigEntry) -> Answer {
        witness.step(LATER_US, WitnessRequest::Store { term: Term(term), leader: node(1), entry })
    }

    /// Term 5, vote given to brick 1, configuration (4, 40) stored in term 4.
    fn experienced() -> Witness {
        let mut witness = fresh();
        store(&mut witness, 4, entry(4, 40));
        assert_eq!(verdict(&mut witness, LATER_US, ask(1, 5, (4, 40))), Verdict::Granted);
        witness
    }

    #[test]
    fn who_gets_the_vote() {
        let table: &[(u8, u64, (u64, u64), Verdict)] = &[
            (1, 4, (9, 9), Verdict::OldTerm),
            (1, 5, (4, 40), Verdict::Granted), // asked again
            (2, 5, (4, 40), Verdict::Taken),
            (2, 6, (4, 40), Verdict::Granted),
            (2, 6, (5, 1), Verdict::Granted),
            (2, 6, (4, 39), Verdict::OldConfig),
            (2, 6, (3, 90), Verdict::OldConfig),
            (1, 5, (4, 39), Verdict::OldConfig),
        ];
        for (candidate, term, config, wanted) in table {
            let got = verdict(&mut experienced(), LATER_US, ask(*candidate, *term, *config));
            assert_eq!(got, *wanted, "{candidate} {term} {config:?}");
        }
    }

    #[test]
    fn a_vote_is_saved_before_it_is_given_and_a_refusal_changes_nothing() {
        let mut witness = experienced();
        let vote = |ask| WitnessRequest::Vote { ask };
        let given = witness.step(LATER_US, vote(ask(2, 6, (4, 40))));
        let saved = given.save.expect("a new vote is saved");
        assert_eq!((saved.term, saved.voted_for), (Term(6), Some(node(2))));
        assert_eq!(witness.step(LATER_US, vote(ask(2, 6, (4, 40)))).save, None, "given again");
        assert_eq!(witness.step(LATER_US, vote(ask(1, 7, (4, 39)))).save, None, "refused");
        let pre = Candidacy { pre: true, ..ask(1, 9, (4, 40)) };
        let would = witness.step(LATER_US, vote(pre));
        assert_eq!(would.save, None, "only asked");
        let granted =
            WitnessReply::Vote { term: Term(6), pre: true, verdict: Verdict::Granted, config: None };
        assert_eq!(would.reply, Some(granted));
    }

    #[test]
    fn a_refusal_names_the_stored_configuration() {
        let reply = experienced().step(LATER_US, WitnessRequest::Vote { ask: ask(2, 6, (4, 1)) }).reply;
        let Some(WitnessReply::Vote { config, .. }) = reply else { panic!("{reply:?}") };
        assert_eq!(config, Some(entry(4, 40)));
    }

    #[test]
    fn what_is_stored() {
        let table = [
            (5, (5, 50), (5, 50)),
            (3, (9, 90), (4, 40)), // a former leader
            (5, (4, 30), (4, 30)), // a later leader knows that (4, 40) was not committed
        ];
        for (term, at, stored) in table {
            let mut witness = experienced();
            store(&mut witness, term, entry(at.0, at.1));
            assert_eq!(witness.stored_at(), entry(stored.0, stored.1).at, "{term} {at:?}");
        }
        let mut witness = experienced();
        store(&mut witness, 5, entry(5, 50));
        store(&mut witness, 5, entry(4, 40));
        assert_eq!(witness.stored_at(), entry(5, 50).at, "a late message of the same leader");
    }

    #[test]
    fn a_heartbeat_binds_for_the_hold_time_and_a_released_lease_frees() {
        let mut witness = experienced();
        let beat = WitnessRequest::Heartbeat { term: Term(5), leader: node(1), round: 7 };
        assert_eq!(
            witness.step(LATER_US, beat).reply,
            Some(WitnessReply::Heartbeat { term: Term(5), round: 7 })
        );
        let wish = ask(2, 6, (4, 40));
        let soon = LATER_US + HOLD_US - 1;
        assert_eq!(verdict(&mut witness.clone(), soon, wish), Verdict::Held { retry_us: 1 });
        assert_eq!(verdict(&mut witness.clone(), soon + 1, wish), Verdict::Granted);
        let freed = Candidacy { released: Term(5), ..wish };
        assert_eq!(verdict(&mut witness, soon, freed), Verdict::Granted);
    }

    #[test]
    fn a_former_leader_binds_nobody() {
        let mut witness = experienced();
        let beat = WitnessRequest::Heartbeat { term: Term(4), leader: node(1), round: 7 };
        let reply = witness.step(LATER_US, beat).reply;
        assert_eq!(reply, Some(WitnessReply::Heartbeat { term: Term(5), round: 0 }), "no round of term 5");
        assert_eq!(verdict(&mut witness, LATER_US, ask(2, 6, (4, 40))), Verdict::Granted);
    }

    #[test]
    fn a_witness_that_was_just_started_keeps_the_promise_of_the_one_before() {
        let mut witness = Witness::new(experienced().register().clone(), HOLD_US, LATER_US);
        assert!(matches!(verdict(&mut witness, LATER_US, ask(2, 6, (4, 40))), Verdict::Held { .. }));
    }
}
