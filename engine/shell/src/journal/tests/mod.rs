//! Tests of the journal: what it does, what faults do to it, and random histories with crashes.

mod basic;
mod cuts;
mod faults;
mod flips;
mod power;
mod random;
mod shadow;
mod space;

use std::future::Future;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use glommio::{LocalExecutorBuilder, Placement};
use rfs_model::{Index, Record, RecordKind, Term};

use super::{Journal, Options, Position, Recovered};

/// Small segments, nothing cached, nothing retained.
pub(super) fn small() -> Options {
    Options {
        segment_bytes: 1 << 20,
        cache_bytes: 0,
        retain_bytes: 0,
        retain_age: Duration::from_secs(1 << 30),
        copy_interval: Duration::from_millis(1),
        ..Options::default()
    }
}

/// Runs a test on an executor of its own.
pub(super) fn on_executor<F: Future<Output = ()> + 'static>(test: impl FnOnce() -> F + Send + 'static) {
    let builder = LocalExecutorBuilder::new(Placement::Unbound).io_memory(64 << 10);
    let run = move || async move {
        // A timer in the default queue: without one, this executor can go to sleep with work to do (ADR 2).
        let ticks = glommio::spawn_local(async {
            loop {
                glommio::timer::sleep(Duration::from_millis(2)).await;
            }
        });
        test().await;
        ticks.cancel().await;
    };
    builder.spawn(run).expect("an executor").join().expect("the test");
}

/// A record that follows `before`.
pub(super) fn record(before: Position, term: u64, kind: RecordKind, len: usize, fill: u8) -> Record {
    let payload = Bytes::from(vec![fill; len]);
    Record::new(before.index.next(), Term(term), kind, before.chain, payload)
}

/// A chain of records behind `before`, all of one size, their content by their index and `salt`.
pub(super) fn chain(before: Position, count: u64, len: usize, salt: u64) -> Vec<Record> {
    let mut at = before;
    let term = before.term.0.max(1);
    (0..count)
        .map(|_| {
            let fill = (at.index.0.wrapping_mul(31).wrapping_add(salt * 7 + 1)) as u8;
            let record = record(at, term, RecordKind::Op, len, fill);
            at = Position::of(&record.meta);
            record
        })
        .collect()
}

pub(super) fn open(dir: &Path) -> (Journal, Recovered) {
    Journal::open(dir, small()).expect("the journal opens")
}

/// Appends `count` records of `len` bytes and returns them.
pub(super) fn fill(journal: &mut Journal, count: u64, len: usize) -> Vec<Record> {
    let records = chain(journal.last(), count, len, 0);
    for batch in records.chunks(16) {
        journal.append(batch).expect("appended");
    }
    records
}

/// All records of the log, read back in pieces.
pub(super) async fn read_all(journal: &Journal) -> Vec<Record> {
    let (mut at, last) = (journal.base().index.next(), journal.last().index);
    let mut out = Vec::new();
    while at <= last {
        let part = journal.read(at, last, 300 << 10).await.expect("readable");
        assert!(!part.is_empty(), "nothing at {at}");
        at = Index(at.0 + part.len() as u64);
        out.extend(part);
    }
    out
}
