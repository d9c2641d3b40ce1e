//! Measures file systems.
//!
//! `rfs-benches fio DIR` runs the jobs of `benches/jobs` in any directory, on rfs or not, and prints one row for each, with
//! what the job waited for beside it: numbers of different durability must not be compared.

mod fio;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(version, about = "Measure a file system")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run fio jobs in a directory and print a table
    Fio(fio::Args),
}

fn main() -> ExitCode {
    let done = match Args::parse().command {
        Command::Fio(args) => fio::main(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rfs-benches: {error:#}");
            ExitCode::FAILURE
        }
    }
}
