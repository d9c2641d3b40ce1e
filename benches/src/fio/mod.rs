//! `rfs-benches fio`

mod catalog;
pub mod report;
mod run;

use std::path::PathBuf;

use anyhow::Context;

use catalog::Job;
use report::{Report, Row};

use crate::table;

/// Command line of `fio`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where to measure; the files go into a new folder in it, which is removed
    #[arg(required_unless_present = "list")]
    dir: Option<PathBuf>,
    /// Only these jobs: names, or beginnings of names
    #[arg(long, value_delimiter = ',', value_name = "NAME,...")]
    jobs: Vec<String>,
    /// How long a job runs; the card's jobs run until their file is written
    #[arg(long, default_value_t = 5, value_name = "SECONDS")]
    runtime: u32,
    /// Size of each job's file
    #[arg(long, default_value = "256M")]
    size: String,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
    /// List the jobs and leave
    #[arg(long)]
    list: bool,
}

/// Runs the jobs one after the other.
pub fn main(args: &Args) -> anyhow::Result<()> {
    let jobs = catalog::chosen(&args.jobs)?;
    let Some(dir) = args.dir.as_ref().filter(|_| !args.list) else {
        print!("{}", list(&jobs));
        return Ok(());
    };
    let version = run::version()?;
    let scratch = run::Scratch::new(dir).with_context(|| format!("cannot write to {}", dir.display()))?;
    let mut rows = Vec::new();
    for job in &jobs {
        eprintln!("{} ...", job.name);
        rows.extend(run::run(job, scratch.path(), args.runtime, &args.size)?);
    }
    let report = Report {
        directory: dir.clone(),
        fio: version,
        runtime_s: args.runtime,
        size: args.size.clone(),
        rows,
    };
    print(&report, args.json)
}

fn print(report: &Report, json: bool) -> anyhow::Result<()> {
    if json {
        println!("{}", serde_json::to_string_pretty(report)?);
    } else {
        print!("{}", table::text(&Row::HEAD, &report.rows.iter().map(Row::cells).collect::<Vec<_>>()));
        println!(
            "What is safe when an operation is done depends on the file system; for rfs see docs/semantics.md."
        );
    }
    Ok(())
}

fn list(jobs: &[Job]) -> String {
    let cells: Vec<_> = jobs.iter().map(|j| [j.name, j.what, j.durability].map(str::to_owned)).collect();
    table::text(&[("JOB", false), ("WHAT", false), ("WAITS FOR", false)], &cells)
}
