//! Power cuts of bricks on recorded block devices: docs/testing/powercut.md.

mod args;

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rfs_powercut::campaign::{self, Figures, Options};
use rfs_powercut::site::{Plan, Recording};
use rfs_powercut::work::{self, Pace};

use args::{Args, Inside, Sync};

/// Cuts of one recording, before another one is made.
const PER_RECORDING: u64 = 100;

/// Between two operations of a worker.
const PAUSE: Duration = Duration::from_millis(2);

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    match &args.inside {
        Some(Inside::Serve { image, record }) => rfs_powercut::device::serve::serve(image, record)?,
        Some(Inside::Work { seed, top, logs, stop, most, done }) => {
            work::run(*seed, done, top, logs, stop, Pace { most: *most, pause: PAUSE })?;
        }
        None => return cut(&args),
    }
    Ok(ExitCode::SUCCESS)
}

fn cut(args: &Args) -> Result<ExitCode> {
    let (one, both) = args.shares();
    let bar = bar(if args.only.is_some() { 1 } else { args.cuts });
    let mut all = Figures::default();
    let per_recording = if args.from.is_some() { both.max(1) } else { PER_RECORDING };
    for (n, first) in (0..both).step_by(usize::try_from(per_recording)?).enumerate() {
        let seed = args.seed + n as u64;
        let cuts = (0..per_recording.min(both - first)).collect();
        all += one_recording(args, seed, args.only.map_or(cuts, |only| vec![only]), &bar, all.cuts)?;
        if args.only.is_some() {
            break;
        }
    }
    if one > 0 && args.only.is_none() {
        all += one_brick(args, one, &bar, all.cuts)?;
    }
    bar.finish_and_clear();
    if args.json {
        println!("{}", serde_json::to_string_pretty(&all)?);
    } else {
        print!("{all}");
    }
    Ok(if all.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Records, and cuts it; tells about failures at once.
fn one_recording(args: &Args, seed: u64, cuts: Vec<u64>, bar: &ProgressBar, before: u64) -> Result<Figures> {
    let recording = recording(args, seed)?;
    let folder = args.folder(seed);
    let options =
        Options { seed, cuts, stages: args.side_by_side, lie: args.lie, keep: Some(folder.clone()) };
    let figures = campaign::run(&recording, &options, |figures| {
        tell(bar, before + figures.cuts, format!("seed {seed}: {} failed", figures.failures.len()));
    })?;
    if args.from.is_none() && (args.keep.is_some() || !figures.failures.is_empty()) {
        recording.save(&folder).with_context(|| format!("keep the recording in {}", folder.display()))?;
    }
    for failure in &figures.failures {
        let (folder, cut) = (folder.display(), failure.cut);
        let what: String = failure.what.iter().take(10).map(|what| format!("  {what}\n")).collect();
        let again = format!("cargo xtask powercut --from {folder} --seed {seed} --only {cut}");
        bar.suspend(|| eprintln!("cut {cut}:\n{what}  again: {again}"));
    }
    Ok(figures)
}

/// Cuts one brick at a time. What it does depends on the moment: a failure has no command that repeats it.
fn one_brick(args: &Args, cuts: u64, bar: &ProgressBar, before: u64) -> Result<Figures> {
    let figures = campaign::run_one(&plan(args, args.seed), cuts, |figures| {
        tell(bar, before + figures.cuts, format!("one brick: {} failed", figures.failures.len()));
    })?;
    for failure in &figures.failures {
        bar.suspend(|| eprintln!("cut {} of one brick: {:#?}", failure.cut, failure.what));
    }
    Ok(figures)
}

fn recording(args: &Args, seed: u64) -> Result<Recording> {
    if let Some(from) = &args.from {
        return Recording::load(from).with_context(|| format!("the recording in {}", from.display()));
    }
    Ok(Recording::make(plan(args, seed))?)
}

fn plan(args: &Args, seed: u64) -> Plan {
    Plan {
        seed,
        file_systems: args.fs.kinds(),
        seconds: args.seconds,
        most: u64::MAX,
        sync_always: args.sync == Sync::Always,
        stir: !args.calm,
    }
}

/// Moves the bar on; where nobody sees it, says so now and then.
fn tell(bar: &ProgressBar, cuts: u64, what: String) {
    const NOW_AND_THEN: u64 = 25;
    if bar.is_hidden() && cuts.is_multiple_of(NOW_AND_THEN) {
        eprintln!("{cuts} of {} cuts, {what}", bar.length().unwrap_or_default());
    }
    bar.set_position(cuts);
    bar.set_message(what);
}

fn bar(cuts: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::with_draw_target(Some(cuts), ProgressDrawTarget::hidden());
    }
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} cuts, {eta} left, {msg}");
    ProgressBar::new(cuts).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
