//! Records through the consensus cores of a leader and its one follower: proposed, journaled, shipped, acknowledged, committed.

mod pair;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

use pair::Pair;

const BATCHES: [u64; 2] = [1, 64];

/// A run: a turn's batch is proposed on the leader and goes the whole way until the leader has applied it. Messages are handed
/// over as they are; journal, frames and tree take no time here. Both bricks tick and beat as often as real ones.
fn commit(c: &mut Criterion) {
    let mut group = c.benchmark_group("consensus/commit");
    for count in BATCHES {
        let mut pair = Pair::new();
        group.throughput(Throughput::Elements(count));
        group.bench_function(BenchmarkId::from_parameter(count), |b| b.iter(|| pair.commit(count)));
        pair.check();
    }
}

criterion_group!(benches, commit);
criterion_main!(benches);
