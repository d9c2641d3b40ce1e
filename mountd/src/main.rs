//! `rfs-mountd`, also called `mount.rfs` and `mount.fuse.rfs`.

use std::process::ExitCode;

fn main() -> ExitCode {
    rfs_engine::shard::index_check::answer_if_asked();
    rfs_mountd::mount::main()
}
