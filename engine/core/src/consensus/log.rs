//! What the core keeps of the log: its terms, as runs, and its configuration records. No record, no payload.

use std::collections::VecDeque;

use rfs_model::config::{Config, ConfigEntry, ConfigRecord, Position};
use rfs_model::{Index, Term};

use super::api::LogSummary;

#[derive(Clone, Debug)]
pub(super) struct Log {
    /// The record before the first one kept.
    base: Position,
    /// First index and term of each run of one term; the first begins behind `base`.
    runs: VecDeque<(Index, Term)>,
    last: Index,
    /// Those kept, and the newest before; ascending.
    configs: Vec<ConfigEntry>,
}

impl Log {
    /// # Panics
    /// When the summary contradicts itself.
    pub fn new(summary: LogSummary) -> Self {
        let LogSummary { base, runs, last, configs, .. } = summary;
        assert!(last >= base.index, "a log that ends at {last} before its base {}", base.index);
        assert!(runs.is_sorted_by(|a, b| a.0 < b.0 && a.1 < b.1), "runs out of order: {runs:?}");
        assert!(configs.is_sorted_by(|a, b| a.at < b.at), "configurations out of order");
        let first = runs.first().map(|(first, _)| *first);
        assert_eq!(first, (last > base.index).then(|| base.index.next()), "the runs begin behind the base");
        let fits = |entry: &ConfigEntry| entry.at.index <= last && entry.record.problem().is_none();
        assert!(configs.iter().all(fits), "a configuration that is not in the log, or makes no sense");
        Self { base, runs: runs.into(), last, configs }
    }

    pub fn base(&self) -> Position {
        self.base
    }

    pub fn last(&self) -> Index {
        self.last
    }

    pub fn last_position(&self) -> Position {
        Position::new(self.runs.back().map_or(self.base.term, |(_, term)| *term), self.last)
    }

    /// The newest configuration record.
    pub fn config(&self) -> Option<&ConfigEntry> {
        self.configs.last()
    }

    /// The newest configuration record at or before `index`, where the log still knows it.
    pub fn config_upto(&self, index: Index) -> Option<&ConfigEntry> {
        self.configs.iter().rev().find(|entry| entry.at.index <= index)
    }

    /// The newest final one of which that can be said.
    pub fn newest_final(&self, is: impl Fn(&Config) -> bool) -> Option<&ConfigRecord> {
        let finals = self.configs.iter().rev().map(|entry| &entry.record).filter(|record| !record.is_joint());
        finals.into_iter().find(|record| is(record.target()))
    }

    /// The first of the records at the end of those kept that say the same as `record`.
    pub fn first_like(&self, record: &ConfigRecord) -> Option<&ConfigEntry> {
        self.configs.iter().rev().take_while(|entry| entry.record == *record).last()
    }

    /// The configuration record before the one at `at`.
    pub fn config_before(&self, at: Position) -> Option<&ConfigEntry> {
        self.configs.iter().rev().find(|entry| entry.at < at)
    }

    /// `None` before the base and behind the end.
    pub fn term_at(&self, index: Index) -> Option<Term> {
        if index == self.base.index {
            return Some(self.base.term);
        }
        if index < self.base.index || index > self.last {
            return None;
        }
        let run = self.runs.partition_point(|(first, _)| *first <= index);
        self.runs.get(run.checked_sub(1)?).map(|(_, term)| *term)
    }

    pub fn position_at(&self, index: Index) -> Option<Position> {
        Some(Position::new(self.term_at(index)?, index))
    }

    pub fn has(&self, at: Position) -> bool {
        self.term_at(at.index) == Some(at.term)
    }

    /// The last record that may be common with a log that has `hint`: at or before its index, of its term or an older one.
    /// `None` when that lies before the base.
    pub fn common_with(&self, hint: Position) -> Option<Position> {
        let index = hint.index.min(self.last);
        if index < self.base.index {
            return None;
        }
        if self.term_at(index)? <= hint.term {
            return self.position_at(index);
        }
        let newer = self.runs.iter().find(|(_, term)| *term > hint.term).map(|(first, _)| first.prev());
        newer.and_then(|last| self.position_at(last)).filter(|at| at.term <= hint.term)
    }

    /// # Panics
    /// When `at` does not follow the last record, or its term is an older one.
    pub fn append(&mut self, at: Position) {
        let end = self.last_position();
        assert!(at.index == end.index.next() && at.term >= end.term, "{at:?} does not follow {end:?}");
        if self.runs.back().is_none_or(|(_, term)| *term < at.term) {
            self.runs.push_back((at.index, at.term));
        }
        self.last = at.index;
    }

    /// Notes that the record at `entry.at`, which was appended, is a configuration.
    pub fn append_config(&mut self, entry: ConfigEntry) {
        assert!(self.has(entry.at), "a configuration at {:?} that is not in the log", entry.at);
        self.configs.push(entry);
    }

    /// Removes everything behind `index`.
    pub fn truncate(&mut self, index: Index) {
        assert!(index >= self.base.index && index <= self.last, "no record {index} to cut after");
        while self.runs.back().is_some_and(|(first, _)| *first > index) {
            self.runs.pop_back();
        }
        while self.configs.last().is_some_and(|entry| entry.at.index > index) {
            self.configs.pop();
        }
        self.last = index;
    }

    /// Forgets the records up to and including `base`.
    pub fn trim(&mut self, base: Position) {
        if base.index <= self.base.index {
            return;
        }
        assert!(self.has(base), "the log is trimmed at {base:?}, which it does not have");
        while self.runs.get(1).is_some_and(|(first, _)| first.0 <= base.index.0 + 1) {
            self.runs.pop_front();
        }
        if base.index == self.last {
            self.runs.clear();
        } else if let Some(first) = self.runs.front_mut() {
            first.0 = first.0.max(base.index.next());
        }
        self.base = base;
        let older = self.configs.partition_point(|entry| entry.at.index <= base.index);
        self.configs.drain(..older.saturating_sub(1));
    }

    /// A full copy: nothing but what came before `at`.
    pub fn install(&mut self, at: Position, config: ConfigEntry) {
        *self = Self { base: at, runs: VecDeque::new(), last: at.index, configs: vec![config] };
    }
}

#[cfg(test)]
mod tests {
    use rfs_model::NodeId;

    use super::*;

    fn at(term: u64, index: u64) -> Position {
        Position::new(Term(term), Index(index))
    }

    /// Base (1, 4); records 5-7 of term 2, 8-9 of term 4.
    fn sample() -> Log {
        Log::new(LogSummary {
            base: at(1, 4),
            runs: vec![(Index(5), Term(2)), (Index(8), Term(4))],
            last: Index(9),
            configs: vec![ConfigEntry::genesis(&[NodeId([1; 16])])],
            synced: Index(9),
            committed: Index(4),
        })
    }

    #[test]
    fn terms_are_known_from_the_base_to_the_end() {
        let log = sample();
        let terms: Vec<_> = (3..=10).map(|index| log.term_at(Index(index)).map(|t| t.0)).collect();
        assert_eq!(terms, [None, Some(1), Some(2), Some(2), Some(2), Some(4), Some(4), None]);
    }

    #[test]
    fn the_common_point_is_looked_for_term_by_term() {
        let log = sample();
        let cases = [
            (at(4, 9), Some(at(4, 9))),
            (at(4, 20), Some(at(4, 9))),
            (at(3, 20), Some(at(2, 7))),
            (at(3, 6), Some(at(2, 6))),
            (at(1, 8), Some(at(1, 4))),
            (at(0, 8), None),
            (at(9, 3), None),
        ];
        for (hint, common) in cases {
            assert_eq!(log.common_with(hint), common, "{hint:?}");
        }
    }

    #[test]
    fn cutting_and_appending_keeps_the_runs() {
        let mut log = sample();
        log.truncate(Index(7));
        assert_eq!(log.last_position(), at(2, 7));
        log.append(at(5, 8));
        assert_eq!((log.term_at(Index(8)), log.last_position()), (Some(Term(5)), at(5, 8)));
        log.truncate(Index(4));
        assert_eq!(log.last_position(), at(1, 4));
        log.append(at(1, 5));
        assert!(log.has(at(1, 5)));
    }

    #[test]
    fn trimming_forgets_no_term_that_is_left() {
        for base in 4..=9 {
            let (mut log, whole) = (sample(), sample());
            log.trim(whole.position_at(Index(base)).unwrap());
            for index in base..=10 {
                assert_eq!(
                    log.term_at(Index(index)),
                    whole.term_at(Index(index)),
                    "base {base}, index {index}"
                );
            }
            assert_eq!(log.last_position(), whole.last_position());
            assert_eq!(log.term_at(Index(base - 1)), None);
            assert!(log.config().is_some());
        }
    }
}
