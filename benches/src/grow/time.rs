//! Whether it is after an hour as it was in the beginning.

use super::Amounts;
use super::part::Steadily;
use super::report::{Column, Gate, Grown, Line, Panel, Point, flat};
use super::rig::{CLIENTS, Rig, WINDOW, at};
use super::sample::Sample;
use super::took::Took;
use crate::placement::Placement;
use crate::progress::Progress;

/// Parts at the most, with a point for each.
const PARTS: f64 = 60.0;
/// Parts at the least, where they last long enough for that.
const FEW: f64 = 10.0;
/// From one fsync to the next.
const SYNC_S: f64 = 1.0;
/// MiB of the file that is written to.
const FILE_MIB: &str = "64";

/// What the log may be beyond what the volume is told to keep: a checkpoint is due after 256 MiB, four segments of 64 MiB are in
/// use or made ready.
const LOG_BEYOND: u64 = (256 + 4 * 64) << 20;
/// Bytes of memory, without the window.
const MOUNTD: u64 = 128 << 20;
const BRICKD: u64 = 512 << 20;

const COLUMNS: [Column; 9] = [
    Column::new("minutes", "MINUTES", 2),
    Column::new("write_per_s", "WRITE /S", 0),
    Column::new("write_p50_us", "P50 US", 1),
    Column::new("write_p99_us", "P99 US", 1),
    Column::new("sync_p50_ms", "FSYNC P50 MS", 2),
    Column::new("sync_p99_ms", "P99 MS", 2),
    Column::new("create_per_s", "CREATE /S", 0),
    Column::new("create_p50_ms", "P50 MS", 2),
    Column::new("create_p99_ms", "P99 MS", 2),
];

pub fn grow(placement: Placement, amounts: &Amounts) -> (Grown, Option<Rig>) {
    let seconds = amounts.minutes * 60.0;
    let parts = seconds.clamp(FEW, PARTS).floor();
    let progress = Progress::new(parts as u64);
    let rig = Rig::start(placement, 1, None);
    rig.set("log.retain-bytes", &format!("{}MiB", amounts.retain_mib));
    let mut load = Load { rig: &rig, amounts, seconds: seconds / parts, first: 0 };
    let mut points = Vec::new();
    let mut most_log = 0;
    for part in 1..=parts as u32 {
        progress.begins(&format!("time: part {part} of {parts}"));
        let said = load.part();
        let sample = rig.sample();
        most_log = sample.bricks.iter().map(|brick| brick.log).fold(most_log, u64::max);
        points.push(sample.tell(point(f64::from(part) * load.seconds / 60.0, &said)));
        progress.ended();
    }
    let mut grown = Grown {
        axis: "time",
        what: what(amounts),
        points,
        gates: Vec::new(),
        notes: vec!["Flat: the median of the last tenth is at most 1.25 times that of the second.".into()],
        columns: [&COLUMNS[..], &Sample::COLUMNS].concat(),
        panels: panels(),
    };
    grown.gates = gates(&grown, rig.sample(), most_log, amounts.retain_mib << 20);
    (grown, Some(rig))
}

fn what(amounts: &Amounts) -> String {
    format!(
        "{} minutes of {} writes of 4 KiB a second at any place of a file of {FILE_MIB} MiB, an fsync each second, {} new files a \
         second, each of which takes the place of an old one; log.retain-bytes={}MiB",
        amounts.minutes, amounts.rate, amounts.creates, amounts.retain_mib
    )
}

struct Load<'a> {
    rig: &'a Rig,
    amounts: &'a Amounts,
    /// Of a part.
    seconds: f64,
    /// The number of the next file.
    first: u64,
}

impl Load<'_> {
    fn part(&mut self) -> Steadily {
        let sync_ms = (SYNC_S.min(self.seconds / 3.0) * 1e3) as u64;
        let numbers = [self.seconds, self.amounts.rate, self.amounts.creates].map(|n| n.to_string());
        let [seconds, rate, creates] = numbers.each_ref().map(String::as_str);
        let (sync_ms, first) = (sync_ms.max(1).to_string(), self.first.to_string());
        let dir = at("time");
        let head = ["steady", &dir, seconds, "--rate", rate, "--creates", creates, "--mib", FILE_MIB];
        let words = [&head[..], &["--sync-ms", &sync_ms, "--first", &first]].concat();
        let said: Steadily = self.rig.part(CLIENTS[0], &words);
        self.first += said.create.calls();
        said
    }
}

fn point(minutes: f64, said: &Steadily) -> Point {
    let ms = |us: f64| us / 1e3;
    Point::default()
        .with("minutes", minutes)
        .with("write_per_s", said.write.per_s())
        .with("write_p50_us", said.write.p50_us())
        .with("write_p99_us", said.write.p99_us())
        .with("sync_p50_ms", ms(said.sync.p50_us()))
        .with("sync_p99_ms", ms(said.sync.p99_us()))
        .with("create_per_s", said.create.per_s())
        .with("create_p50_ms", ms(Took::p50_us(&said.create)))
        .with("create_p99_ms", ms(said.create.p99_us()))
}

fn gates(grown: &Grown, end: Sample, most_log: u64, retain: u64) -> Vec<Gate> {
    let flat = |what: &str, key: &str| flat(what, &grown.values(key));
    vec![
        flat("write, median latency", "write_p50_us"),
        flat("fsync, median latency", "sync_p50_ms"),
        flat("create, median latency", "create_p50_ms"),
        flat("mountd's memory", "mountd_mib"),
        flat("brickd's memory, server1", "brickd1_mib"),
        flat("brickd's memory, server2", "brickd2_mib"),
        Gate::bytes("mountd's most memory beyond its window", end.mount.peak.saturating_sub(WINDOW), MOUNTD),
        Gate::bytes("brickd's most memory, server1", end.bricks[0].memory.peak, BRICKD),
        Gate::bytes("brickd's most memory, server2", end.bricks[1].memory.peak, BRICKD),
        Gate::bytes("the larger log", most_log, retain + LOG_BEYOND),
    ]
}

fn panels() -> Vec<Panel> {
    let panel = |title, log_y, lines| Panel { title, x: ("minutes", "minutes"), log_x: false, log_y, lines };
    vec![
        panel(
            "µs of a write",
            true,
            vec![Line::new("write_p50_us", "p50"), Line::new("write_p99_us", "p99")],
        ),
        panel(
            "ms",
            true,
            vec![
                Line::new("sync_p50_ms", "fsync, p50"),
                Line::new("sync_p99_ms", "fsync, p99"),
                Line::new("create_p50_ms", "create, p50"),
                Line::new("create_p99_ms", "create, p99"),
            ],
        ),
        panel(
            "MiB of memory",
            false,
            vec![
                Line::new("mountd_mib", "mountd"),
                Line::new("brickd1_mib", "brickd, server1"),
                Line::new("brickd2_mib", "brickd, server2"),
            ],
        ),
        panel(
            "MiB of log on the disk",
            false,
            vec![Line::new("log1_mib", "server1"), Line::new("log2_mib", "server2")],
        ),
    ]
}
