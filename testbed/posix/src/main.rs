//! `cargo xtask posix`: the mount beside a local file system.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::{Parser, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use rfs_posix::{Amounts, Bench, Part, Row, run, table};

/// Runs pjdfstest, fsx and a random model on a mount of a replicated volume, and shows figures. Needs root.
#[derive(Parser)]
#[command(name = "cargo xtask posix")]
struct Args {
    /// A million operations of fsx, and many histories of the model
    #[arg(long)]
    full: bool,
    /// This part only; may be given several times
    #[arg(long)]
    only: Vec<Part>,
    /// Of fsx, and of the model's first history
    #[arg(long)]
    seed: Option<u64>,
    /// Histories of the model
    #[arg(long)]
    histories: Option<u64>,
    /// Operations of fsx, and in each history
    #[arg(long)]
    operations: Option<u64>,
    /// Seconds between two kills of a leader
    #[arg(long)]
    kills_each: Option<u64>,
    /// One JSON object for each row
    #[arg(long)]
    json: bool,
}

impl Args {
    fn amounts(&self) -> Amounts {
        let base = if self.full { Amounts::full() } else { Amounts::short() };
        let operations = self.operations.and_then(|n| usize::try_from(n).ok());
        Amounts {
            fsx_operations: self.operations.unwrap_or(base.fsx_operations),
            fsx_more_operations: self.operations.unwrap_or(base.fsx_more_operations),
            kills_each: self.kills_each.map_or(base.kills_each, Duration::from_secs),
            histories: self.histories.unwrap_or(base.histories),
            history_operations: operations.unwrap_or(base.history_operations),
            seed: self.seed.unwrap_or(base.seed),
        }
    }
}

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    let parts = if args.only.is_empty() { Part::value_variants().to_vec() } else { args.only.clone() };
    let bar = ProgressBar::new(parts.len() as u64);
    bar.set_style(ProgressStyle::with_template("{bar:30} {pos}/{len} {msg} {elapsed}")?);
    let mut rows = Vec::new();
    for part in parts {
        bar.set_message(format!("{part:?}"));
        // What one part leaves behind is no matter of the next one.
        let new = run::run(&Bench::new(), part, args.amounts())?;
        for row in &new {
            show(&bar, row, args.json)?;
        }
        rows.extend(new);
        bar.inc(1);
    }
    bar.finish_and_clear();
    if !args.json {
        print!("{}", table(&rows));
    }
    let wrong = rows.iter().any(|row| !row.wrong.is_empty());
    Ok(if wrong { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn show(bar: &ProgressBar, row: &Row, json: bool) -> Result<()> {
    if json {
        println!("{}", serde_json::to_string(row)?);
    }
    bar.suspend(|| row.wrong.iter().for_each(|wrong| eprintln!("{}: {wrong}", row.what)));
    Ok(())
}
