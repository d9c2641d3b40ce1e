//! What runs on the machine of a mount: `rfs-benches part`. It makes system calls and says how long they took.

mod files;
mod spin;
mod steady;

use std::ops::Range;
use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};

pub use files::Files;
pub use spin::{Spin, What};
pub use steady::{Steadily, Steady};

/// Command line of `rfs-benches part`.
#[derive(Debug, Subcommand)]
pub enum Part {
    /// One call after the other on many files
    Each {
        what: Each,
        #[command(flatten)]
        files: Files,
    },
    /// Reads the names of a folder
    List { dir: PathBuf },
    /// Does one thing for so long
    Spin(Spin),
    /// A steady mixture, by the clock
    Steady(Steady),
}

/// What is done with each of many files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Each {
    /// create, write, close
    Make,
    Stat,
    /// stat of a name that is not there
    Miss,
    /// open, read, close
    Read,
}

impl Each {
    pub fn word(self) -> String {
        self.to_possible_value().map(|v| v.get_name().to_owned()).unwrap_or_default()
    }

    /// The command line of a part that does it.
    pub fn words(self, dir: &str, files: Range<u64>, more: &[&str]) -> Vec<String> {
        let (from, to) = (files.start.to_string(), files.end.to_string());
        let words = ["each", &self.word(), dir, &from, &to].map(str::to_owned);
        words.into_iter().chain(more.iter().map(|word| (*word).to_owned())).collect()
    }
}

/// Does it, and prints how long it took.
pub fn main(part: &Part) -> anyhow::Result<()> {
    let said = match part {
        Part::Each { what, files } => serde_json::to_string(&files.each(*what)?)?,
        Part::List { dir } => serde_json::to_string(&files::list(dir)?)?,
        Part::Spin(spin) => serde_json::to_string(&spin.run()?)?,
        Part::Steady(steady) => serde_json::to_string(&steady.run()?)?,
    };
    println!("{said}");
    Ok(())
}

/// Numbers that look like chance, and are the same every time.
fn chance(n: u64) -> u64 {
    // splitmix64, by Sebastiano Vigna.
    let mut z = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
