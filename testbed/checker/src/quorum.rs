//! Who decides: the table of the protocol, on sets of voters.

use crate::config::{BRICKS, Config, Record, Voters};
use crate::rules::Rules;

/// Whether these voters elect under one configuration.
#[must_use]
pub fn elects(rules: &Rules, config: Config, yes: Voters) -> bool {
    let bricks = (config.in_sync() & yes).count_ones();
    let seats = u32::from(config.is_even() && config.seat_bit() & yes != 0);
    (bricks > 0 || !rules.election_needs_a_brick) && bricks + seats >= config.size()
}

/// Whether those that keep still leave no election quorum free, under none of the configurations.
#[must_use]
pub fn blocks(rules: &Rules, record: Record, still: Voters) -> bool {
    record.configs().all(|config| !elects(rules, config, !still))
}

/// Voters that a commit needs.
fn commit_size(rules: &Rules, config: Config) -> u32 {
    let witness = u32::from(!rules.witness_commits_nothing && config.seat().is_some());
    config.size() - witness
}

/// Whether these bricks are a commit quorum.
#[must_use]
pub fn commits(rules: &Rules, config: Config, yes: Voters) -> bool {
    (config.in_sync() & yes).count_ones() >= commit_size(rules, config)
}

/// The highest index that a commit quorum has reached, of the marks of all bricks.
#[must_use]
pub fn reached(rules: &Rules, config: Config, marks: [u8; BRICKS]) -> u8 {
    let counted = |i: usize| config.has(i) || !rules.commit_counts_members;
    let mut top = [0; BRICKS];
    for i in (0..BRICKS).filter(|i| counted(*i)) {
        top[i] = marks[i];
    }
    top.sort_unstable_by(|a, b| b.cmp(a));
    top[commit_size(rules, config) as usize - 1]
}
