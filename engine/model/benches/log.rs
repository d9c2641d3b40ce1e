//! An outcome as a record: made on the leader, read by a follower.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rfs_model::op::Stamped;
use rfs_model::{
    Decode, Encode, Index, InodeId, Op, Reader, Record, RecordKind, Seq, SessionId, Term, Timestamp,
};

const SIZES: [(&str, usize); 2] = [("4KiB", 4 << 10), ("1MiB", 1 << 20)];

fn outcome(bytes: usize) -> Stamped {
    let id = InodeId { term: Term(1), index: Index(7) };
    Stamped {
        session: SessionId([1; 16]),
        seq: Seq(9),
        lowest_kept: Seq(3),
        refused: Vec::new(),
        time: Timestamp { secs: 1_000, nanos: 1 },
        op: Op::Write { id, offset: 1 << 20, data: Bytes::from(vec![7; bytes]) },
    }
}

fn record(outcome: &Stamped) -> Record {
    Record::new(Index(8), Term(1), RecordKind::Op, 0x55, outcome.encoded().into())
}

/// A run: a write's outcome encoded, and a record with its checksums made of it, as the leader does when it has admitted one.
fn make(c: &mut Criterion) {
    let mut group = c.benchmark_group("log/make");
    for (name, bytes) in SIZES {
        let outcome = outcome(bytes);
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_function(BenchmarkId::from_parameter(name), |b| b.iter(|| record(black_box(&outcome))));
    }
}

/// A run: a record's bytes, as they stand in an append, read with both checksums, and its outcome decoded.
fn read(c: &mut Criterion) {
    let mut group = c.benchmark_group("log/read");
    for (name, bytes) in SIZES {
        let stored = Bytes::from(record(&outcome(bytes)).encoded());
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_function(BenchmarkId::from_parameter(name), |b| {
            b.iter(|| {
                let record = Record::read(&mut Reader::new(black_box(&stored))).expect("a good record");
                Stamped::from_all(&record.payload).expect("an outcome")
            });
        });
    }
}

criterion_group!(benches, make, read);
criterion_main!(benches);
