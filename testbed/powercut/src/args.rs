//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use rfs_powercut::site::{BRICKS, FileSystem};

/// Cuts the power of bricks on recorded block devices, and looks at what comes back. Needs root, /dev/fuse and loop
/// devices.
#[derive(Parser)]
#[command(name = "cargo xtask powercut", args_conflicts_with_subcommands = true)]
pub struct Args {
    /// How many cuts
    #[arg(long, default_value_t = 100)]
    pub cuts: u64,
    /// What the bricks lie on; `both`: one on each
    #[arg(long, value_enum, default_value_t = Fs::Both)]
    pub fs: Fs,
    /// Only cuts of one brick, while the other one and the client go on
    #[arg(long, conflicts_with = "both")]
    pub one: bool,
    /// Only cuts of everything at once. Neither of the two: one cut in five is of one brick
    #[arg(long)]
    pub both: bool,
    /// Of the work, and of the cuts; each 100 cuts are of a new recording, with the next seed
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// The volume's option `sync`: `always`, or the default, 100 ms
    #[arg(long, value_enum, default_value_t = Sync::Interval)]
    pub sync: Sync,
    /// Leaves it to the kernel when dirty pages go to the disks, instead of pushing them out at random
    #[arg(long)]
    pub calm: bool,
    /// How long the work is recorded
    #[arg(long, default_value_t = 20)]
    pub seconds: u64,
    /// Cuts at the same time
    #[arg(long, default_value_t = 2)]
    pub side_by_side: usize,
    /// Keeps the recording, and the logs of cuts that failed, in this folder
    #[arg(long)]
    pub keep: Option<PathBuf>,
    /// Takes the recording from this folder
    #[arg(long)]
    pub from: Option<PathBuf>,
    /// The cut of this number alone
    #[arg(long)]
    pub only: Option<u64>,
    /// Disks that forget what they flushed in the last two seconds: shows that losses are noticed
    #[arg(long)]
    pub lie: bool,
    /// Figures as JSON
    #[arg(long)]
    pub json: bool,
    #[command(subcommand)]
    pub inside: Option<Inside>,
}

/// File systems of the bricks.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Fs {
    Ext4,
    Xfs,
    Both,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Sync {
    Interval,
    Always,
}

impl Fs {
    pub fn kinds(self) -> [FileSystem; BRICKS] {
        match self {
            Fs::Ext4 => [FileSystem::Ext4; BRICKS],
            Fs::Xfs => [FileSystem::Xfs; BRICKS],
            Fs::Both => [FileSystem::Ext4, FileSystem::Xfs],
        }
    }
}

/// What the program starts of itself.
#[derive(Subcommand)]
pub enum Inside {
    /// Serves a recorded device
    #[command(hide = true)]
    Serve { image: PathBuf, record: PathBuf },
    /// Works on a mount until a file exists
    #[command(hide = true)]
    Work { seed: u64, top: PathBuf, logs: PathBuf, stop: PathBuf, most: u64, done: Vec<usize> },
}

impl Args {
    /// How many cuts of one brick, and how many of everything.
    pub fn shares(&self) -> (u64, u64) {
        match (self.one, self.both || self.from.is_some()) {
            (true, _) => (self.cuts, 0),
            (_, true) => (0, self.cuts),
            _ => (self.cuts / 5, self.cuts - self.cuts / 5),
        }
    }

    /// Where what is kept of a recording lies.
    pub fn folder(&self, seed: u64) -> PathBuf {
        let temporary = || std::env::temp_dir().join(format!("rfs-powercut-{}", std::process::id()));
        let one = || self.keep.clone().unwrap_or_else(temporary).join(format!("seed-{seed}"));
        self.from.clone().unwrap_or_else(one)
    }
}
