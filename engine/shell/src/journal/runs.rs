//! Which term each record of the log has: a list of the first index of each run of one term.

use rfs_model::{Index, Term};

/// Runs in rising order. The first one may begin before the log's base: that is the base's term.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Runs(Vec<(Index, Term)>);

impl Runs {
    pub(super) fn starting(base: Index, term: Term) -> Self {
        Self(vec![(base, term)])
    }

    pub(super) fn push(&mut self, index: Index, term: Term) {
        if self.0.last().is_none_or(|(_, last)| *last != term) {
            self.0.push((index, term));
        }
    }

    pub(super) fn truncate_after(&mut self, index: Index) {
        let keep = self.0.partition_point(|(first, _)| *first <= index);
        self.0.truncate(keep);
    }

    /// Forgets what lies before `base`, whose own term stays known.
    pub(super) fn advance_base(&mut self, base: Index) {
        let run = self.0.partition_point(|(first, _)| *first <= base).saturating_sub(1);
        self.0.drain(..run);
        if let Some(first) = self.0.first_mut() {
            first.0 = base;
        }
    }

    /// The term at an index from the base on. Behind the end it is the last term: the caller knows the end.
    #[must_use]
    pub fn term_at(&self, index: Index) -> Option<Term> {
        let run = self.0.partition_point(|(first, _)| *first <= index).checked_sub(1)?;
        self.0.get(run).map(|(_, term)| *term)
    }

    /// First index and term of each run, the base's first.
    #[must_use]
    pub fn as_slice(&self) -> &[(Index, Term)] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Runs {
        let mut runs = Runs::starting(Index(4), Term(1));
        for (index, term) in [(5, 1), (6, 2), (7, 2), (8, 5)] {
            runs.push(Index(index), Term(term));
        }
        runs
    }

    #[test]
    fn a_term_is_found_by_its_run() {
        let runs = sample();
        let terms: Vec<_> = (3..9).map(|i| runs.term_at(Index(i)).map(|t| t.0)).collect();
        assert_eq!(terms, [None, Some(1), Some(1), Some(2), Some(2), Some(5)]);
    }

    #[test]
    fn both_ends_can_be_cut() {
        let mut runs = sample();
        runs.truncate_after(Index(7));
        runs.advance_base(Index(6));
        assert_eq!(runs.as_slice(), [(Index(6), Term(2))]);
        runs.truncate_after(Index(6));
        assert_eq!(runs.term_at(Index(6)), Some(Term(2)));
    }
}
