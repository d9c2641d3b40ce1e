//! What several mounts do together.

use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Amounts;
use super::part::What;
use super::report::{Column, Grown, Line, Panel, Point};
use super::rig::{CLIENTS, Rig, at};
use super::sample::Sample;
use super::took::Took;
use crate::placement::Placement;
use crate::progress::Progress;

/// In which all programs have begun to run.
const START: Duration = Duration::from_secs(1);

const COLUMNS: [Column; 7] = [
    Column::new("mounts", "MOUNTS", 0),
    Column::new("create_per_s", "CREATE /S", 0),
    Column::new("create_p50_us", "P50 US", 0),
    Column::new("create_p99_us", "P99 US", 0),
    Column::new("write_per_s", "WRITE /S", 0),
    Column::new("write_p50_us", "P50 US", 1),
    Column::new("write_p99_us", "P99 US", 1),
];

pub fn grow(placement: Placement, amounts: &Amounts) -> (Grown, Option<Rig>) {
    let most = amounts.mounts.iter().max().map_or(1, |most| *most as usize);
    let progress = Progress::new(amounts.mounts.len() as u64);
    let rig = Rig::start(placement, most, None);
    let mut points = Vec::new();
    let mut mounted = 1;
    for count in amounts.mounts.iter().map(|count| *count as usize) {
        progress.begins(&format!("mounts: {count}"));
        (mounted..count).for_each(|n| rig.mount(CLIENTS[n]));
        mounted = mounted.max(count);
        points.push(one(&rig, count, amounts.seconds));
        progress.ended();
    }
    let grown = Grown {
        axis: "mounts",
        what: format!(
            "a machine, a mount and a program each, at the same time, {} s: create, write 4 KiB, close; then 4 KiB at any place \
             of a file, and close at the end",
            amounts.seconds
        ),
        points,
        gates: Vec::new(),
        notes: Vec::new(),
        columns: [&COLUMNS[..], &Sample::COLUMNS].concat(),
        panels: panels(),
    };
    (grown, Some(rig))
}

fn one(rig: &Rig, mounts: usize, seconds: f64) -> Point {
    let create = together(rig, What::Create, mounts, seconds);
    rig.settle();
    // The first time makes the files.
    together(rig, What::Write, mounts, 0.0);
    rig.settle();
    let write = together(rig, What::Write, mounts, seconds);
    rig.settle();
    let point = Point::default()
        .with("mounts", mounts as f64)
        .with("create_per_s", create.per_s())
        .with("create_p50_us", create.p50_us())
        .with("create_p99_us", create.p99_us())
        .with("write_per_s", write.per_s())
        .with("write_p50_us", write.p50_us())
        .with("write_p99_us", write.p99_us());
    rig.sample().tell(point)
}

/// What all of them did. Their time is that of the last one.
fn together(rig: &Rig, what: What, mounts: usize, seconds: f64) -> Took {
    let begin = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + START;
    let (begin, seconds) = (begin.as_millis().to_string(), seconds.to_string());
    let (begin, seconds, what) = (&begin, &seconds, &what.word());
    thread::scope(|scope| {
        let spin = |client: &'static str| -> Took {
            let dir = at(&format!("mounts-{mounts}-{what}-{client}"));
            rig.part(client, &["spin", what, &dir, seconds, begin])
        };
        let running: Vec<_> =
            CLIENTS[..mounts].iter().map(|client| scope.spawn(move || spin(client))).collect();
        let took = running.into_iter().map(|one| one.join().unwrap_or_else(|e| std::panic::resume_unwind(e)));
        took.reduce(|all, one| all.beside(&one)).unwrap_or_default()
    })
}

fn panels() -> Vec<Panel> {
    let panel = |title, log_y, lines| Panel { title, x: ("mounts", "mounts"), log_x: false, log_y, lines };
    let all = |title, key| panel(title, false, vec![Line::new(key, "all together")]);
    vec![
        all("files created, written and closed a second", "create_per_s"),
        all("writes of 4 KiB a second", "write_per_s"),
        panel(
            "µs",
            true,
            vec![
                Line::new("create_p50_us", "create, p50"),
                Line::new("create_p99_us", "create, p99"),
                Line::new("write_p50_us", "write, p50"),
                Line::new("write_p99_us", "write, p99"),
            ],
        ),
    ]
}
