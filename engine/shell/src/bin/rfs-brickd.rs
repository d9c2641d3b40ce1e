//! `rfs-brickd`: the server.

use std::process::ExitCode;

use clap::Parser;
use rfs_engine::daemon::{self, Args, DaemonOptions};
use rfs_engine::shard::index_check;

fn main() -> ExitCode {
    index_check::answer_if_asked();
    let args = Args::parse();
    match run(&args) {
        Ok(code) => code,
        Err(e) => {
            eprintln!("rfs-brickd: {e:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let options = DaemonOptions::resolve(args)?;
    daemon::log_to_stderr(&options.log_level);
    // Before any thread: all of them inherit the blocked signals.
    let signals = daemon::signals::forward()?;
    let outcome = daemon::run(options, signals, || daemon::notify::notify("READY=1"))?;
    Ok(if outcome.clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
