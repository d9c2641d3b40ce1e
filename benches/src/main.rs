//! Measures file systems.
//!
//! `rfs-benches fio DIR` runs the jobs of `benches/jobs` in any directory, on rfs or not, and prints one row for each, with
//! what the job waited for beside it: numbers of different durability must not be compared.
//!
//! `rfs-benches compare` sets up rfs, GlusterFS and others on hosts of its own, does the same work on all of them by turns,
//! and shows the ratios.
//!
//! `rfs-benches grow` sets up rfs and shows how what it costs grows: with the size of a file, with files, names, mounts, latency
//! and time.

mod compare;
mod disk;
mod fio;
mod grow;
mod inside;
mod machine;
mod output;
mod placement;
mod process;
mod progress;
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
    /// Measure how what rfs costs grows with files, names, mounts, latency and time
    Grow(grow::Args),
    #[command(subcommand, hide = true)]
    Inside(compare::Inside),
    #[command(subcommand, hide = true)]
    Part(grow::Part),
}

fn main() -> ExitCode {
    let done = match Args::parse().command {
        Command::Fio(args) => fio::main(&args),
        Command::Compare(args) => compare::main(&args),
        Command::Grow(args) => grow::main(&args),
        Command::Part(part) => grow::part(&part),
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
