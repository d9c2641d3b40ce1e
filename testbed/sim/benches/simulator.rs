//! How fast histories are simulated.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rfs_sim::run_seed;

/// Small ones, and of different shapes.
const SEEDS: [u64; 2] = [3, 7];

/// A run: the whole history of one seed, faults, quiet and checks. What is counted are its events.
fn histories(c: &mut Criterion) {
    let mut group = c.benchmark_group("simulator");
    group.sample_size(10);
    for seed in SEEDS {
        let outcome = run_seed(seed);
        assert_eq!(outcome.failure, None, "seed {seed}");
        group.throughput(Throughput::Elements(outcome.stats.events));
        group.bench_function(BenchmarkId::new("seed", seed), |b| b.iter(|| run_seed(seed)));
    }
}

criterion_group!(benches, histories);
criterion_main!(benches);
