//! What must hold after every input. A brick for which it does not stops.

use rfs_model::hard::Trust;

use super::Consensus;
use super::role::Role;

impl Consensus {
    pub(super) fn check(&self) {
        let marks = self.marks;
        assert_eq!(marks.last, self.log.last(), "the end of the log");
        assert!(marks.synced <= marks.journaled && marks.journaled <= marks.last, "{marks:?}");
        assert!(marks.applied <= marks.committed && marks.committed <= marks.last, "{marks:?}");
        assert!(marks.durable <= marks.committed, "{marks:?}");
        assert!(self.log.base().index <= marks.committed, "the log begins behind what is committed");
        assert!(self.hard.term >= self.log.last_position().term, "a record of a term to come");
        if let Role::Leader(lead) = &self.role {
            assert_eq!(self.hard.trust, Trust::Sound, "a suspect brick leads");
            assert!(self.holds_config(), "a leader's configuration is in its log");
            let first = self.log.term_at(lead.first);
            let trimmed = lead.first < self.log.base().index;
            assert!(trimmed || first == Some(self.hard.term), "a leader's first record is its own");
        }
    }
}
