//! The way to a mount, and back: the command line, the mount point, the background, the kernel.

mod background;
mod cli;
mod guardian;
mod kernel;
mod local;
mod logging;
mod network;
mod options;
mod point;
mod remount;
mod serve;
mod signals;
mod source;

use std::process::ExitCode;

pub use cli::{Cli, command};
pub use local::{EMBEDDED_DIR, SOCKET};
pub use options::MountOptions;
pub use source::{Source, SourceError};

/// The whole program.
#[must_use]
pub fn main() -> ExitCode {
    match cli::from_environment() {
        cli::Wanted::Mount(cli) => serve::run(*cli),
        cli::Wanted::Remount(cli) => remount::run(&cli),
        cli::Wanted::Nothing => ExitCode::SUCCESS,
        cli::Wanted::Refused(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}
