//! A name for each client, of which there is always a complete version: written beside it, and renamed over it.

use std::os::fd::OwnedFd;

use anyhow::Result;
use rustix::fs::{AtFlags, OFlags, fsync, renameat, unlinkat};
use rustix::io::Errno;

use super::client::Client;
use super::handle::{close, open, read_file, write_once};
use crate::event::Op;
use crate::format;

pub fn run(client: &mut Client) -> Result<()> {
    let mut version = 0;
    while client.goes_on()? {
        if client.one_in(2) {
            look(client)?;
        } else {
            version += 1;
            replace(client, version)?;
        }
    }
    Ok(())
}

/// Programs that want the new version to survive a loss of power say so; others get one version or the other.
fn replace(client: &mut Client, version: u64) -> Result<()> {
    let (name, sync) = (client.name.clone(), !client.one_in(3));
    let beside = format!("{name}.{version}");
    let bytes = format::whole(&name, version);
    let op = Op::Replace { name: name.clone(), version };
    let done = client.run(op, &[Errno::NOSPC], |ground| {
        write_beside(ground, &beside, &bytes, sync)?;
        renameat(ground, &beside, ground, &name)
    })?;
    if done == Err(Errno::NOSPC) {
        // What was written beside it takes room that others wait for. Its name is not looked at by anybody.
        let remove = Op::Remove { name: beside.clone() };
        let gone = |ground: &OwnedFd| match unlinkat(ground, &beside, AtFlags::empty()) {
            Err(Errno::NOENT) => Ok(()),
            other => other,
        };
        client.run(remove, &[Errno::NOSPC], gone)?.ok();
    }
    Ok(())
}

fn write_beside(ground: &OwnedFd, beside: &str, bytes: &[u8], sync: bool) -> Result<(), Errno> {
    let file = open(ground, beside, OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL)?;
    for part in bytes.chunks(7000) {
        write_once(&file, part)?;
    }
    if sync {
        fsync(&file)?;
    }
    close(file)
}

fn look(client: &mut Client) -> Result<()> {
    let name = client.some_peer();
    let failed = Op::Look { name: name.clone(), seen: 0, wrong: None };
    let done = client.observe(failed, |ground| {
        let (seen, wrong) = match read_file(ground, &name) {
            Ok(bytes) => match format::version(&name, &bytes) {
                Ok(version) => (version, None),
                Err(why) => (0, Some(why)),
            },
            // Not made yet; the checker knows whether that can be.
            Err(Errno::NOENT) => (0, None),
            Err(error) => return Err(error),
        };
        Ok(Op::Look { name: name.clone(), seen, wrong })
    })?;
    done.map(drop).or(Ok(()))
}
