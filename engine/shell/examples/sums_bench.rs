//! What comparing with sums costs a read: random reads of one file that is in memory, with and without.
//!
//! `cargo run --release -p rfs-engine --example sums_bench -- DIR`; DIR is a new directory on a real file system.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
use bytes::Bytes;
use rfs_engine::tree::{Limits, RootAttr, Tree};
use rfs_model::op::Stamped;
use rfs_model::{FileKind, Index, InodeId, Op, Seq, SessionId, Term, Timestamp};

const FILE: u64 = 64 << 20;
const PIECE: u64 = 1 << 20;
const READS: u64 = 200_000;
const TERM: Term = Term(1);

fn main() -> Result<()> {
    let dir: PathBuf = std::env::args_os().nth(1).context("name a new directory")?.into();
    let time = Timestamp { secs: 1, nanos: 0 };
    let root = RootAttr { mode: 0o755, uid: 0, gid: 0, time };
    let mut tree = Tree::create(&dir, &Limits::default(), root, Bytes::new())?;
    let id = InodeId { term: TERM, index: Index(1) };
    apply(&mut tree, make(id))?;
    for piece in 0..FILE / PIECE {
        let data = Bytes::from(vec![piece as u8 + 1; PIECE as usize]);
        apply(&mut tree, Op::Write { id, offset: piece * PIECE, data })?;
    }
    tree.end_batch()?;
    tree.tell_time(3_600_000_000, true);
    let begun = Instant::now();
    while let Some(job) = tree.sum_job()? {
        tree.sums_done(Some(job.run()?))?;
    }
    let rate = (FILE >> 20) as f64 / begun.elapsed().as_secs_f64();
    println!("summing            {rate:9.0} MiB/s");
    let done = tree.checkpoint_begin(Bytes::new())?.run()?;
    tree.checkpoint_done(done)?;
    for len in [4096, 128 * 1024] {
        for round in 0..2 {
            let without = reads(&tree, id, len, false)?;
            let with = reads(&tree, id, len, true)?;
            println!("{len:>7} bytes, round {round}: {without:6.2} us without, {with:6.2} us with");
        }
    }
    Ok(())
}

/// Microseconds for one read.
fn reads(tree: &Tree, id: InodeId, len: u64, checked: bool) -> Result<f64> {
    tree.tell_time(3_600_000_000, checked);
    let mut at = 1u64;
    let begun = Instant::now();
    for _ in 0..READS * 4096 / len {
        at = at.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let offset = (at >> 20) % (FILE / len) * len;
        let data = tree.read(id, offset, usize::try_from(len)?)?.context("the file is there")?;
        std::hint::black_box(data);
    }
    Ok(begun.elapsed().as_secs_f64() * 1e6 / (READS * 4096 / len) as f64)
}

fn apply(tree: &mut Tree, op: Op) -> Result<()> {
    let index = tree.applied().next();
    let time = Timestamp { secs: 1, nanos: 0 };
    let stamped = Stamped {
        session: SessionId::NIL,
        seq: Seq::ZERO,
        lowest_kept: Seq::ZERO,
        refused: Vec::new(),
        time,
        op,
    };
    let _ = tree.apply(index, TERM, &stamped)?;
    Ok(())
}

fn make(id: InodeId) -> Op {
    Op::Make {
        id,
        parent: InodeId::ROOT,
        name: Bytes::from_static(b"file"),
        kind: FileKind::File,
        mode: 0o644,
        uid: 0,
        gid: 0,
        rdev: 0,
        target: Bytes::new(),
        acl_access: Bytes::new(),
        acl_default: Bytes::new(),
    }
}
