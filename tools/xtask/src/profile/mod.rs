//! `cargo xtask profile`: what every process of a volume does while a work of `rfs-benches compare` runs, as flame graphs.

mod flame;
mod samples;
mod show;

use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde_json::Value;

use crate::run::{cargo, have, run, target_dir};
use samples::Stack;

#[derive(Args)]
pub struct Options {
    /// The work: `rfs-benches compare --list` shows all
    work: String,
    /// Functions that are named for each process
    #[arg(long, default_value_t = 15)]
    top: usize,
    /// Handed on to `rfs-benches compare`: how much of it, where, ...
    #[arg(last = true)]
    rest: Vec<String>,
}

/// Where programs are built, beside the folders of works.
const BUILD: &str = "build";

/// A process that was recorded, and what it did.
struct Process {
    host: String,
    program: String,
    /// On the host of the brick that leads.
    leads: bool,
    stacks: Vec<Stack>,
}

impl Process {
    fn title(&self) -> String {
        let leads = if self.leads { " (leads)" } else { "" };
        format!("{} on {}{leads}", self.program, self.host)
    }

    fn samples(&self) -> u64 {
        self.stacks.iter().map(|stack| stack.samples).sum()
    }
}

pub fn profile(options: &Options) -> Result<()> {
    ensure!(rustix::process::geteuid().is_root(), "hosts are made of namespaces and mounts: run it as root");
    ensure!(have("perf"), "perf is not installed: apt-get install linux-perf");
    // It becomes a folder, which is emptied first.
    let plain = options.work.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    ensure!(plain && options.work != BUILD, "'{}' is no work: see rfs-benches compare --list", options.work);
    let place = target_dir()?.join("profile");
    let programs = programs(&place.join(BUILD))?;
    let folder = place.join(&options.work);
    if folder.is_dir() {
        fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
    }
    let recorded = record(&options.work, &options.rest, &programs, &folder)?;
    let processes = processes(&recorded)?;
    ensure!(!processes.is_empty(), "perf has seen nothing in {}", recorded.display());
    for process in &processes {
        let svg = folder.join(format!("{}-{}.svg", process.host, process.program));
        let title = format!("{}: {}", options.work, process.title());
        flame::draw(&title, &process.stacks, &svg).with_context(|| svg.display().to_string())?;
    }
    show::print(&processes, options.top);
    println!("{}/*.svg", folder.display());
    Ok(())
}

/// Release programs that perf understands, in a target folder of their own: with frame pointers, and not linked by the linker whose
/// programs it reads wrongly.
fn programs(target: &Path) -> Result<PathBuf> {
    let mut flags = vec!["-Cforce-frame-pointers=yes"];
    if cfg!(target_arch = "x86_64") {
        // The toolchain's own linker, which is the default there, and only there.
        flags.push("-Clinker-features=-lld");
    }
    let packages = ["-p", "rfs-engine", "-p", "rfs-mountd", "-p", "rfs-tools", "--bins"];
    let mut build = cargo();
    build.args(["build", "--release", "--quiet"]).args(packages).arg("--target-dir").arg(target);
    run(build.env("RUSTFLAGS", flags.join(" ")))?;
    Ok(target.join("release"))
}

/// Runs the work once, and returns the folder of its recording.
fn record(work: &str, rest: &[String], programs: &Path, folder: &Path) -> Result<PathBuf> {
    let mut compare = cargo();
    compare.args(["run", "--release", "--quiet", "--package", "rfs-benches", "--", "compare"]);
    compare
        .args(["--systems", "rfs", "--rounds", "1", "--memory", "as-is", "--works"])
        .arg(format!("={work}"));
    compare.arg("--record").arg(folder).args(rest);
    // Its figures are not those of an undisturbed run, and not what is asked for.
    run(compare.env("RFS_BIN", programs).stdout(std::io::stderr()))?;
    Ok(folder.join("rfs").join(work))
}

/// The processes that were seen at work, the busiest first. A mount has two of its program: they are one here.
fn processes(recorded: &Path) -> Result<Vec<Process>> {
    let listed = recorded.join("processes.json");
    let listed: Value = serde_json::from_reader(BufReader::new(File::open(&listed)?))?;
    let mut stacks = samples::by_process(&folded(recorded)?);
    let mut all: Vec<Process> = Vec::new();
    for value in listed.as_array().into_iter().flatten() {
        let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
        let (host, program) = (text("host"), text("program"));
        let pid = value["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok());
        let Some(stacks) = pid.and_then(|pid| stacks.remove(&pid)) else { continue };
        match all.iter_mut().find(|known| known.host == host && known.program == program) {
            Some(known) => known.stacks.extend(stacks),
            None => {
                let leads = value["leads"] == true && program == "rfs-brickd";
                all.push(Process { host, program, leads, stacks });
            }
        }
    }
    all.sort_by_key(|process| std::cmp::Reverse(process.samples()));
    Ok(all)
}

/// One line a stack.
fn folded(recorded: &Path) -> Result<String> {
    let mut perf = Command::new("perf");
    perf.arg("--buildid-dir").arg(recorded.join("symbols"));
    // Inlined functions would be asked for one by one, of a program that takes seconds for each.
    perf.args(["script", "--no-inline", "--fields", "comm,pid,tid,time,event,ip,sym,dso", "--input"]);
    perf.arg(recorded.join("perf.data")).stdout(Stdio::piped());
    let mut perf = perf.spawn().context("perf script")?;
    let said = perf.stdout.take().context("what perf script says")?;
    let folded = samples::fold(BufReader::new(said))?;
    let status = perf.wait()?;
    ensure!(status.success(), "perf script: {status}");
    Ok(folded)
}
