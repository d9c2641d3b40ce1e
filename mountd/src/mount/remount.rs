//! `mount -o remount`. mount(8) would do it alone, were there no helper: for a type `fuse.rfs` without a helper of its own it
//! calls the `mount.fuse` of libfuse, which can only mount anew.

use std::path::Path;
use std::process::ExitCode;

use super::cli::Cli;
use super::options::MountOptions;
use super::point;

/// Gives a mount new flags of mount(2). Our own options stay as they were when it was mounted.
#[must_use]
pub fn run(cli: &Cli) -> ExitCode {
    match remount(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("rfs: {why}");
            ExitCode::FAILURE
        }
    }
}

fn remount(cli: &Cli) -> Result<(), String> {
    let options = MountOptions::parse(cli.options.iter().map(String::as_str))?;
    let given = cli.point.as_deref().unwrap_or(Path::new(&cli.what));
    let point = point::absolute(given).map_err(|unfit| unfit.to_string())?;
    if !point::is_ours(&point) {
        return Err(format!("no volume is mounted on {}", point.display()));
    }
    // Of FUSE's own options the kernel takes none at a remount.
    rustix::mount::mount_remount(&point, options.flags, "")
        .map_err(|error| format!("cannot remount {}: {error}", point.display()))
}
