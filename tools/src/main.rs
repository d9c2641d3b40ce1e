use std::process::ExitCode;

use clap::Parser;
use rfs_tools::args::Args;
use rfs_tools::run;

fn main() -> ExitCode {
    // A reader that goes away (`rfs-tools … | head`) ends us quietly, as it does other programs.
    // SAFETY: no other thread runs yet, and the default action is a valid one.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    run::run(&Args::parse())
}
