//! `rfs-benches grow`: how what rfs costs grows with what there is.

mod files;
mod latency;
mod mounts;
mod names;
mod part;
mod report;
mod rig;
mod sample;
mod size;
mod time;
mod took;

use std::path::PathBuf;

use anyhow::ensure;
use clap::ValueEnum;

pub use part::{Part, main as part};

use report::Grown;
use rig::Rig;

use crate::disk::Disk;
use crate::machine::Memory;
use crate::placement::Placement;

/// With what it grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Axis {
    /// Bytes of a file
    Size,
    /// Files
    Files,
    /// Names in a directory
    Names,
    /// Machines that mount
    Mounts,
    /// What a message takes on its way
    Latency,
    /// Time under the same load
    Time,
}

/// Command line of `grow`. The programs of rfs are those in `RFS_BIN`; without it they are built as this one was.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only these
    #[arg(long, value_enum, value_delimiter = ',', default_value = "size,files,names,mounts,latency,time")]
    axes: Vec<Axis>,
    /// Which processors each machine has
    #[arg(long, value_enum, default_value_t = Placement::Apart)]
    placement: Placement,
    /// What is done about the machine's memory first
    #[arg(long, value_enum, default_value_t = Memory::Touched)]
    memory: Memory,
    /// What all of it lies on
    #[arg(long, value_enum, default_value_t = Disk::Fresh)]
    disk: Disk,
    /// Print JSON instead of tables
    #[arg(long)]
    json: bool,
    /// Write grow-AXIS.txt, .json and .svg for each axis into this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    amounts: Amounts,
}

/// How much of it.
#[derive(Clone, Debug, clap::Args)]
struct Amounts {
    /// size: KiB of the files
    #[arg(long, value_delimiter = ',', default_value = "4,16,64,256,1024,4096,16384,65536,262144,1048576")]
    sizes_kib: Vec<u64>,
    /// size: MiB in all files of one size, at the least one file and at the most 256
    #[arg(long, default_value_t = 256)]
    each_mib: u64,
    /// files: how many
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1000..))]
    files: u64,
    /// names: in the directory at the end
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(1000..))]
    names: u64,
    /// names: how many times that is doubled from where it begins
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(0..=9))]
    doublings: u32,
    /// names: of which so many are looked at, and as many that are not there
    #[arg(long, default_value_t = 1000)]
    looks: u64,
    /// mounts: how many at a time, up to 4
    #[arg(long, value_delimiter = ',', default_value = "1,2,4", value_parser = clap::value_parser!(u64).range(1..=4))]
    mounts: Vec<u64>,
    /// mounts, latency: seconds of each kind of work
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// latency: milliseconds that each message takes more
    #[arg(long, value_delimiter = ',', default_value = "0,1,10")]
    delays_ms: Vec<u64>,
    /// latency: MiB of the file that is written and read from its beginning to its end
    #[arg(long, default_value_t = 256)]
    stream_mib: u64,
    /// time: how long
    #[arg(long, default_value_t = 60.0)]
    minutes: f64,
    /// time: writes of 4 KiB a second
    #[arg(long, default_value_t = 1000.0)]
    rate: f64,
    /// time: new files a second
    #[arg(long, default_value_t = 10.0)]
    creates: f64,
    /// time: MiB of log that the volume is told to keep
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u64).range(256..))]
    retain_mib: u64,
}

/// Measures along each axis.
pub fn main(args: &Args) -> anyhow::Result<()> {
    ensure!(rustix::process::geteuid().is_root(), "grow makes network namespaces and mounts: it needs root");
    let _made = args.disk.make()?;
    let _kept = args.memory.keep();
    let (mut all, mut texts) = (Vec::new(), Vec::new());
    for axis in &args.axes {
        let (mut grown, rig) = axis.run(args.placement, &args.amounts);
        let (machine, memory, disk) = (args.placement.words(), args.memory.words(), args.disk.words());
        grown.what = format!("{}; {machine}, {memory}, {disk}", grown.what);
        let output = grown.output()?;
        // At once: an hour's work is not to be lost with what comes after it.
        if let Some(out) = &args.out {
            output.write(out, &format!("grow-{}", grown.axis))?;
        }
        // Not before: to remove a million files takes longer than to look at them.
        drop(rig);
        texts.push(output.text);
        all.push(grown);
    }
    println!("{}", if args.json { serde_json::to_string_pretty(&all)? } else { texts.join("\n") });
    Ok(())
}

impl Axis {
    /// What came of it, and the volume, if it is still there.
    fn run(self, placement: Placement, amounts: &Amounts) -> (Grown, Option<Rig>) {
        match self {
            Axis::Size => size::grow(placement, amounts),
            Axis::Files => files::grow(placement, amounts),
            Axis::Names => names::grow(placement, amounts),
            Axis::Mounts => mounts::grow(placement, amounts),
            Axis::Latency => latency::grow(placement, amounts),
            Axis::Time => time::grow(placement, amounts),
        }
    }
}
