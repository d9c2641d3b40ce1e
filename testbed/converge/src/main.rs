//! Runs histories of crashes and recoveries on real file systems, and says which fail.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::process::{Command, ExitCode};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use anyhow::Result;
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use rfs_converge::history::{Setup, run};
use rfs_converge::mount::{Fs, Mounted, enter_namespace};
use rfs_converge::mutants::Mutant;
use rfs_converge::stats::Stats;
use serde::Serialize;

#[derive(Parser)]
#[command(about, version)]
struct Args {
    /// Histories over all file systems: seven of ten on tmpfs, one on each of the others.
    #[arg(long, default_value_t = 1000)]
    histories: u64,
    /// The first history's seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Runs this one history.
    #[arg(long)]
    seed: Option<u64>,
    /// tmpfs, ext4, xfs, btrfs, or all.
    #[arg(long, default_value = "all", value_parser = file_systems)]
    fs: FileSystems,
    /// Histories at a time.
    #[arg(long, default_value_t = 1)]
    jobs: usize,
    /// Crashes recovery before every change that it makes, for one crash state of each round.
    #[arg(long)]
    every: bool,
    /// Plants a fault, which histories must notice.
    #[arg(long, value_parser = Mutant::from_name)]
    mutant: Option<Mutant>,
    /// Plants each fault in turn, on tmpfs, and counts the histories that notice it.
    #[arg(long, conflicts_with = "mutant")]
    mutants: bool,
    /// Prints the figures as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Clone)]
struct FileSystems(Vec<Fs>);

fn file_systems(text: &str) -> Result<FileSystems, String> {
    if text == "all" {
        return Ok(FileSystems(Fs::ALL.to_vec()));
    }
    <Fs as clap::ValueEnum>::from_str(text, true).map(|fs| FileSystems(vec![fs]))
}

thread_local! {
    /// What the thread runs, for a panic that ends the process.
    static RUNNING: Cell<Option<(Fs, u64)>> = const { Cell::new(None) };
}

/// Figures of one file system.
#[derive(Default, Serialize)]
struct Figures {
    #[serde(flatten)]
    stats: Stats,
    failed: u64,
    seconds: f64,
}

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |why| {
        usual(why);
        if let Some((fs, seed)) = RUNNING.get() {
            eprintln!("{}", command(fs, seed));
        }
    }));
    if args.mutants {
        return hunt(&args);
    }
    enter_namespace()?;
    let begun = Instant::now();
    let mut all = BTreeMap::new();
    for (fs, histories) in share(&args) {
        let from = args.seed.unwrap_or(args.from);
        all.insert(fs, sweep(&args, fs, from..from + histories)?);
    }
    report(&args, &all, begun.elapsed().as_secs_f64())?;
    let failed = all.values().any(|figures| figures.failed > 0);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// How many histories each file system gets.
fn share(args: &Args) -> Vec<(Fs, u64)> {
    let all = args.fs.0.clone();
    match (args.seed, all.len()) {
        (Some(_), _) => all.into_iter().map(|fs| (fs, 1)).collect(),
        (None, 1) => vec![(all[0], args.histories)],
        (None, many) => {
            let slow = args.histories / 10;
            let fast = args.histories - slow * (many as u64 - 1);
            all.into_iter().map(|fs| (fs, if fs == Fs::Tmpfs { fast } else { slow })).collect()
        }
    }
}

fn command(fs: Fs, seed: u64) -> String {
    format!("    cargo run -p rfs-converge -- --fs {} --seed {seed}", fs.name())
}

fn sweep(args: &Args, fs: Fs, seeds: std::ops::Range<u64>) -> Result<Figures> {
    let (begun, mounted) = (Instant::now(), Mounted::new(fs)?);
    let style =
        ProgressStyle::with_template("{prefix:6} {bar:40} {pos}/{len} histories, {per_sec}, {eta} left");
    let bar = ProgressBar::new(seeds.end - seeds.start).with_prefix(fs.name());
    bar.set_style(style.unwrap_or(ProgressStyle::default_bar()));
    let (next, figures) = (AtomicU64::new(seeds.start), Mutex::new(Figures::default()));
    let work = || loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= seeds.end {
            return;
        }
        RUNNING.set(Some((fs, seed)));
        let (place, mutant, every) = (mounted.path().to_owned(), args.mutant, args.every);
        let outcome = run(&Setup { seed, place, mutant, every });
        RUNNING.set(None);
        let mut figures = figures.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match outcome {
            Ok(stats) => figures.stats += stats,
            Err(why) => {
                figures.failed += 1;
                bar.suspend(|| println!("{} {seed}: {why:#}\n{}", fs.name(), command(fs, seed)));
            }
        }
        bar.inc(1);
    };
    std::thread::scope(|scope| {
        (1..args.jobs).for_each(|_| drop(scope.spawn(work)));
        work();
    });
    bar.finish_and_clear();
    let mut figures = figures.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    figures.seconds = begun.elapsed().as_secs_f64();
    Ok(figures)
}

/// Runs a process for each planted fault: a tree that finds itself wrong may end it.
fn hunt(args: &Args) -> Result<ExitCode> {
    let (histories, from) = (args.histories.to_string(), args.from.to_string());
    println!(
        "| fault | what it does | histories of {histories} that notice it | the first one's seed |\n|---|---|---|---|"
    );
    let mut missed = false;
    for (name, _, what) in Mutant::ALL {
        let mut child = Command::new(std::env::current_exe()?);
        let child =
            child.args(["--fs", "tmpfs", "--histories", &histories, "--from", &from, "--mutant", name]);
        let ran = child.output()?;
        let said = String::from_utf8_lossy(&ran.stdout).into_owned() + &String::from_utf8_lossy(&ran.stderr);
        let mut seeds: Vec<u64> = said
            .lines()
            .filter_map(|line| line.trim().strip_prefix("cargo run")?.split_once("--seed ")?.1.parse().ok())
            .collect();
        seeds.sort_unstable();
        seeds.dedup();
        let first = seeds.first().map_or_else(|| "none".to_owned(), u64::to_string);
        println!("| `{name}` | {what} | {} | {first} |", seeds.len());
        missed |= seeds.is_empty() || ran.status.success();
    }
    Ok(if missed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn report(args: &Args, all: &BTreeMap<Fs, Figures>, seconds: f64) -> Result<()> {
    if args.json {
        let named: BTreeMap<&str, &Figures> = all.iter().map(|(fs, figures)| (fs.name(), figures)).collect();
        println!("{}", serde_json::to_string_pretty(&named)?);
        return Ok(());
    }
    println!(
        "{:6} {:>9} {:>10} {:>8} {:>8} {:>8} {:>10} {:>11} {:>7} {:>8} {:>6} {:>7}",
        "",
        "histories",
        "operations",
        "crashes",
        "inside",
        "lossy",
        "recoveries",
        "changes",
        "copies",
        "rebuilt",
        "failed",
        "s"
    );
    for (fs, f) in all {
        let s = &f.stats;
        println!(
            "{:6} {:9} {:10} {:8} {:8} {:8} {:10} {:11} {:7} {:8} {:6} {:7.1}",
            fs.name(),
            s.histories,
            s.operations,
            s.crash_states,
            s.crashes_inside,
            s.losses_inside,
            s.recoveries,
            s.changes,
            s.copies,
            s.rebuilt,
            f.failed,
            f.seconds
        );
    }
    println!("{seconds:.1} s");
    Ok(())
}
