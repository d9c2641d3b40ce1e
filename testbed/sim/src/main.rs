//! Runs histories of a simulated replica set, and says which seeds fail.

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use rfs_sim::stats::Stats;
use rfs_sim::{Mutants, Setup, mutants, run};

#[derive(Parser)]
#[command(about, version)]
struct Args {
    /// How many histories to run.
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
    /// The first one's seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Print the events of this one history.
    #[arg(long)]
    seed: Option<u64>,
    /// Plant this fault; `all`: look for a seed that catches each; `each:NAME`: for one that catches this.
    #[arg(long)]
    mutant: Option<String>,
}

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    // Failures are reported below, with the command that replays them.
    std::panic::set_hook(Box::new(|_| {}));
    let planted = match args.mutant.as_deref() {
        None => Mutants::default(),
        Some("all") => return Ok(hunt(&args, "")),
        Some(each) if each.starts_with("each:") => return Ok(hunt(&args, &each[5..])),
        Some(name) => {
            let found = mutants::all().into_iter().find(|planted| planted.name == name);
            found.ok_or_else(|| anyhow::anyhow!("no mutant is called '{name}'"))?.mutants
        }
    };
    Ok(match args.seed {
        Some(seed) => replay(seed, planted),
        None => sweep(&args, planted),
    })
}

fn replay(seed: u64, planted: Mutants) -> ExitCode {
    let setup = Setup::of(seed, planted);
    println!("{setup:?}");
    let outcome = run(setup, true);
    println!("{:#?}\nhistory {:016x}", outcome.stats, outcome.sum);
    if outcome.failure.is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn sweep(args: &Args, planted: Mutants) -> ExitCode {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} histories, {per_sec}, {eta} left");
    let bar = ProgressBar::new(args.seeds).with_style(style.unwrap_or(ProgressStyle::default_bar()));
    let (begun, mut stats, mut failures) = (Instant::now(), Stats::default(), 0);
    for seed in args.from..args.from + args.seeds {
        let outcome = run(Setup::of(seed, planted), false);
        stats.add(&outcome.stats);
        if let Some(why) = outcome.failure {
            failures += 1;
            let why = why.lines().next().unwrap_or_default().to_owned();
            let mutant = args.mutant.as_ref().map(|name| format!(" --mutant {name}")).unwrap_or_default();
            bar.suspend(|| println!("{why}\n    cargo run -p rfs-sim -- --seed {seed}{mutant}"));
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    summary(args.seeds, failures, &stats, begun.elapsed().as_secs_f64());
    if failures > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn summary(seeds: u64, failures: u64, stats: &Stats, took: f64) {
    let minutes = stats.simulated_us as f64 / 60e6;
    println!("{seeds} histories in {took:.1} s ({:.1}/s), {failures} failed", seeds as f64 / took);
    println!(
        "{minutes:.0} simulated minutes ({:.1} in each second), {} events",
        minutes / took,
        stats.events
    );
    println!(
        "{} elections, {} records committed, {} requests",
        stats.elections, stats.committed, stats.acknowledged
    );
    println!("{} reads, {} full copies, {} recoveries", stats.reads, stats.copies, stats.converged);
    println!(
        "{} records taken back by power cuts of too many; {} trees showed such",
        stats.taken_back, stats.unexplained
    );
    let faults: Vec<String> = stats.faults.iter().map(|(kind, n)| format!("{n} {kind}")).collect();
    println!("faults: {}", faults.join(", "));
}

fn hunt(args: &Args, name: &str) -> ExitCode {
    let mut missed = 0;
    for planted in mutants::all().into_iter().filter(|planted| planted.name.contains(name)) {
        match mutants::hunt(&planted, args.from, args.seeds) {
            Some((seed, why)) => {
                println!("{}: seed {seed}: {}", planted.name, why.lines().next().unwrap_or_default());
            }
            None => {
                missed += 1;
                println!("{}: NOT CAUGHT in {} seeds", planted.name, args.seeds);
            }
        }
    }
    if missed > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
