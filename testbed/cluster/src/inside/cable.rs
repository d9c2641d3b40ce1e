//! A host's cable where it takes time: a port in the host's network, one in the switch's, and this process between them.
//!
//! Both are TAP devices. Frames pass as the kernel hands them over, with what it has left undone (checksums, segments not yet
//! cut): so nothing here depends on what is in them, and long streams cost no more than on a cable of the kernel's own.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, pidfd_open};
use rustix::thread::{ThreadNameSpaceType, move_into_thread_name_spaces};

use crate::relay;
use crate::switch::PORT;

/// Makes both ports, says `ready`, and passes frames until its standard input ends. What the host sends is late by `delay`, what
/// it receives is not: so that is the way from any host to any other.
pub fn cable(host: &str, switch: &str, name: &str, delay: Duration) -> io::Result<i32> {
    let (near, far) = (port(host, PORT)?, port(switch, name)?);
    let (back_near, back_far) = (near.try_clone()?, far.try_clone()?);
    // They end with the process.
    thread::spawn(move || relay::pass(&near, &far, delay));
    thread::spawn(move || relay::pass(&back_far, &back_near, Duration::ZERO));
    println!("ready");
    io::stdout().flush()?;
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(0)
}

/// A TAP device in the network of process `pid`; this thread stays there.
fn port(pid: &str, name: &str) -> io::Result<File> {
    let pid = pid.parse().ok().and_then(Pid::from_raw).ok_or_else(|| io::Error::other("not a pid"))?;
    move_into_thread_name_spaces(
        pidfd_open(pid, PidfdFlags::empty())?.as_fd(),
        ThreadNameSpaceType::NETWORK,
    )?;
    let tap = File::options().read(true).write(true).open("/dev/net/tun")?;
    // SAFETY: all of it may be zero.
    let mut wanted: libc::ifreq = unsafe { std::mem::zeroed() };
    let room = wanted.ifr_name.len() - 1;
    for (to, from) in wanted.ifr_name.iter_mut().take(room).zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    wanted.ifr_ifru.ifru_flags = (libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR) as libc::c_short;
    // SAFETY: the request takes an `ifreq`, which outlives the call.
    done(unsafe { libc::ioctl(tap.as_raw_fd(), libc::TUNSETIFF, &raw mut wanted) })?;
    let undone = libc::TUN_F_CSUM | libc::TUN_F_TSO4 | libc::TUN_F_TSO6;
    // SAFETY: the request takes a number.
    done(unsafe { libc::ioctl(tap.as_raw_fd(), libc::TUNSETOFFLOAD, libc::c_ulong::from(undone)) })?;
    Ok(tap)
}

fn done(answer: libc::c_int) -> io::Result<()> {
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
