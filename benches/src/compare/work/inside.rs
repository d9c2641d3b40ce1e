//! What runs in a host: `rfs-benches inside`. One process does it and says what it took.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Subcommand;
use serde::{Deserialize, Serialize};

use super::{Call, Done, Place, Stream};
use crate::{inside, process};

/// Command line of `rfs-benches inside`.
#[derive(Debug, Subcommand)]
pub enum Inside {
    /// Call it for each of so many files
    Calls { call: Call, dir: PathBuf, count: u64 },
    /// Write or read a file from its beginning to its end
    Stream { stream: Stream, file: PathBuf, mib: u64 },
    /// Run a program
    Run {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        argv: Vec<String>,
    },
}

/// What it says.
#[derive(Debug, Serialize, Deserialize)]
struct Said {
    seconds: f64,
    cpu_s: f64,
    p50_us: Option<f64>,
    p99_us: Option<f64>,
}

const LIMIT: Duration = Duration::from_secs(1200);

/// Runs this program inside of the place's host.
#[track_caller]
pub fn inside_host(place: &Place<'_>, words: &[&str]) -> Done {
    let said: Said = inside::ask(place.host(), &[&["inside"], words].concat(), LIMIT);
    let Said { seconds, cpu_s, p50_us, p99_us } = said;
    Done { seconds, cpu_s, p50_us, p99_us, ..Done::default() }
}

/// Does it, and prints what it took.
pub fn main(inside: &Inside) -> anyhow::Result<()> {
    let begun = Instant::now();
    let (seconds, mut took) = match inside {
        Inside::Calls { call, dir, count } => {
            let took = call.each(dir, *count)?;
            (took.iter().sum::<Duration>(), took)
        }
        Inside::Stream { stream, file, mib } => {
            stream.through(file, *mib).with_context(|| file.display().to_string())?;
            (begun.elapsed(), Vec::new())
        }
        Inside::Run { argv } => {
            run(argv)?;
            (begun.elapsed(), Vec::new())
        }
    };
    took.sort_unstable();
    let at = |part: f64| took.get((took.len() as f64 * part) as usize).map(|d| d.as_secs_f64() * 1e6);
    let cpu_s = process::cpu(std::process::id(), true).context("CPU time of this process")?;
    let said = Said { seconds: seconds.as_secs_f64(), cpu_s, p50_us: at(0.5), p99_us: at(0.99) };
    println!("{}", serde_json::to_string(&said)?);
    Ok(())
}

fn run(argv: &[String]) -> anyhow::Result<()> {
    let (program, rest) = argv.split_first().context("no program")?;
    let ended = std::process::Command::new(program).args(rest).status().with_context(|| program.clone())?;
    anyhow::ensure!(ended.success(), "{program}: {ended}");
    Ok(())
}
