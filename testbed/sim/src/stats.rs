//! What a run has seen.

use std::collections::BTreeMap;

use crate::kind::Kind;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    pub simulated_us: u64,
    pub events: u64,
    pub elections: u64,
    pub committed: u64,
    pub acknowledged: u64,
    pub reads: u64,
    /// Locks that another client had.
    pub refused: u64,
    /// Files that programs were told of before the leader was.
    pub births: u64,
    /// Those of them that were refused, since their lease had been taken away.
    pub stillbirths: u64,
    /// Files made in directories of other clients.
    pub guests: u64,
    /// Words to clients that a lease is wanted back.
    pub recalls: u64,
    /// Leases that a leader has taken away.
    pub revoked: u64,
    pub copies: u64,
    pub converged: u64,
    /// Committed records that a power cut of too many machines took back, as it may.
    pub taken_back: u64,
    /// Trees that showed such a record after a restart.
    pub unexplained: u64,
    /// Promotions after the faults, where nothing else helps.
    pub rescues: u64,
    /// Records that an operator's decision abandoned.
    pub abandoned: u64,
    /// Reads of mounts at followers.
    pub local_reads: u64,
    /// Trees compared at equal indexes.
    pub trees: u64,
    pub faults: BTreeMap<Kind, u64>,
}

impl Stats {
    pub fn fault(&mut self, kind: Kind) {
        *self.faults.entry(kind).or_default() += 1;
    }

    pub fn add(&mut self, other: &Self) {
        self.simulated_us += other.simulated_us;
        self.events += other.events;
        self.elections += other.elections;
        self.committed += other.committed;
        self.acknowledged += other.acknowledged;
        self.reads += other.reads;
        self.refused += other.refused;
        self.births += other.births;
        self.stillbirths += other.stillbirths;
        self.guests += other.guests;
        self.recalls += other.recalls;
        self.revoked += other.revoked;
        self.copies += other.copies;
        self.converged += other.converged;
        self.taken_back += other.taken_back;
        self.unexplained += other.unexplained;
        self.rescues += other.rescues;
        self.abandoned += other.abandoned;
        self.local_reads += other.local_reads;
        self.trees += other.trees;
        for (kind, n) in &other.faults {
            *self.faults.entry(*kind).or_default() += n;
        }
    }
}
