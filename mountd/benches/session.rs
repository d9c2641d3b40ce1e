//! The retained window of a mount's session: a mutation from the program's call until it is durable.

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rfs_model::client::{Done, Mutation, ToBrick, ToMount};
use rfs_model::frame::{FrameKind, put_frame};
use rfs_model::{Encode, Index, InodeId, Seq, SessionId, Term};
use rfs_mountd::session::Credit;
use rfs_mountd::session::state::{Outlet, Session};

const FILE: InodeId = InodeId { term: Term(1), index: Index(7) };
const WRITE_BYTES: usize = 4096;
const WINDOW_BYTES: usize = 64 << 20;
/// Mutations under way at once.
const DEPTHS: [u64; 2] = [1, 64];

/// Frames, as a connection's outbox makes them; nobody reads them.
#[derive(Default)]
struct Frames(Vec<u8>);

impl Outlet for Frames {
    fn send(&mut self, message: &ToBrick) {
        self.0.clear();
        put_frame(&mut self.0, FrameKind::Client, |out| message.encode(out));
    }

    fn send_later(&mut self, message: &ToBrick) {
        self.send(message);
    }
}

/// A run: so many writes of 4 KiB take credit, are numbered, kept and framed; each is answered, and all become durable.
fn cycle(c: &mut Criterion) {
    let mut group = c.benchmark_group("session/write-4KiB");
    for depth in DEPTHS {
        let credit = Credit::new(WINDOW_BYTES);
        let mut session = Session::new(SessionId([1; 16]));
        session.attach(Box::new(Frames::default()));
        let data = Bytes::from(vec![7; WRITE_BYTES]);
        group.throughput(Throughput::Elements(depth));
        group.bench_function(BenchmarkId::from_parameter(depth), |b| {
            b.iter(|| {
                let first = session.window().last().next();
                for _ in 0..depth {
                    let share = credit.try_take(WRITE_BYTES).expect("all was given back");
                    let op = Mutation::Write { id: FILE, offset: 0, data: data.clone() };
                    session.mutate(op, Some(share), Some(Box::new(|done| assert!(done.is_ok()))), None);
                }
                let last = session.window().last();
                for seq in first.0..=last.0 {
                    let done = Done { id: FILE, ..Done::default() };
                    session.receive(ToMount::Done { seq: Seq(seq), done });
                }
                session.receive(ToMount::Durable { seq: last });
            });
        });
        assert!(session.window().is_empty(), "something is kept that is answered and durable");
    }
}

criterion_group!(benches, cycle);
criterion_main!(benches);
