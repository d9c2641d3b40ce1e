//! `cargo xtask`: what developers and CI run.

mod acceptance;
mod bench;
mod ci;
mod demo;
mod fuzz;
mod manual;
mod measure;
mod packages;
mod profile;
mod prove;
mod run;
mod table;
mod tidy;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Chores of the rfs repository.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    chore: Chore,
}

/// Words for another program.
#[derive(clap::Args)]
struct Rest {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

#[derive(Subcommand)]
enum Chore {
    /// Format, lints, tidy, licences (where cargo-deny is there), tests
    Ci,
    /// All tests of the workspace; installs the programs they need. `--full`: in their long forms
    Test {
        /// Handed on to `cargo test`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<String>,
    },
    /// What no compiler checks: sizes of files, layering, stubs, the top level
    Tidy,
    /// The explicit-state model of the rules: `cargo xtask model --full`
    Model(Rest),
    /// The simulator: `cargo xtask sim --seed 7`
    Sim(Rest),
    /// Random histories and crashes of one brick's tree: `cargo xtask converge --histories 1000`
    Converge(Rest),
    /// Power cuts of bricks on recorded block devices (needs root): `cargo xtask powercut --cuts 100`
    Powercut(Rest),
    /// Random faults under real processes (needs root): `cargo xtask chaos --minutes 60`
    Chaos(Rest),
    /// Flipped bits in every file of a brick (needs root): `cargo xtask rot --rounds 20`
    Rot(Rest),
    /// pjdfstest, fsx and a random model on a mount, beside ext4 (needs root): `cargo xtask posix --full`
    Posix(Rest),
    /// Hostile bytes for parsers and protocol (needs nightly and cargo-fuzz): `cargo xtask fuzz --minutes 10`
    Fuzz(fuzz::Options),
    /// Plays the tutorial, with comments, on three machines made of namespaces (needs root and /dev/fuse)
    Demo {
        /// Wait for a key after each step
        #[arg(long)]
        step: bool,
    },
    /// Figures of the whole, with release binaries, on machines made of namespaces
    Measure {
        #[command(subcommand)]
        what: measure::Measure,
    },
    /// Criterion benches of the hot paths, and how they differ from earlier results
    Bench(bench::Options),
    /// Flame graphs of all processes of a volume while a work runs (needs root and perf): `cargo xtask profile create-4k`
    Profile(profile::Options),
    /// The acceptance scripts, with release binaries
    Acceptance(acceptance::Options),
    /// Installs the programs that tests need (apt-get, cargo), as far as they are missing
    Packages,
    /// Man pages and completions of rfs-tools, rfs-brickd and rfs-mountd
    Manual {
        /// Where to [default: the target folder's `manual`]
        dir: Option<PathBuf>,
    },
    /// Prints the folder that cargo builds in
    TargetDir,
}

fn main() -> anyhow::Result<()> {
    match Args::parse().chore {
        Chore::Ci => ci::ci(),
        Chore::Test { rest } => ci::test(&rest),
        Chore::Tidy => tidy::tidy(&run::root()?),
        Chore::Model(rest) => prove::prove("rfs-checker", &rest.words),
        Chore::Sim(rest) => prove::simulate(&rest.words),
        Chore::Converge(rest) => prove::prove("rfs-converge", &rest.words),
        Chore::Powercut(rest) => prove::prove("rfs-powercut", &rest.words),
        Chore::Chaos(rest) => prove::prove("rfs-chaos", &rest.words),
        Chore::Rot(rest) => prove::prove("rfs-rot", &rest.words),
        Chore::Posix(rest) => {
            packages::third_party(run::cargo)?;
            prove::prove("rfs-posix", &rest.words)
        }
        Chore::Fuzz(options) => fuzz::fuzz(&options),
        Chore::Demo { step } => demo::demo(step),
        Chore::Measure { what } => measure::measure(what),
        Chore::Bench(options) => bench::bench(&options),
        Chore::Profile(options) => profile::profile(&options),
        Chore::Acceptance(options) => acceptance::acceptance(&options),
        Chore::Packages => packages::install(),
        Chore::Manual { dir } => manual::write(dir),
        Chore::TargetDir => {
            println!("{}", run::target_dir()?.display());
            Ok(())
        }
    }
}
