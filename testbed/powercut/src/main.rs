//! Power cuts of bricks on recorded block devices: docs/testing/powercut.md.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "rfs-powercut", about)]
struct Args {
    #[command(subcommand)]
    inside: Option<Inside>,
}

/// What the program starts of itself.
#[derive(Subcommand)]
enum Inside {
    /// Serves a recorded device
    #[command(hide = true)]
    Serve { image: PathBuf, record: PathBuf },
}

fn main() -> anyhow::Result<()> {
    match Args::parse().inside {
        Some(Inside::Serve { image, record }) => Ok(rfs_powercut::device::serve::serve(&image, &record)?),
        None => anyhow::bail!("nothing to do"),
    }
}
