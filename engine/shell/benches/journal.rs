//! The journal of a brick, on glommio and the disk that holds the temporary folder (`TMPDIR`).

use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use glommio::{LocalExecutor, LocalExecutorBuilder, Placement};
use rfs_engine::journal::{Journal, Options};
use rfs_model::{Record, RecordKind, Term};

/// Batches of a turn: records, payload bytes of each.
const TURNS: [(&str, usize, usize); 3] =
    [("1x4KiB", 1, 4 << 10), ("64x4KiB", 64, 4 << 10), ("1x1MiB", 1, 1 << 20)];
/// So much is written before it is synced and given back, so that the kernel has no reason to make a writer wait.
const RESPITE_BYTES: usize = 64 << 20;
/// The disk's time does not count, and passes all the same.
const SAMPLES: usize = 10;
const MEASURED: Duration = Duration::from_secs(1);
const WARM: Duration = Duration::from_millis(300);

struct Log {
    executor: LocalExecutor,
    /// Gone only when it is dropped on its executor.
    journal: Option<Journal>,
    written: usize,
}

impl Log {
    fn new(dir: &Path) -> Self {
        let executor = LocalExecutorBuilder::new(Placement::Unbound).make().expect("an executor");
        let options = Options { retain_bytes: RESPITE_BYTES as u64, ..Options::default() };
        let open = async { Journal::open(dir, options).expect("a journal").0 };
        let journal = Some(executor.run(open));
        Self { executor, journal, written: 0 }
    }

    /// Runs so many turns; the time that counts.
    fn turns(&mut self, runs: u64, batch: &Batch, synced: bool) -> Duration {
        let Self { executor, journal, written } = self;
        let journal = journal.as_mut().expect("it is open");
        executor.run(async {
            let mut took = Duration::ZERO;
            for _ in 0..runs {
                let records = batch.after(journal);
                let begun = Instant::now();
                journal.append(&records).expect("appended");
                if synced {
                    journal.sync_start().await.expect("synced");
                }
                took += begun.elapsed();
                *written += batch.bytes();
                if *written >= RESPITE_BYTES {
                    *written = 0;
                    let upto = journal.sync_start().await.expect("synced");
                    journal.release(upto);
                    // The next segments are ready, as they are where less is written.
                    journal.settle();
                }
            }
            took
        })
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let journal = self.journal.take();
        self.executor.run(async { drop(journal) });
    }
}

struct Batch {
    count: usize,
    payload: Bytes,
}

impl Batch {
    fn new(count: usize, bytes: usize) -> Self {
        Self { count, payload: Bytes::from(vec![7; bytes]) }
    }

    fn bytes(&self) -> usize {
        self.count * self.payload.len()
    }

    /// Records that follow the journal's last one.
    fn after(&self, journal: &Journal) -> Vec<Record> {
        let last = journal.last();
        let (mut index, mut chain) = (last.index, last.chain);
        let next = |_| {
            index = index.next();
            let record = Record::new(index, Term(1), RecordKind::Op, chain, self.payload.clone());
            chain = record.meta.crc();
            record
        };
        (0..self.count).map(next).collect()
    }
}

fn measure(c: &mut Criterion, name: &str, turns: &[(&str, usize, usize)], synced: bool) {
    let mut group = c.benchmark_group(name);
    group.sample_size(SAMPLES).measurement_time(MEASURED).warm_up_time(WARM);
    for (name, count, bytes) in turns {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let (mut log, batch) = (Log::new(dir.path()), Batch::new(*count, *bytes));
        group.throughput(Throughput::Bytes(batch.bytes() as u64));
        group.bench_function(BenchmarkId::from_parameter(name), |b| {
            b.iter_custom(|runs| log.turns(runs, &batch, synced));
        });
    }
}

/// A run: the records of a turn, ready-made, are appended: one write into the page cache.
fn append(c: &mut Criterion) {
    measure(c, "journal/append", &TURNS, false);
}

/// A run: the same, and the caller waits until they are on the disk.
fn append_and_sync(c: &mut Criterion) {
    measure(c, "journal/append-sync", &TURNS[..1], true);
}

criterion_group!(benches, append, append_and_sync);
criterion_main!(benches);
