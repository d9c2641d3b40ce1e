//! What a file costs, by its size.

use super::Amounts;
use super::part::Each;
use super::report::{Column, Grown, Line, MIB, Panel, Point};
use super::rig::{CLIENTS, Rig, at};
use super::sample::Sample;
use super::took::Took;
use crate::placement::Placement;
use crate::progress::Progress;

/// Of one size.
const FILES: u64 = 256;

const COLUMNS: [Column; 8] = [
    Column::new("size_kib", "KIB", 0),
    Column::new("files", "FILES", 0),
    Column::new("write_mib_s", "WRITE MIB/S", 2),
    Column::new("write_ms", "P50 MS", 2),
    Column::new("write_p99_ms", "P99 MS", 2),
    Column::new("read_mib_s", "READ MIB/S", 2),
    Column::new("read_ms", "P50 MS", 2),
    Column::new("read_p99_ms", "P99 MS", 2),
];

pub fn grow(placement: Placement, amounts: &Amounts) -> (Grown, Option<Rig>) {
    let progress = Progress::new(amounts.sizes_kib.len() as u64);
    let rig = Rig::start(placement, 1, None);
    let point = |kib: &u64| {
        progress.begins(&format!("size: files of {kib} KiB"));
        let point = one(&rig, kib << 10, ((amounts.each_mib << 10) / kib).clamp(1, FILES));
        progress.ended();
        point
    };
    let grown = Grown {
        axis: "size",
        what: format!(
            "files of one size, {} MiB of them, at most {FILES}: create, write, close; a new mount; open, read, close",
            amounts.each_mib
        ),
        points: amounts.sizes_kib.iter().map(point).collect(),
        gates: Vec::new(),
        notes: Vec::new(),
        columns: [&COLUMNS[..], &Sample::COLUMNS].concat(),
        panels: panels(),
    };
    (grown, Some(rig))
}

fn one(rig: &Rig, size: u64, files: u64) -> Point {
    let (dir, bytes) = (at(&format!("size-{size}")), size.to_string());
    let words = |what| Each::words(what, &dir, 0..files, &["--least", &bytes, "--most", &bytes]);
    let each = |what| -> Took { rig.part_of(CLIENTS[0], &words(what)) };
    let write = each(Each::Make);
    rig.remount(CLIENTS[0]);
    let read = each(Each::Read);
    let rate = |took: &Took| took.per_s() * size as f64 / MIB;
    let point = Point::default()
        .with("size_kib", size as f64 / 1024.0)
        .with("files", files as f64)
        .with("write_mib_s", rate(&write))
        .with("write_ms", write.p50_us() / 1e3)
        .with("write_p99_ms", write.p99_us() / 1e3)
        .with("read_mib_s", rate(&read))
        .with("read_ms", read.p50_us() / 1e3)
        .with("read_p99_ms", read.p99_us() / 1e3);
    let point = rig.sample().tell(point);
    rig.remove(CLIENTS[0], &dir);
    rig.settle();
    point
}

fn panels() -> Vec<Panel> {
    let panel = |title, lines: [Line; 2]| Panel {
        title,
        x: ("size_kib", "KiB of a file"),
        log_x: true,
        log_y: true,
        lines: lines.into(),
    };
    vec![
        panel(
            "MiB/s",
            [Line::new("write_mib_s", "written and closed"), Line::new("read_mib_s", "read, cold")],
        ),
        panel(
            "ms for a file (median)",
            [Line::new("write_ms", "written and closed"), Line::new("read_ms", "read, cold")],
        ),
    ]
}
