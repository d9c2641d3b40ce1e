//! `cargo xtask rot`: flipped bits in every file of a brick.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use rfs_rot::{Bench, Kind, Outcome, Round, table};

/// Flips bits in every kind of file that a brick or a witness owns, and looks whether it is noticed, named, repaired or
/// refused. Needs root.
#[derive(Parser)]
#[command(name = "cargo xtask rot")]
struct Args {
    /// Rounds of each kind
    #[arg(long, default_value_t = 3)]
    rounds: u64,
    /// This kind only; may be given several times
    #[arg(long)]
    kind: Vec<Kind>,
    /// The first round's; the others count up from it
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// One JSON object for each round
    #[arg(long)]
    json: bool,
}

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    let kinds = if args.kind.is_empty() { Kind::value_variants().to_vec() } else { args.kind.clone() };
    let bar = ProgressBar::new(args.rounds * kinds.len() as u64);
    bar.set_style(ProgressStyle::with_template("{bar:30} {pos}/{len} {msg} {elapsed}, {eta} left")?);
    bar.set_message("a volume is made and settles");
    let mut bench = Some(Bench::new());
    let mut rounds = Vec::new();
    for seed in args.seed..args.seed + args.rounds {
        for kind in &kinds {
            bar.set_message(format!("{kind:?}"));
            let round = bench.get_or_insert_with(Bench::new).round(*kind, seed);
            show(&bar, &round, args.json)?;
            bar.inc(1);
            // What such a round leaves behind would be found by the next one.
            if matches!(round.outcome, Outcome::Wrong(_)) {
                bar.suspend(|| eprint!("{}", bench.take().map(|b| b.log_tails()).unwrap_or_default()));
            }
            rounds.push(round);
        }
    }
    bar.finish_and_clear();
    end(&rounds, args.json)
}

fn show(bar: &ProgressBar, round: &Round, json: bool) -> Result<()> {
    if json {
        println!("{}", serde_json::to_string(round)?);
    }
    if let Outcome::Wrong(why) = &round.outcome {
        bar.suspend(|| eprintln!("{}: {why}\n{}", round.what, Bench::replay(round.kind, round.seed)));
    }
    Ok(())
}

fn end(rounds: &[Round], json: bool) -> Result<ExitCode> {
    if !json {
        print!("{}", table::table(rounds));
    }
    let wrong = rounds.iter().any(|r| matches!(r.outcome, Outcome::Wrong(_)));
    Ok(if wrong { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
