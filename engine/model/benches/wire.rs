//! A mutation on its way from a mount to the leader: into a frame, and out of the received bytes.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rfs_model::client::{Mutation, ToBrick};
use rfs_model::frame::{Deframer, FrameKind, put_frame};
use rfs_model::{Decode, Encode, Index, InodeId, Seq, Term};

const SIZES: [(&str, usize); 2] = [("4KiB", 4 << 10), ("1MiB", 1 << 20)];

fn write(bytes: usize) -> ToBrick {
    let id = InodeId { term: Term(1), index: Index(7) };
    let op = Mutation::Write { id, offset: 1 << 20, data: Bytes::from(vec![7; bytes]) };
    ToBrick::Mutate { seq: Seq(9), lowest_kept: Seq(3), op }
}

fn framed(message: &ToBrick) -> Vec<u8> {
    let mut out = Vec::new();
    put_frame(&mut out, FrameKind::Client, |out| message.encode(out));
    out
}

/// A run: one write, encoded as a frame with both checksums into a buffer that is there already, as a connection has it.
fn encode(c: &mut Criterion) {
    let mut group = c.benchmark_group("wire/encode");
    for (name, bytes) in SIZES {
        let (message, mut out) = (write(bytes), Vec::new());
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_function(BenchmarkId::from_parameter(name), |b| {
            b.iter(|| {
                out.clear();
                put_frame(&mut out, FrameKind::Client, |out| black_box(&message).encode(out));
                black_box(out.len())
            });
        });
    }
}

/// A run: a frame's bytes, as they are read from a socket, into the deframer, checked, and decoded to the message.
fn decode(c: &mut Criterion) {
    let mut group = c.benchmark_group("wire/decode");
    for (name, bytes) in SIZES {
        let (stream, mut deframer) = (framed(&write(bytes)), Deframer::new());
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_function(BenchmarkId::from_parameter(name), |b| {
            b.iter(|| {
                deframer.push(black_box(&stream));
                let (_, payload) = deframer.next_frame().expect("a good frame").expect("a whole frame");
                ToBrick::from_all(&payload).expect("a message")
            });
        });
    }
}

criterion_group!(benches, encode, decode);
criterion_main!(benches);
