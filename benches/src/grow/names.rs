//! What a name costs, by how many its directory has.

use super::Amounts;
use super::part::Each;
use super::report::{Column, Grown, Line, Panel, Point};
use super::rig::{CLIENTS, Rig, at};
use super::sample::Sample;
use super::took::Took;
use crate::placement::Placement;
use crate::progress::Progress;

const DIR: &str = "names";

const COLUMNS: [Column; 10] = [
    Column::new("names", "NAMES", 0),
    Column::new("create_per_s", "CREATE /S", 0),
    Column::new("create_p99_us", "P99 US", 0),
    Column::new("look_p50_us", "LOOK P50 US", 0),
    Column::new("look_p99_us", "P99 US", 0),
    Column::new("miss_p50_us", "MISS P50 US", 0),
    Column::new("miss_p99_us", "P99 US", 0),
    Column::new("list_ms", "LIST MS", 1),
    Column::new("list_us_each", "US EACH", 2),
    Column::new("again_ms", "AGAIN MS", 1),
];

pub fn grow(placement: Placement, amounts: &Amounts) -> (Grown, Option<Rig>) {
    let sizes: Vec<u64> = (0..=amounts.doublings).rev().map(|half| amounts.names >> half).collect();
    let progress = Progress::new(sizes.len() as u64);
    let rig = Rig::start(placement, 1, None);
    let mut before = 0;
    let mut points = Vec::new();
    for size in sizes {
        progress.begins(&format!("names: up to {size}"));
        points.push(one(&rig, before, size, amounts.looks));
        before = size;
        progress.ended();
    }
    let grown = Grown {
        axis: "names",
        what: format!(
            "empty files in one directory: create up to so many; a new mount; stat of {0} by chance, and of {0} that are not there; \
             a listing, and another",
            amounts.looks
        ),
        points,
        gates: Vec::new(),
        notes: Vec::new(),
        columns: [&COLUMNS[..], &Sample::COLUMNS].concat(),
        panels: panels(),
    };
    (grown, Some(rig))
}

fn one(rig: &Rig, before: u64, names: u64, looks: u64) -> Point {
    let (dir, looks) = (at(DIR), looks.to_string());
    let some =
        |what| -> Took { rig.part_of(CLIENTS[0], &Each::words(what, &dir, 0..names, &["--some", &looks])) };
    let list = || -> Took { rig.part(CLIENTS[0], &["list", &dir]) };
    let made: Took = rig.part_of(CLIENTS[0], &Each::words(Each::Make, &dir, before..names, &[]));
    rig.remount(CLIENTS[0]);
    let (look, miss) = (some(Each::Stat), some(Each::Miss));
    let (listed, again) = (list(), list());
    assert_eq!((listed.calls(), again.calls()), (names, names), "every name is listed once");
    let point = Point::default()
        .with("names", names as f64)
        .with("create_per_s", made.per_s())
        .with("create_p99_us", made.p99_us())
        .with("look_p50_us", look.p50_us())
        .with("look_p99_us", look.p99_us())
        .with("miss_p50_us", miss.p50_us())
        .with("miss_p99_us", miss.p99_us())
        .with("list_ms", listed.seconds * 1e3)
        .with("list_us_each", listed.seconds * 1e6 / names as f64)
        .with("again_ms", again.seconds * 1e3);
    rig.sample().tell(point)
}

fn panels() -> Vec<Panel> {
    let panel = |title, log_y, lines| Panel {
        title,
        x: ("names", "names in the directory"),
        log_x: true,
        log_y,
        lines,
    };
    vec![
        panel("created a second", false, vec![Line::new("create_per_s", "create")]),
        panel(
            "µs of a stat",
            true,
            vec![
                Line::new("look_p50_us", "new to the mount, p50"),
                Line::new("look_p99_us", "new to the mount, p99"),
                Line::new("miss_p50_us", "not there, p50"),
                Line::new("miss_p99_us", "not there, p99"),
            ],
        ),
        panel(
            "ms of a listing",
            true,
            vec![Line::new("list_ms", "by a new mount"), Line::new("again_ms", "the next one")],
        ),
    ]
}
