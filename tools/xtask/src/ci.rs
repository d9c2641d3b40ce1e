//! Everything that must hold before a change lands.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command};

use anyhow::{Context, Result, ensure};

use crate::run::{cargo, have, root, run, target_dir, targets};
use crate::{packages, tidy};

pub fn ci() -> Result<()> {
    run(cargo().args(["fmt", "--all", "--check"]))?;
    run(cargo().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    tidy::tidy(&root()?)?;
    if have("cargo-deny") {
        run(cargo().args(["deny", "check"]))?;
    } else {
        eprintln!("cargo-deny is not installed: licences and advisories were not checked");
    }
    test(&[])?;
    benches()
}

/// Each bench once, without a measurement.
fn benches() -> Result<()> {
    let all = targets("bench")?.into_iter().flat_map(|(_, name)| ["--bench".to_owned(), name]);
    run(cargo().args(["test", "--workspace"]).args(all))
}

/// Packages whose tests wait more than they compute: real processes on hosts of their own, with real timeouts.
const ON_HOSTS: [&str; 6] =
    ["rfs-benches", "rfs-cluster", "rfs-chaos", "rfs-posix", "rfs-powercut", "rfs-rot"];

/// Of them, the one that runs the suites of others, which are built meanwhile: it runs last, and those that need few hosts beside it.
const SUITES: &str = "rfs-posix";
const BESIDE_SUITES: [&str; 2] = ["rfs-powercut", "rfs-rot"];

/// How many of their clusters live at once: on two processors these were idle for most of the time with two; with four it takes
/// as long as with three.
const CLUSTERS: usize = 3;

/// `cargo test`, one profile. `--full` sets `RFS_FULL`, with which the tests take their long forms; what else is said is handed
/// on. Without it, what runs on hosts and what computes run side by side, the latter with less of a claim to the processors:
/// timeouts are those of real clusters.
pub fn test(rest: &[String]) -> Result<()> {
    packages::debian()?;
    let (full, rest): (Vec<_>, Vec<_>) = rest.iter().partition(|word| *word == "--full");
    let test = |program: Command| {
        let mut command = program;
        if !full.is_empty() {
            command.env("RFS_FULL", "1");
        }
        command
    };
    if !rest.is_empty() {
        packages::third_party(cargo)?;
        return run(test(cargo()).args(["test", "--workspace"]).args(rest));
    }
    // What hosts get, of the same variants: tests would have others built, and all that those depend on.
    let programs = ["build", "--workspace", "--lib", "--bins", "--tests", "--example", "clock_jump"];
    run(cargo().args(programs))?;
    let built = target_dir()?.join("debug");
    // Always the whole workspace: of some of its packages alone, cargo would build other variants.
    let (with_hosts, without): (Vec<_>, Vec<_>) =
        targets("test")?.into_iter().partition(|(package, _)| ON_HOSTS.contains(&package.as_str()));
    let (with_suites, with_hosts): (Vec<_>, Vec<_>) =
        with_hosts.into_iter().partition(|(package, _)| package == SUITES);
    let (beside_suites, with_hosts): (Vec<_>, Vec<_>) =
        with_hosts.into_iter().partition(|(package, _)| BESIDE_SUITES.contains(&package.as_str()));
    each_runs_once(&[&without, &with_hosts, &beside_suites, &with_suites])?;
    let chosen = |targets: Vec<(String, String)>| {
        targets.into_iter().flat_map(|(_, name)| ["--test".to_owned(), name])
    };
    let mut computing = test(niced(&cargo()));
    computing.args(["test", "--workspace", "--no-fail-fast", "--lib", "--bins"]).args(chosen(without));
    let computing = Aside::start(computing, "the tests that compute")?;
    let suites = std::thread::spawn(|| packages::third_party(|| niced(&cargo())));
    let on_hosts = |targets| {
        let mut on_hosts = test(cargo());
        on_hosts.args(["test", "--workspace", "--no-fail-fast"]).args(chosen(targets));
        on_hosts.env("RUST_TEST_THREADS", CLUSTERS.to_string()).env("RFS_BIN", &built);
        on_hosts
    };
    let first = run(&mut on_hosts(with_hosts));
    suites.join().expect("it does not panic")?;
    let beside = Aside::start(on_hosts(beside_suites), "the tests beside the suites")?;
    let last = run(&mut on_hosts(with_suites));
    let (beside, computed) = (beside.end(), computing.end());
    first.and(last).and(beside).and(computed)
}

/// Cargo takes tests by their names only: of two packages, both would run wherever one is to.
fn each_runs_once(lanes: &[&[(String, String)]]) -> Result<()> {
    let mut lane_of = BTreeMap::new();
    for (lane, tests) in lanes.iter().enumerate() {
        for (package, name) in *tests {
            let first = *lane_of.entry(name).or_insert(lane);
            ensure!(
                first == lane,
                "{package} has tests/{name}.rs as another package has: both would run twice"
            );
        }
    }
    Ok(())
}

/// Tests that run beside others; what they say is shown at their end.
struct Aside {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Aside {
    fn start(mut tests: Command, name: &'static str) -> Result<Self> {
        let log = target_dir()?.join(name.replace(' ', "-")).with_extension("log");
        let out = File::create(&log).with_context(|| log.display().to_string())?;
        let child = tests.stdout(out.try_clone()?).stderr(out).spawn().context("cargo test")?;
        Ok(Self { name, child, log })
    }

    fn end(mut self) -> Result<()> {
        let ended = self.child.wait().context("cargo test")?;
        std::io::copy(&mut File::open(&self.log)?, &mut std::io::stderr())?;
        ensure!(ended.success(), "{} failed, see above and in {}", self.name, self.log.display());
        Ok(())
    }
}

/// The same program, with less of a claim to the processors.
fn niced(program: &Command) -> Command {
    let mut nice = Command::new("nice");
    nice.args(["-n", "10"]).arg(program.get_program());
    nice.current_dir(program.get_current_dir().unwrap_or(std::path::Path::new(".")));
    nice
}
