//! The files that a liar leaves.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;

use bytes::Bytes;
use rfs_model::record::Record;
use rfs_model::segment::{DATA_OFFSET, SegmentHeader, Side, Start, copy_offset};
use rfs_model::{Encode, Index, RecordKind, Term};

use crate::source::Source;

const BYTES: u64 = 1 << 20;

/// The honest log, which lies begin with.
struct Truth {
    index: Index,
    term: Term,
    chain: u32,
}

/// Writes up to five segments, with their copies, and garbage.
///
/// # Panics
/// When a file cannot be written.
pub fn lay_out(dir: &Path, source: &mut Source<'_>) {
    let mut truth = Truth { index: Index::ZERO, term: Term::ZERO, chain: 0 };
    let segments = 1 + source.below(5);
    for number in 0..segments {
        let generation = source.number(u64::from(number) + 1);
        segment(dir, source, number.into(), generation, &mut truth);
    }
    for _ in 0..source.below(3) {
        let name = source.pick(&[
            "000009.seg",
            "000001.seg.rot",
            "x",
            "000002.hdr",
            "999999.seg",
            "000003.seg.tmp",
            "4294967295.seg",
        ]);
        let garbage = source.bytes(80);
        File::create(dir.join(name)).and_then(|mut file| file.write_all(&garbage)).expect("a file");
    }
    flip(dir, source);
}

fn segment(dir: &Path, source: &mut Source<'_>, number: u64, generation: u64, truth: &mut Truth) {
    let first = source.index(Index(truth.index.0.wrapping_add(1)));
    let header = SegmentHeader {
        generation,
        first,
        before_term: source.term(truth.term),
        before_chain: if source.below(4) > 0 { truth.chain } else { 7 },
        start: if number > 0 {
            source.pick(&[Start::Continue, Start::Continue, Start::Cut, Start::Reset])
        } else {
            Start::Continue
        },
        floor: if source.below(3) > 0 { Index::ZERO } else { source.index(truth.index) },
        bytes: if source.below(6) > 0 { BYTES } else { source.number(BYTES) & !4095 },
    };
    let name = format!("{number:06}");
    let rot = if source.below(12) == 0 { ".rot" } else { "" };
    let records = records(source, truth, first);
    let file = File::create(dir.join(format!("{name}.seg{rot}"))).expect("a segment");
    let len = if source.below(6) > 0 { BYTES } else { source.number(BYTES).min(4 * BYTES) };
    file.set_len(len).expect("a size");
    file.write_all_at(&header.to_bytes(Side::Segment), 0).expect("a header");
    let mut out = Vec::new();
    records.iter().for_each(|record| record.encode(&mut out));
    file.write_all_at(&out, DATA_OFFSET).expect("records");
    if source.below(3) > 0 {
        copy(dir, source, &name, &header, &records);
    }
}

fn copy(dir: &Path, source: &mut Source<'_>, name: &str, header: &SegmentHeader, records: &[Record]) {
    let file = File::create(dir.join(format!("{name}.hdr"))).expect("a copy");
    let header = if source.below(5) > 0 {
        *header
    } else {
        SegmentHeader { first: source.index(header.first), ..*header }
    };
    file.write_all_at(&header.to_bytes(Side::Copy), 0).expect("a header");
    let synced = usize::from(source.below(records.len() as u8 + 1));
    for record in &records[..synced.min(records.len())] {
        if let Some(at) = record.meta.index.0.checked_sub(header.first.0).filter(|at| *at < 1000) {
            let offset = copy_offset(header.first, Index(header.first.0 + at));
            file.write_all_at(&record.meta.header(), offset).expect("an entry");
        }
    }
}

/// Records whose own checksums are right.
fn records(source: &mut Source<'_>, truth: &mut Truth, first: Index) -> Vec<Record> {
    let mut out = Vec::new();
    let mut index = first;
    for _ in 0..source.below(12) {
        let kind = source.pick(&[RecordKind::Op, RecordKind::Noop, RecordKind::Config, RecordKind::Volume]);
        let term = if source.below(4) > 0 { Term(truth.term.0.max(1)) } else { source.term(truth.term) };
        let chain = if source.below(8) > 0 { truth.chain } else { 9 };
        let payload = if source.below(6) == 0 { Bytes::from(vec![1; 70_000]) } else { source.bytes(30) };
        let record = Record::new(index, term, kind, chain, payload);
        (truth.index, truth.term, truth.chain) = (index, term, record.meta.crc());
        out.push(record);
        let Some(next) = index.0.checked_add(1) else { break };
        index = if source.below(12) > 0 { Index(next) } else { source.index(Index(next)) };
    }
    out
}

/// Flips bits near the beginning of a file, or cuts it short.
fn flip(dir: &Path, source: &mut Source<'_>) {
    for _ in 0..source.below(4) {
        let name = format!("{:06}.{}", source.below(5), source.pick(&["seg", "hdr"]));
        let Ok(file) = File::options().read(true).write(true).open(dir.join(name)) else { continue };
        if source.below(4) == 0 {
            file.set_len(source.number(4096).min(4 * BYTES)).expect("a cut");
            continue;
        }
        let at = u64::from(source.byte()) + if source.flag() { DATA_OFFSET } else { 0 };
        let mut byte = [0];
        if file.read_at(&mut byte, at).is_ok_and(|n| n == 1) {
            byte[0] ^= 1 << source.below(8);
            file.write_all_at(&byte, at).expect("a flip");
        }
    }
}
