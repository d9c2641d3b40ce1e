//! Measures file systems.
//!
//! `rfs-benches fio DIR` runs the jobs of `benches/jobs` in any directory, on rfs or not, and prints one row for each, with
//! what the job waited for beside it: numbers of different durability must not be compared.
//!
//! `rfs-benches compare` sets up rfs, GlusterFS and others on hosts of its own, does the same work on all of them by turns,
//! and shows the ratios.

mod compare;
mod fio;
mod table;

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
    /// Do the same work on rfs, GlusterFS, MooseFS and a plain directory, and print the ratios
    Compare(compare::Args),
    #[command(subcommand, hide = true)]
    Inside(compare::Inside),
}

fn main() -> ExitCode {
    let done = match Args::parse().command {
        Command::Fio(args) => fio::main(&args),
        Command::Compare(args) => compare::main(&args),
        Command::Inside(inside) => compare::inside(&inside),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rfs-benches: {error:#}");
            ExitCode::FAILURE
        }
    }
}
