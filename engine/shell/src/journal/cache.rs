//! The latest records, in memory, for followers that are only a little behind.

use std::collections::VecDeque;

use rfs_model::record::HEADER_BYTES;
use rfs_model::{Index, Record};

/// Consecutive records, the newest last. Payloads are shared with whoever appended them.
pub(super) struct Cache {
    records: VecDeque<Record>,
    bytes: usize,
    limit: usize,
}

fn weight(record: &Record) -> usize {
    record.payload.len() + HEADER_BYTES
}

impl Cache {
    pub(super) fn new(limit: usize) -> Self {
        Self { records: VecDeque::new(), bytes: 0, limit }
    }

    pub(super) fn push(&mut self, record: &Record) {
        debug_assert!(self.records.back().is_none_or(|last| last.meta.index.next() == record.meta.index));
        self.bytes += weight(record);
        self.records.push_back(record.clone());
        while self.bytes > self.limit {
            let oldest = self.records.pop_front().expect("bytes are those of the records");
            self.bytes -= weight(&oldest);
        }
    }

    pub(super) fn get(&self, index: Index) -> Option<&Record> {
        let first = self.records.front()?.meta.index;
        let at = usize::try_from(index.0.checked_sub(first.0)?).ok()?;
        self.records.get(at)
    }

    /// Records from `from` to `upto`, both included, the first of them always, then as many as fit into `max_bytes`.
    pub(super) fn range(&self, from: Index, upto: Index, max_bytes: usize) -> Option<Vec<Record>> {
        self.get(from)?;
        let first = self.records.front()?.meta.index;
        let (mut out, mut left) = (Vec::new(), max_bytes);
        for record in self.records.range((from.0 - first.0) as usize..) {
            let fits = out.is_empty() || record.meta.stored_bytes() <= left;
            if !fits || record.meta.index > upto {
                break;
            }
            left = left.saturating_sub(record.meta.stored_bytes());
            out.push(record.clone());
        }
        Some(out)
    }

    /// Forgets what lies behind `index`.
    pub(super) fn truncate_after(&mut self, index: Index) {
        while self.records.back().is_some_and(|r| r.meta.index > index) {
            let gone = self.records.pop_back().expect("just seen");
            self.bytes -= weight(&gone);
        }
    }

    pub(super) fn clear(&mut self) {
        self.records.clear();
        self.bytes = 0;
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}
