//! `rfs-benches compare`: the same work on rfs, on GlusterFS, on MooseFS and in a plain directory, in one run, by turns.

mod meter;
mod record;
mod report;
mod rounds;
mod systems;
mod work;

use std::path::{Path, PathBuf};

use anyhow::{bail, ensure};

pub use work::{Inside, inside};

use report::Report;
use systems::{Kind, Seat, System};
use work::Amounts;

use crate::disk::Disk;
use crate::machine::Memory;
use crate::output::Output;
use crate::placement::Placement;

/// Command line of `compare`. The programs of rfs are those in `RFS_BIN`; without it they are built as this one was.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only these works: names, or beginnings of names; `=NAME` is that one alone
    #[arg(long, value_delimiter = ',', value_name = "NAME,...")]
    works: Vec<String>,
    /// The file systems
    #[arg(long, value_enum, value_delimiter = ',', default_value = "plain,glusterfs,moosefs,rfs")]
    systems: Vec<Kind>,
    /// Where programs run: on a machine without a brick, or on one with
    #[arg(long, value_enum, value_delimiter = ',', default_value = "client")]
    at: Vec<Seat>,
    /// How often; the median counts
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Which processors each machine has
    #[arg(long, value_enum, default_value_t = Placement::Apart)]
    placement: Placement,
    /// What is done about the machine's memory first
    #[arg(long, value_enum, default_value_t = Memory::Touched)]
    memory: Memory,
    /// What all of it lies on
    #[arg(long, value_enum, default_value_t = Disk::Fresh)]
    disk: Disk,
    /// Seconds of each job of random access
    #[arg(long, default_value_t = 4)]
    seconds: u32,
    /// MiB of the file of sequential jobs
    #[arg(long, default_value_t = 1024)]
    long_mib: u64,
    /// MiB of the files of random access
    #[arg(long, default_value_t = 256)]
    random_mib: u64,
    /// Files that are made, looked at, changed and removed one by one
    #[arg(long, default_value_t = 1000)]
    files: u64,
    /// Files in the tree that is unpacked, copied, cloned
    #[arg(long, default_value_t = 2000)]
    tree: u64,
    /// Print JSON instead of tables
    #[arg(long)]
    json: bool,
    /// Write compare.json, compare.txt and a plot for each seat into this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Record each run with perf, into a folder of this one for each system and work
    #[arg(long, value_name = "DIR", hide = true)]
    record: Option<PathBuf>,
    /// List the works and leave
    #[arg(long)]
    list: bool,
}

/// Runs all of it.
pub fn main(args: &Args) -> anyhow::Result<()> {
    let works = work::chosen(&args.works)?;
    if args.list {
        print!("{}", report::list(&works));
        return Ok(());
    }
    ensure!(
        rustix::process::geteuid().is_root(),
        "compare makes network namespaces and mounts: it needs root"
    );
    for kind in &args.systems {
        if let Some((program, package)) = kind.needs().filter(|(program, _)| !installed(program)) {
            bail!(
                "{} needs {program}: apt-get install {package}, or leave it out with --systems",
                kind.name()
            );
        }
    }
    let _made = args.disk.make()?;
    let _kept = args.memory.keep();
    let systems: Vec<Box<dyn System>> = args.systems.iter().map(|kind| started(*kind)).collect();
    let amounts = Amounts {
        seconds: args.seconds,
        long_mib: args.long_mib,
        random_mib: args.random_mib,
        files: args.files,
        tree: args.tree,
    };
    let plan = rounds::Plan {
        works: &works,
        seats: &args.at,
        rounds: args.rounds,
        placement: args.placement,
        memory: args.memory,
        disk: args.disk,
        amounts,
        record: args.record.as_deref(),
    };
    let runs = rounds::all(&systems, &plan);
    let report = Report::new(&systems, &plan, &runs);
    drop(systems);
    print(&report, args.json, args.out.as_deref())
}

fn started(kind: Kind) -> Box<dyn System> {
    eprintln!("starting {} ...", kind.name());
    let system = systems::start(kind);
    crate::inside::lend(system.cluster());
    system
}

fn installed(program: &str) -> bool {
    ["/usr/sbin", "/usr/bin", "/sbin", "/bin"].iter().any(|dir| Path::new(dir).join(program).is_file())
}

fn print(report: &Report, json: bool, out: Option<&Path>) -> anyhow::Result<()> {
    let plots = report.plots()?.into_iter().map(|(seat, svg)| (format!("compare-{seat}"), svg));
    let output =
        Output { text: report.text(), json: serde_json::to_string_pretty(report)?, plots: plots.collect() };
    if let Some(out) = out {
        output.write(out, "compare")?;
    }
    println!("{}", if json { output.json } else { output.text });
    Ok(())
}
