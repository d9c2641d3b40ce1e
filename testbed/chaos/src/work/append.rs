//! Numbered lines, appended to one file by clients of all mounts.

use std::os::fd::OwnedFd;

use anyhow::Result;
use rustix::fs::{OFlags, fsync};

use super::client::Client;
use super::files::LINES as FILE;
use super::handle::{close, open, read_direct, read_file, write_once};
use crate::event::Op;
use crate::format;

pub fn run(client: &mut Client) -> Result<()> {
    let (mut handle, mut n) = (None, 0);
    while client.goes_on()? {
        if client.one_in(150) && !look(client)? {
            if let Some(last) = handle.take() {
                end(client, last)?;
            }
            continue;
        }
        let Some(open) = handle.take() else {
            handle = reopen(client)?;
            continue;
        };
        n += 1;
        handle = append(client, open, n)?;
    }
    match handle {
        Some(last) => end(client, last),
        None => Ok(()),
    }
}

fn file() -> String {
    FILE.to_owned()
}

fn reopen(client: &mut Client) -> Result<Option<OwnedFd>> {
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE;
    Ok(client.run(Op::Open { file: file() }, &[], |ground| open(ground, FILE, flags))?.ok())
}

/// The handle, as long as nothing failed on it.
fn append(client: &mut Client, handle: OwnedFd, n: u64) -> Result<Option<OwnedFd>> {
    let filling = if client.one_in(20) { client.random.usize(..3000) } else { client.random.usize(..80) };
    let line = format::line(&client.name, n, filling);
    let done = client.run(Op::Append { file: file(), n }, &[], |_| write_once(&handle, line.as_bytes()))?;
    if done.is_err() {
        return end(client, handle).map(|()| None);
    }
    if client.one_in(16) && client.run(Op::Sync { file: file() }, &[], |_| fsync(&handle))?.is_err() {
        return end(client, handle).map(|()| None);
    }
    if client.one_in(40) {
        return end(client, handle).map(|()| None);
    }
    Ok(Some(handle))
}

fn end(client: &mut Client, handle: OwnedFd) -> Result<()> {
    client.finish(Op::Close { file: file() }, || close(handle))
}

/// False: the mount is gone.
fn look(client: &mut Client) -> Result<bool> {
    let (failed, direct) =
        (Op::Lines { file: file(), last: Default::default(), wrong: None }, client.one_in(2));
    let seen = client.observe(failed, |ground| {
        let bytes = if direct { read_direct(ground, FILE)? } else { read_file(ground, FILE)? };
        let (last, wrong) = match format::lines(&bytes) {
            Ok(all) => (all, None),
            Err(why) => (Default::default(), Some(why)),
        };
        let last = last.into_iter().filter_map(|(w, n)| Some((w, *n.last()?))).collect();
        Ok(Op::Lines { file: file(), last, wrong })
    })?;
    Ok(seen.is_ok())
}
