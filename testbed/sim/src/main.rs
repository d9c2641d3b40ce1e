//! Runs histories of a simulated replica set, and says which seeds fail.

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use rfs_sim::kind::Kind;
use rfs_sim::mutants::{self, Planted};
use rfs_sim::stats::Stats;
use rfs_sim::{Mutants, Setup, sweep, table};

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
    /// Look for a seed that catches this planted fault; `all`: for one that catches each. With `--seed`: that history.
    #[arg(long)]
    mutant: Option<String>,
    /// Print the kinds of faults, and the planted faults that they catch, as docs/testing/simulator.md has them.
    #[arg(long)]
    table: bool,
    /// Print the figures as JSON.
    #[arg(long)]
    json: bool,
    /// Only these kinds of faults, by name, separated by commas.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// None of these kinds.
    #[arg(long, value_delimiter = ',')]
    without: Vec<String>,
    /// Leave the fault out, but run the histories in which it is looked for.
    #[arg(long, requires = "mutant")]
    sane: bool,
}

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    sweep::quiet();
    if args.table {
        print!("{}", table::markdown());
        return Ok(ExitCode::SUCCESS);
    }
    let planted = match args.mutant.as_deref() {
        None => None,
        Some("all") => return Ok(hunt(&args, &mutants::all())),
        Some(name) => {
            let found = mutants::all().into_iter().find(|planted| planted.name == name);
            Some(found.ok_or_else(|| anyhow::anyhow!("no planted fault is called '{name}'"))?)
        }
    };
    Ok(match (args.seed, planted) {
        (None, Some(planted)) if !args.sane => hunt(&args, &[planted]),
        (None, planted) => histories(&args, planted),
        (Some(seed), planted) => replay(setup(&args, seed, planted, args.sane)),
    })
}

fn setup(args: &Args, seed: u64, planted: Option<Planted>, sane: bool) -> Setup {
    let mut setup = match planted {
        None => Setup::of(seed, Mutants::default()),
        Some(planted) if sane => mutants::place(&planted.without_fault(), seed, true),
        Some(planted) => mutants::place(&planted, seed, true),
    };
    let named = |names: &[String], kind: Kind| names.iter().any(|name| name == kind.name());
    for kind in Kind::ALL {
        let excluded = !args.only.is_empty() && !named(&args.only, *kind);
        if excluded || named(&args.without, *kind) {
            setup.kinds = setup.kinds.without(*kind);
        }
    }
    setup
}

fn replay(setup: Setup) -> ExitCode {
    println!("{setup:?}");
    let outcome = sweep::one(setup, true);
    println!("{:#?}\nhistory {:016x}", outcome.stats, outcome.sum);
    if outcome.failure.is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn histories(args: &Args, planted: Option<Planted>) -> ExitCode {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} histories, {per_sec}, {eta} left");
    let bar = ProgressBar::new(args.seeds).with_style(style.unwrap_or(ProgressStyle::default_bar()));
    let (begun, mut stats, mut failures) = (Instant::now(), Stats::default(), 0);
    let setup = |seed| setup(args, seed, planted, true);
    sweep::sweep(args.from..args.from + args.seeds, setup, |seed, outcome| {
        stats.add(&outcome.stats);
        if let Some(why) = outcome.failure {
            failures += 1;
            let why = why.lines().next().unwrap_or_default().to_owned();
            let mutant = planted.map(|p| format!(" --mutant {} --sane", p.name)).unwrap_or_default();
            bar.suspend(|| eprintln!("{why}\n    cargo xtask sim --seed {seed}{mutant}"));
        }
        bar.inc(1);
        true
    });
    bar.finish_and_clear();
    let took = begun.elapsed().as_secs_f64();
    if args.json {
        println!("{}", json(args.seeds, failures, &stats, took));
    } else {
        summary(args.seeds, failures, &stats, took);
    }
    if failures > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// One line, numbers only.
fn json(seeds: u64, failures: u64, stats: &Stats, took: f64) -> String {
    let faults: Vec<String> =
        stats.faults.iter().map(|(kind, n)| format!("\"{}\":{n}", kind.name())).collect();
    format!(
        "{{\"histories\":{seeds},\"failed\":{failures},\"seconds\":{took:.1},\"simulated_minutes\":{:.0},\
         \"events\":{},\"committed\":{},\"reads\":{},\"copies\":{},\"recoveries\":{},\"faults\":{{{}}}}}",
        stats.simulated_us as f64 / 60e6,
        stats.events,
        stats.committed,
        stats.reads,
        stats.copies,
        stats.converged,
        faults.join(",")
    )
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
    println!("{} locks refused", stats.refused);
    println!(
        "{} files told on belief, {} of them refused; {} made in others' directories; {} leases wanted back, {} \
         taken away",
        stats.births, stats.stillbirths, stats.guests, stats.recalls, stats.revoked
    );
    println!(
        "{} reads, {} of them at followers; {} full copies, {} recoveries",
        stats.reads, stats.local_reads, stats.copies, stats.converged
    );
    println!(
        "{} records abandoned by promotions, {} promotions after the faults",
        stats.abandoned, stats.rescues
    );
    println!(
        "{} records taken back by power cuts of too many; {} trees showed such",
        stats.taken_back, stats.unexplained
    );
    let faults: Vec<String> = stats.faults.iter().map(|(kind, n)| format!("{n} {}", kind.name())).collect();
    println!("faults: {}", faults.join(", "));
}

fn hunt(args: &Args, all: &[Planted]) -> ExitCode {
    let mut missed = 0;
    for planted in all {
        let (kind, name) = (planted.kind.name(), planted.name);
        match mutants::hunt(planted, args.from, args.seeds, true) {
            Some((seed, why)) => {
                let off = mutants::hunt(planted, args.from, seed + 1 - args.from, false);
                let off =
                    off.map(|(seed, _)| format!(", WITHOUT THE KIND TOO: seed {seed}")).unwrap_or_default();
                missed += usize::from(!off.is_empty());
                let why: String = why.lines().next().unwrap_or_default().chars().take(90).collect();
                println!("{kind}: {name}: seed {seed}{off}: {why}");
            }
            None => {
                missed += 1;
                println!("{kind}: {name}: NOT CAUGHT in {} seeds", args.seeds);
            }
        }
    }
    if missed > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
