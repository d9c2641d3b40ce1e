//! Sections that exclude each other, and a number that only grows if they do.

use std::os::fd::OwnedFd;
use std::thread::sleep;
use std::time::Duration;

use anyhow::Result;
use rustix::fs::{FlockOperation, OFlags, fcntl_lock, flock};
use rustix::io::{Errno, pread, pwrite};

use super::client::Client;
use super::files;
use super::handle::{close, open, whole};
use crate::event::{LockKind, Op};

/// Digits of the number in the file, filled up with zeroes.
const DIGITS: usize = 12;

pub fn run(client: &mut Client, how: LockKind) -> Result<()> {
    let file = file(how).to_owned();
    let mut handle: Option<OwnedFd> = None;
    while client.goes_on()? {
        let Some(held) = handle.take() else {
            let flags = OFlags::RDWR | OFlags::CREATE;
            handle = client.run(Op::Open { file: file.clone() }, &[], |g| open(g, &file, flags))?.ok();
            continue;
        };
        if section(client, how, &file, &held)? && !client.one_in(20) {
            handle = Some(held);
        } else {
            client.finish(Op::Close { file: file.clone() }, || close(held))?;
        }
    }
    Ok(())
}

/// The file that is locked; the two kinds of lock exclude each other too, but each has a file of its own.
fn file(how: LockKind) -> &'static str {
    match how {
        LockKind::Flock => files::FLOCK,
        LockKind::Fcntl => files::FCNTL,
    }
}

/// Takes the lock, counts, lets go. False: something failed on the handle.
fn section(client: &mut Client, how: LockKind, file: &str, handle: &OwnedFd) -> Result<bool> {
    let waits = client.one_in(4) && client.patient;
    let taken = [Errno::AGAIN, Errno::ACCESS, Errno::INTR];
    let op = Op::Lock { file: file.to_owned(), how };
    match client.run(op, &taken, |_| lock(handle, how, waits))? {
        Err(error) if taken.contains(&error) => return Ok(true),
        Err(_) => return Ok(false),
        Ok(()) => {}
    }
    let counted = client.observe(Op::Count { file: file.to_owned(), read: 0 }, |_| {
        let read = number(handle)?;
        let text = format!("{:0DIGITS$}", read + 1);
        whole(pwrite(handle, text.as_bytes(), 0)?, text.as_bytes())?;
        Ok(Op::Count { file: file.to_owned(), read })
    })?;
    sleep(Duration::from_millis(client.random.u64(..4)));
    client.finish(Op::Unlock { file: file.to_owned(), how }, || lock_op(handle, how, Act::Unlock))?;
    Ok(counted.is_ok())
}

fn lock(handle: &OwnedFd, how: LockKind, waits: bool) -> Result<(), Errno> {
    lock_op(handle, how, if waits { Act::Wait } else { Act::Try })
}

#[derive(Clone, Copy)]
enum Act {
    Wait,
    Try,
    Unlock,
}

fn lock_op(handle: &OwnedFd, how: LockKind, act: Act) -> Result<(), Errno> {
    let operation = match act {
        Act::Wait => FlockOperation::LockExclusive,
        Act::Try => FlockOperation::NonBlockingLockExclusive,
        Act::Unlock => FlockOperation::Unlock,
    };
    match how {
        LockKind::Flock => flock(handle, operation),
        LockKind::Fcntl => fcntl_lock(handle, operation),
    }
}

/// What the file holds; nothing is 0. A text that is no number is as bad as an error of the disk.
fn number(handle: &OwnedFd) -> Result<u64, Errno> {
    let mut text = [0; DIGITS];
    match pread(handle, &mut text, 0)? {
        0 => Ok(0),
        n => std::str::from_utf8(text.get(..n).unwrap_or_default())
            .ok()
            .and_then(|t| t.parse().ok())
            .ok_or(Errno::BADMSG),
    }
}
