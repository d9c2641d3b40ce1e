//! `rfs-mountd`, also called `mount.rfs`.

use std::process::ExitCode;

fn main() -> ExitCode {
    rfs_mountd::mount::main()
}
