//! Committed records into the tree and the front; recovery of a torn tree.

use std::collections::BTreeSet;

use rfs_core::converge::{Plan, place};
use rfs_core::testing::MemBench;
use rfs_core::{admit::SessionEvent, consensus::api::Input};
use rfs_model::op::Stamped;
use rfs_model::{Index, InodeId, Op, Record, RecordKind};

use super::Running;
use crate::disk::outcome;

impl Running<'_> {
    pub fn committed(&mut self, upto: Index) {
        let start = self.p.committed.max(self.disk.base.index).0;
        let lineage = self.p.core.term().lineage();
        for index in start + 1..=upto.0 {
            let index = Index(index);
            let crc = self.crc_at(index).expect("what is committed is in the log");
            let term = self.disk.term_at(index).unwrap_or(self.p.core.term());
            let before = self.out.oracle.highest();
            let lost = self.out.oracle.commits(self.n, lineage, (index, crc, term));
            self.out.stats.taken_back += lost;
            self.out.stats.committed += u64::from(index > before);
        }
        self.p.committed = self.p.committed.max(upto);
    }

    /// The leader of an operator's lineage goes on with what it had committed before, and an earlier decision has abandoned.
    pub fn holds_committed(&mut self, upto: Index) {
        let lineage = self.p.core.term().lineage();
        if !self.out.oracle.was_overruled() || !self.out.oracle.counts(lineage) {
            return;
        }
        for index in (self.out.oracle.highest().next().0..=upto.0).map(Index) {
            let crc = self.crc_at(index).or_else(|| self.disk.gone.get(&index).copied());
            let Some(crc) = crc else { continue };
            let term = self.disk.term_at(index).unwrap_or(self.p.core.term());
            self.out.oracle.commits(self.n, lineage, (index, crc, term));
        }
    }

    /// The core knows a commit index that covers all that the tree may have seen.
    fn converge(&mut self) {
        let through = self.p.committed;
        if self.disk.tree_at > through || !self.disk.explains_tree() {
            // What the log lost by power cuts of too many, or by rot of a brick that an operator promoted nevertheless, the
            // tree may still show: what comes of that is for the fuzzer of recovery.
            let may = self.out.oracle.lossy || self.disk.promoted_short;
            assert!(may, "the tree shows {}, {through} is known", self.disk.tree_at);
            self.out.stats.unexplained += 1;
            self.disk.forget_effects();
        }
        let from = self.disk.checkpoint.index.next();
        let window: Vec<(Index, Stamped)> = self
            .disk
            .range(from, through)
            .iter()
            .filter_map(|record| Some((record.meta.index, outcome(record)?)))
            .collect();
        if self.out.setup.mutants.driver.redo_instead_of_converge {
            return self.redo(&window, through);
        }
        let mut plan = Plan::new();
        window.iter().for_each(|(index, stamped)| plan.fold(*index, stamped));
        let mut bench = MemBench::new(self.disk.tree.clone());
        let mut keep = orphans(&self.disk.checkpoint.tree, &window);
        keep.extend(plan.orphans());
        let strays = place(&plan, &|id| keep.contains(&id), &mut bench).expect("recovery");
        assert!(strays.is_empty(), "recovery leaves {strays:?}");
        bench.redo(&plan, &window).expect("recovery");
        self.disk.tree = bench.into_tree();
        self.recovered(through);
    }

    /// A planted fault: everything is done again, and what fails is left.
    fn redo(&mut self, window: &[(Index, Stamped)], through: Index) {
        for (index, stamped) in window {
            self.disk.tree.try_apply(*index, stamped);
        }
        self.recovered(through);
    }

    fn recovered(&mut self, through: Index) {
        self.disk.tree_at = through;
        self.disk.tree_crc = self.disk.crc_at(through).unwrap_or_default();
        self.p.torn = false;
        self.p.checkpoint_wanted = true;
        self.out.stats.converged += 1;
    }

    /// Applies what is committed. Returns whether anything was.
    pub fn apply(&mut self) -> bool {
        let reached = self.p.committed > Index::ZERO && self.p.committed >= self.disk.floor;
        let ready = reached && self.p.committed <= self.disk.last() && self.p.receiving.is_none();
        if self.p.torn && ready {
            self.converge();
        }
        if self.p.torn || self.p.end.is_some() {
            return false;
        }
        let before = self.p.applied();
        let end = self.p.committed.min(self.disk.last());
        for index in before.0 + 1..=end.0 {
            if self.dies() {
                return false;
            }
            let Some(record) = self.disk.get(Index(index)).cloned() else { break };
            self.apply_record(&record);
        }
        let upto = self.p.applied();
        if upto > before {
            self.step(Input::Applied { upto });
        }
        upto > before
    }

    fn apply_record(&mut self, record: &Record) {
        let index = record.meta.index;
        match record.meta.kind {
            RecordKind::Noop | RecordKind::Config => {
                self.p.front.skip(index);
                self.start_leading();
            }
            RecordKind::Volume => self.p.front.apply_volume(index, record.payload.clone()),
            RecordKind::Op => {
                let stamped = outcome(record).expect("an operation");
                if index > self.disk.tree_at {
                    self.disk.tree.apply(index, &stamped).expect("what is committed fits");
                }
                self.apply_front(InodeId { term: record.meta.term, index }, &stamped);
            }
        }
        if index > self.disk.tree_at {
            self.disk.shows(record);
        }
    }

    /// `identity`: what the record could give to an inode.
    fn apply_front(&mut self, identity: InodeId, stamped: &Stamped) {
        let done = self.p.front.apply(identity.index, stamped).expect("what is committed fits");
        if let Some((session, seq, outcome)) = done.answer
            && self.p.front.is_leading()
        {
            let spare = spare(&stamped.op, identity);
            self.answer_with(session, seq, outcome, spare);
        }
        self.note_leases(stamped);
        if let Some(SessionEvent::Opened(session)) = done.session {
            self.opened(session, identity.index);
        }
    }

    /// Begins to admit once this leader's first record, of whatever kind, is applied: the tree and the sessions are those of
    /// the whole log.
    pub fn start_leading(&mut self) {
        let reached = self.p.first.is_some_and(|first| self.p.applied() >= first.index);
        if let Some((term, _)) = self.p.core.leading()
            && reached
            && !self.p.front.is_leading()
        {
            self.p.front.lead(term, self.p.now / 1000);
            if self.out.setup.mutants.driver.next_leader_ends_leases {
                self.end_all_leases();
            }
        }
    }
}

/// A record's identity, if no inode has got it.
fn spare(op: &Op, of_record: InodeId) -> InodeId {
    match op {
        Op::Make { id, .. } if *id == of_record => InodeId::NIL,
        _ => of_record,
    }
}

/// Nameless inodes after the window.
fn orphans(checkpoint: &rfs_core::testing::MemTree, window: &[(Index, Stamped)]) -> BTreeSet<InodeId> {
    let named = |node: &rfs_core::testing::Node| node.names > 0;
    let nameless = checkpoint.nodes().iter().filter(|(id, node)| !named(node) && **id != InodeId::ROOT);
    let mut keep: BTreeSet<InodeId> = nameless.map(|(id, _)| *id).collect();
    for (_, stamped) in window {
        if let Op::Reap { id } = &stamped.op {
            keep.remove(id);
        }
    }
    keep
}
