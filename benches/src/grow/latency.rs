//! What the network's own time makes of it.

use std::time::Duration;

use super::Amounts;
use super::part::{Each, What};
use super::report::{Column, Grown, Line, MIB, Panel, Point};
use super::rig::{CLIENTS, Rig, at};
use super::took::Took;
use crate::placement::Placement;
use crate::progress::Progress;

const DIR: &str = "latency";
/// Small ones, looked at and read.
const FILES: u64 = 200;

const COLUMNS: [Column; 13] = [
    Column::new("delay_ms", "DELAY MS", 0),
    Column::new("create_per_s", "CREATE /S", 0),
    Column::new("create_p50_ms", "P50 MS", 2),
    Column::new("chmod_p50_ms", "CHMOD MS", 2),
    Column::new("stat_p50_ms", "STAT MS", 2),
    Column::new("read_p50_ms", "READ MS", 2),
    Column::new("sync_per_s", "FSYNC /S", 0),
    Column::new("sync_p50_ms", "P50 MS", 2),
    Column::new("sync_p99_ms", "P99 MS", 2),
    Column::new("write_per_s", "WRITE /S", 0),
    Column::new("write_p50_us", "P50 US", 1),
    Column::new("stream_write_mib_s", "STREAM MIB/S", 1),
    Column::new("stream_read_mib_s", "BACK MIB/S", 1),
];

pub fn grow(placement: Placement, amounts: &Amounts) -> (Grown, Option<Rig>) {
    let progress = Progress::new(amounts.delays_ms.len() as u64);
    let point = |delay: &u64| {
        progress.begins(&format!("latency: {delay} ms each way"));
        let rig = Rig::start(placement, 1, Some(Duration::from_millis(*delay)));
        let point = one(&rig, *delay, amounts);
        progress.ended();
        point
    };
    let grown = Grown {
        axis: "latency",
        what: format!(
            "one machine, each kind of work for {} s, a stream of {} MiB; every message between two machines (client and brick, \
             brick and brick) takes DELAY more, one way",
            amounts.seconds, amounts.stream_mib
        ),
        points: amounts.delays_ms.iter().map(point).collect(),
        gates: Vec::new(),
        notes: vec!["0: through the same slow cable, without a delay.".into()],
        columns: COLUMNS.into(),
        panels: panels(),
    };
    (grown, None)
}

fn one(rig: &Rig, delay: u64, amounts: &Amounts) -> Point {
    let seconds = amounts.seconds.to_string();
    let spin = |what: What, seconds: &str| -> Took {
        let took = rig.part(CLIENTS[0], &["spin", &what.word(), &at(&format!("{DIR}-spin")), seconds, "0"]);
        rig.settle();
        took
    };
    // The first time makes the file.
    spin(What::Write, "0");
    let (write, sync) = (spin(What::Write, &seconds), spin(What::Sync, &seconds));
    let (chmod, create) = (spin(What::Chmod, &seconds), spin(What::Create, &seconds));
    let (stat, read) = small_files(rig);
    let (streamed, back) = stream(rig, amounts.stream_mib << 20);
    let rate = |took: &Took| (amounts.stream_mib << 20) as f64 / MIB / took.seconds;
    Point::default()
        .with("delay_ms", delay as f64)
        .with("create_per_s", create.per_s())
        .with("create_p50_ms", create.p50_us() / 1e3)
        .with("chmod_p50_ms", chmod.p50_us() / 1e3)
        .with("stat_p50_ms", stat.p50_us() / 1e3)
        .with("read_p50_ms", read.p50_us() / 1e3)
        .with("sync_per_s", sync.per_s())
        .with("sync_p50_ms", sync.p50_us() / 1e3)
        .with("sync_p99_ms", sync.p99_us() / 1e3)
        .with("write_per_s", write.per_s())
        .with("write_p50_us", write.p50_us())
        .with("stream_write_mib_s", rate(&streamed))
        .with("stream_read_mib_s", rate(&back))
}

/// What a new mount takes for the attributes of one, and then for its content.
fn small_files(rig: &Rig) -> (Took, Took) {
    let each = |what| -> Took {
        let sizes = ["--least", "4096", "--most", "4096"];
        rig.part_of(CLIENTS[0], &Each::words(what, &at(&format!("{DIR}-small")), 0..FILES, &sizes))
    };
    each(Each::Make);
    rig.remount(CLIENTS[0]);
    (each(Each::Stat), each(Each::Read))
}

/// One long file, written and closed, and read by a new mount.
fn stream(rig: &Rig, bytes: u64) -> (Took, Took) {
    let bytes = bytes.to_string();
    let each = |what| -> Took {
        let sizes = ["--least", &bytes, "--most", &bytes];
        rig.part_of(CLIENTS[0], &Each::words(what, &at(&format!("{DIR}-long")), 0..1, &sizes))
    };
    let written = each(Each::Make);
    rig.remount(CLIENTS[0]);
    (written, each(Each::Read))
}

fn panels() -> Vec<Panel> {
    let panel = |title, log_y, lines| Panel {
        title,
        x: ("delay_ms", "ms that a message takes more, one way"),
        log_x: false,
        log_y,
        lines,
    };
    vec![
        panel(
            "ms of a call (median)",
            false,
            vec![
                Line::new("create_p50_ms", "create, write 4 KiB, close"),
                Line::new("sync_p50_ms", "write 4 KiB, fdatasync"),
                Line::new("chmod_p50_ms", "chmod"),
                Line::new("stat_p50_ms", "stat, new to the mount"),
                Line::new("read_p50_ms", "open, read 4 KiB, close"),
            ],
        ),
        panel("writes of 4 KiB a second, into the window", false, vec![Line::new("write_per_s", "write")]),
        panel(
            "MiB/s of one file",
            false,
            vec![
                Line::new("stream_write_mib_s", "written and closed"),
                Line::new("stream_read_mib_s", "read, cold"),
            ],
        ),
    ]
}
