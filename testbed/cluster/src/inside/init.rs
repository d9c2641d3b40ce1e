//! The first process of a host. It owns the namespaces; when it ends, the kernel kills and removes all that is in them.
//!
//! `hold` makes the namespaces and starts `init` in them. Both live until their standard input ends, which is a pipe from
//! the test: so they end with the test, however that ends.

use std::io::{self, Read, Write};
use std::process::Command;

use rustix::thread::UnshareFlags;

use super::root;
use crate::holder::Plan;

/// Makes the namespaces, starts `init` and stays until it ends.
pub fn hold(plan: &str) -> io::Result<i32> {
    let flags = UnshareFlags::NEWNS | UnshareFlags::NEWUTS | UnshareFlags::NEWNET | UnshareFlags::NEWPID;
    // SAFETY: this process has one thread and shares its descriptors with none.
    unsafe { rustix::thread::unshare_unsafe(flags)? };
    let mut init = Command::new(std::env::current_exe()?).args(["init", plan]).spawn()?;
    // Its pid as the machine sees it; the other line, that it is ready, comes from init itself.
    println!("pid {}", init.id());
    Ok(init.wait()?.code().unwrap_or(1))
}

/// The host's first process: builds its view of the machine, then adopts and buries orphans.
pub fn init(plan: &str) -> io::Result<i32> {
    // SAFETY: no handler is installed; children that end are reaped by the kernel.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
    let plan: Plan = serde_json::from_slice(&std::fs::read(plan)?)?;
    rustix::system::sethostname(plan.host.as_bytes())?;
    root::build(&plan)?;
    println!("ready");
    io::stdout().flush()?;
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(0)
}
