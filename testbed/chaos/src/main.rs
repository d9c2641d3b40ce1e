//! `cargo xtask chaos`: random faults under real processes.

use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::{Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use rfs_chaos::nemesis::Kind;
use rfs_chaos::report::{self, EVENT_BYTES, Progress};
use rfs_chaos::run::{Options, Shape, all_kinds, run};
use rfs_chaos::work::{Task, work};

/// Clients on two mounts, random faults, and a check of all that the clients saw. Needs root.
#[derive(Parser)]
#[command(name = "rfs-chaos", max_term_width = 100)]
struct Args {
    #[command(subcommand)]
    inside: Option<Inside>,
    /// How long faults go on; healing and checking come after it
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// Decides the schedule of faults and what the clients do [default: another one each time]
    #[arg(long)]
    seed: Option<u64>,
    #[arg(long, value_enum, default_value = "two")]
    shape: Shape,
    /// Only these faults, separated by commas, or none [default: all]
    #[arg(long, value_delimiter = ',')]
    faults: Vec<Choice>,
    /// The table as JSON
    #[arg(long)]
    json: bool,
    /// Keeps histories and logs there, whatever comes of the run
    #[arg(long)]
    keep: Option<PathBuf>,
}

/// A word of `--faults`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Choice {
    /// The clients are left alone.
    Nothing,
    Only(Kind),
}

impl Choice {
    const NOTHING: &str = "none";

    fn word(self) -> &'static str {
        match self {
            Choice::Nothing => Choice::NOTHING,
            Choice::Only(kind) => kind.word(),
        }
    }
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(word: &str) -> Result<Choice, String> {
        if word == Choice::NOTHING { Ok(Choice::Nothing) } else { word.parse().map(Choice::Only) }
    }
}

/// What the words mean together; no word means all.
fn kinds(faults: &[Choice]) -> Result<Vec<Kind>> {
    ensure!(!faults.contains(&Choice::Nothing) || faults.len() == 1, "--faults none goes with no other one");
    let only = |choice: &Choice| match choice {
        Choice::Nothing => None,
        Choice::Only(kind) => Some(*kind),
    };
    Ok(if faults.is_empty() { all_kinds() } else { faults.iter().filter_map(only).collect() })
}

#[derive(Subcommand)]
#[command(hide = true)]
enum Inside {
    /// A client, inside a host
    Client {
        kind: String,
        name: String,
        #[arg(long, value_delimiter = ',')]
        peers: Vec<String>,
        #[arg(long)]
        mount: PathBuf,
        #[arg(long)]
        history: PathBuf,
        #[arg(long)]
        stop: PathBuf,
        #[arg(long)]
        seed: u64,
        #[arg(long)]
        patient: bool,
    },
    /// What is there, seen from inside a host
    Look { name: String, folder: PathBuf },
}

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    match args.inside {
        Some(Inside::Client { kind, name, peers, mount, history, stop, seed, patient }) => {
            work(&Task { kind, name, peers, mount, history, stop, seed, patient })?;
            Ok(ExitCode::SUCCESS)
        }
        Some(Inside::Look { name, folder }) => {
            println!("{}", serde_json::to_string(&rfs_chaos::look::look(&name, &folder)?)?);
            Ok(ExitCode::SUCCESS)
        }
        None => chaos(&args),
    }
}

fn chaos(args: &Args) -> Result<ExitCode> {
    ensure!(rustix::process::geteuid().is_root(), "chaos makes namespaces and mounts: run it as root");
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..1_000_000));
    let folder = args.keep.clone();
    let folder = folder.unwrap_or_else(|| std::env::temp_dir().join(format!("rfs-chaos-{seed}")));
    let kinds = kinds(&args.faults)?;
    let program = std::env::current_exe()?;
    let time = Duration::from_secs_f64(args.minutes * 60.0);
    let options = Options { time, seed, shape: args.shape, kinds, folder, program, patient: true };
    let again = replay(args, seed);
    eprintln!("{again}");
    // Where a panic ends the process, the histories stay.
    let (hook, kept) = (std::panic::take_hook(), options.folder.clone());
    std::panic::set_hook(Box::new(move |why| {
        hook(why);
        eprintln!("histories: {}", kept.display());
    }));
    let outcome = run(&options, &progress_bar(time)?)?;
    let summary = report::summary(&options, &outcome);
    if args.json {
        println!("{}", serde_json::to_string_pretty(&summary)?);
    } else {
        println!("{summary}");
    }
    if summary.violations.is_empty() {
        if args.keep.is_none() {
            std::fs::remove_dir_all(&options.folder).context("remove the histories")?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("histories and logs: {}\n{again}", options.folder.display());
    Ok(ExitCode::FAILURE)
}

fn replay(args: &Args, seed: u64) -> String {
    let shape = format!("{:?}", args.shape).to_lowercase();
    let mut line = format!("cargo xtask chaos --minutes {} --seed {seed} --shape {shape}", args.minutes);
    if !args.faults.is_empty() {
        let faults: Vec<&str> = args.faults.iter().map(|k| k.word()).collect();
        line.push_str(&format!(" --faults {}", faults.join(",")));
    }
    line
}

fn progress_bar(time: Duration) -> Result<impl Fn(&Progress)> {
    let style = ProgressStyle::with_template("{bar:40} {msg}")?;
    let bar = ProgressBar::new(time.as_secs().max(1)).with_style(style);
    Ok(move |progress: &Progress| {
        let left = time.saturating_sub(progress.elapsed).as_secs();
        let operations = progress.bytes / EVENT_BYTES;
        let rate = operations as f64 / progress.elapsed.as_secs_f64().max(1.0);
        bar.set_position(progress.elapsed.as_secs().min(time.as_secs()));
        bar.set_message(format!(
            "{}:{:02} left, {} faults, {rate:.0} operations/s",
            left / 60,
            left % 60,
            progress.faults
        ));
    })
}
