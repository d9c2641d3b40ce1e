//! A file of slots for each client: it writes its own, and reads its own and the others'.

use std::os::fd::OwnedFd;

use anyhow::Result;
use rustix::fs::{OFlags, fdatasync};
use rustix::io::{Errno, pread, pwrite};

use super::client::Client;
use super::handle::{close, open, read_file, whole};
use crate::event::Op;
use crate::format::{self, SLOT, SLOTS};

pub fn run(client: &mut Client) -> Result<()> {
    let (mut handle, mut version) = (None, 0);
    while client.goes_on()? {
        let Some(held) = handle.take() else {
            handle = reopen(client)?;
            continue;
        };
        let good = match client.random.u8(..20) {
            0..12 => {
                version += 1;
                put(client, &held, version)?
            }
            12..14 => sync(client, &held)?,
            14 => false,
            15..17 => read_back(client, &held)?,
            _ => look(client)?,
        };
        if good { handle = Some(held) } else { end(client, held)? }
    }
    match handle {
        Some(last) => end(client, last),
        None => Ok(()),
    }
}

fn reopen(client: &mut Client) -> Result<Option<OwnedFd>> {
    let file = client.name.clone();
    let op = Op::Open { file: file.clone() };
    Ok(client.run(op, &[], |ground| open(ground, &file, OFlags::RDWR | OFlags::CREATE))?.ok())
}

fn put(client: &mut Client, handle: &OwnedFd, version: u64) -> Result<bool> {
    let (file, slot) = (client.name.clone(), client.random.usize(..SLOTS));
    let bytes = format::slot(&file, slot, version);
    let at = (slot * SLOT) as u64;
    let op = Op::Put { file, slot, version };
    Ok(client.run(op, &[], |_| whole(pwrite(handle, &bytes, at)?, &bytes))?.is_ok())
}

fn sync(client: &mut Client, handle: &OwnedFd) -> Result<bool> {
    let file = client.name.clone();
    Ok(client.run(Op::Sync { file }, &[], |_| fdatasync(handle))?.is_ok())
}

fn end(client: &mut Client, handle: OwnedFd) -> Result<()> {
    let file = client.name.clone();
    client.finish(Op::Close { file }, || close(handle))
}

fn read_back(client: &mut Client, handle: &OwnedFd) -> Result<bool> {
    let file = client.name.clone();
    let failed = seen(&file, false, Ok(Vec::new()));
    let done = client.observe(failed, |_| {
        let mut bytes = vec![0; SLOTS * SLOT];
        let mut length = 0;
        while let Some(rest) = bytes.get_mut(length..).filter(|rest| !rest.is_empty()) {
            match pread(handle, rest, length as u64)? {
                0 => break,
                n => length += n,
            }
        }
        bytes.truncate(length);
        Ok(seen(&file, false, format::slots(&file, &bytes)))
    })?;
    Ok(done.is_ok())
}

/// False: the mount is gone.
fn look(client: &mut Client) -> Result<bool> {
    let file = client.some_peer();
    let failed = seen(&file, true, Ok(Vec::new()));
    let done = client.observe(failed, |ground| match read_file(ground, &file) {
        Ok(bytes) => Ok(seen(&file, true, format::slots(&file, &bytes))),
        // Not made yet; the checker knows whether that can be.
        Err(Errno::NOENT) => Ok(seen(&file, true, Ok(vec![0; SLOTS]))),
        Err(error) => Err(error),
    })?;
    Ok(done.is_ok())
}

fn seen(file: &str, fresh: bool, versions: Result<Vec<u64>, String>) -> Op {
    let file = file.to_owned();
    match versions {
        Ok(seen) => Op::Get { file, fresh, seen, wrong: None },
        Err(why) => Op::Get { file, fresh, seen: Vec::new(), wrong: Some(why) },
    }
}
