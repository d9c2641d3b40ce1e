//! What a file more costs, by how many there are.

use super::Amounts;
use super::part::Each;
use super::report::{Column, Gate, Grown, Line, Panel, Point};
use super::rig::{CLIENTS, Rig, WINDOW, at};
use super::sample::Sample;
use super::took::Took;
use crate::placement::Placement;
use crate::progress::Progress;

const DIR: &str = "files";
/// In one directory.
const EACH_DIR: &str = "1000";
/// Bytes of the largest; the smallest are empty.
const MOST: &str = "4096";
/// A result for each tenth, which is done in steps of about so many: somebody may watch.
const STEP: u64 = 20_000;

/// What the rate in the last tenth has to be of that in the first.
const KEPT: f64 = 0.8;
/// Bytes of memory, without the window.
const MOUNTD: u64 = 128 << 20;
const BRICKD: u64 = 512 << 20;

const COLUMNS: [Column; 7] = [
    Column::new("files", "FILES", 0),
    Column::new("create_per_s", "CREATE /S", 0),
    Column::new("create_p50_us", "P50 US", 0),
    Column::new("create_p99_us", "P99 US", 0),
    Column::new("stat_per_s", "STAT /S", 0),
    Column::new("stat_p50_us", "P50 US", 0),
    Column::new("stat_p99_us", "P99 US", 0),
];

pub fn grow(placement: Placement, amounts: &Amounts) -> (Grown, Option<Rig>) {
    let steps = (amounts.files / 10).div_ceil(STEP).max(1);
    let progress = Progress::new(2 * 10 * steps);
    let rig = Rig::start(placement, 1, None);
    let all = Run { rig: &rig, files: amounts.files, steps, progress: &progress };
    let made = all.phase(Each::Make, |point, took| {
        point
            .with("create_per_s", took.per_s())
            .with("create_p50_us", took.p50_us())
            .with("create_p99_us", took.p99_us())
    });
    let after_creates = rig.sample();
    rig.remount(CLIENTS[0]);
    let before_stats = rig.sample();
    let looked = all.phase(Each::Stat, |point, took| {
        point
            .with("stat_per_s", took.per_s())
            .with("stat_p50_us", took.p50_us())
            .with("stat_p99_us", took.p99_us())
    });
    let after_stats = rig.sample();
    let mut grown = Grown {
        axis: "files",
        what: format!(
            "{} files of 0 to 4 KiB, {EACH_DIR} in a directory: create, write, close; a new mount; stat of each",
            amounts.files
        ),
        points: [made, looked].concat(),
        gates: Vec::new(),
        notes: vec![each_inode(before_stats, after_stats, amounts.files)],
        columns: [&COLUMNS[..], &Sample::COLUMNS].concat(),
        panels: panels(),
    };
    grown.gates = gates(&grown, after_creates, after_stats);
    (grown, Some(rig))
}

struct Run<'a> {
    rig: &'a Rig,
    files: u64,
    /// Of each tenth.
    steps: u64,
    progress: &'a Progress,
}

impl Run<'_> {
    /// The same for all files; a point for each tenth.
    fn phase(&self, what: Each, tell: impl Fn(Point, &Took) -> Point) -> Vec<Point> {
        let point = |tenth: u64| {
            let steps = (tenth * self.steps..(tenth + 1) * self.steps).map(|step| self.step(what, step));
            let took = steps.reduce(|before, step| before.then(&step)).unwrap_or_default();
            let point = Point::default().with("files", (self.files * (tenth + 1) / 10) as f64);
            self.rig.sample().tell(tell(point, &took))
        };
        (0..10).map(point).collect()
    }

    fn step(&self, what: Each, step: u64) -> Took {
        let at_step = |step: u64| self.files * step / (10 * self.steps);
        let range = at_step(step)..at_step(step + 1);
        self.progress.begins(&format!("files: {} up to {}", what.word(), range.end));
        let more = ["--each-dir", EACH_DIR, "--most", MOST];
        let took = self.rig.part_of(CLIENTS[0], &Each::words(what, &at(DIR), range, &more));
        self.progress.ended();
        took
    }
}

/// What the mount keeps of each file that the kernel knows.
fn each_inode(before: Sample, after: Sample, files: u64) -> String {
    let more = after.mount.now.saturating_sub(before.mount.now);
    format!("mountd: {} bytes more for each file that was looked at", more / files)
}

fn gates(grown: &Grown, creates: Sample, stats: Sample) -> Vec<Gate> {
    let rates = grown.values("create_per_s");
    let kept = rates.last().zip(rates.first()).map_or(0.0, |(last, first)| last / first);
    let brick = |n: usize| creates.bricks[n].memory.peak.max(stats.bricks[n].memory.peak);
    let mount = |sample: Sample| sample.mount.peak.saturating_sub(WINDOW);
    vec![
        Gate::at_least("files created a second, last tenth / first", kept, KEPT),
        Gate::bytes("mountd's most memory beyond its window, all created", mount(creates), MOUNTD),
        Gate::bytes("mountd's most memory beyond its window, all looked at", mount(stats), MOUNTD),
        Gate::bytes("brickd's most memory, server1", brick(0), BRICKD),
        Gate::bytes("brickd's most memory, server2", brick(1), BRICKD),
    ]
}

fn panels() -> Vec<Panel> {
    let panel = |title, lines| Panel { title, x: ("files", "files"), log_x: false, log_y: false, lines };
    vec![
        panel(
            "a second",
            vec![Line::new("create_per_s", "create"), Line::new("stat_per_s", "stat, new to the mount")],
        ),
        panel(
            "µs",
            vec![
                Line::new("create_p50_us", "create, p50"),
                Line::new("create_p99_us", "create, p99"),
                Line::new("stat_p50_us", "stat, p50"),
                Line::new("stat_p99_us", "stat, p99"),
            ],
        ),
        panel(
            "MiB of memory (created, then looked at in a new mount)",
            vec![
                Line::new("mountd_mib", "mountd"),
                Line::new("brickd1_mib", "brickd, server1"),
                Line::new("brickd2_mib", "brickd, server2"),
            ],
        ),
        panel(
            "MiB on the disk",
            vec![Line::new("index1_mib", "index, server1"), Line::new("log1_mib", "log, server1")],
        ),
    ]
}
