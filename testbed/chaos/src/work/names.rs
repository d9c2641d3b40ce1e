//! Files and folders that come and go, in a folder of each client, which the others list.

use anyhow::Result;
use rustix::fs::{AtFlags, Dir, Mode, OFlags, mkdirat, unlinkat};
use rustix::io::Errno;

use super::client::Client;
use super::handle::open;
use crate::event::Op;

/// Names of each of the two kinds.
const NAMES: u64 = 6;

/// What may be answered without anything being wrong with the mount.
const EXPECTED: &[Errno] = &[Errno::EXIST, Errno::NOENT, Errno::NOTEMPTY, Errno::NOSPC];

pub fn run(client: &mut Client) -> Result<()> {
    let top = client.name.clone();
    let mut made = false;
    while client.goes_on()? {
        if !made {
            let op = Op::MakeDir { name: top.clone() };
            let done = client.run(op, EXPECTED, |g| mkdirat(g, &top, Mode::from_raw_mode(0o755)))?;
            made = matches!(done, Ok(()) | Err(Errno::EXIST));
            continue;
        }
        step(client, &top)?;
    }
    Ok(())
}

fn step(client: &mut Client, top: &str) -> Result<()> {
    let n = client.random.u64(..NAMES);
    let (file, folder) = (format!("{top}/f{n}"), format!("{top}/d{n}"));
    match client.random.u8(..9) {
        0 | 1 => {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
            client.run(Op::Make { name: file.clone() }, EXPECTED, |g| open(g, &file, flags).map(drop))?.ok();
        }
        2 | 3 => {
            let op = Op::Remove { name: file.clone() };
            client.run(op, EXPECTED, |g| unlinkat(g, &file, AtFlags::empty()))?.ok();
        }
        4 | 5 => {
            let op = Op::MakeDir { name: folder.clone() };
            client.run(op, EXPECTED, |g| mkdirat(g, &folder, Mode::from_raw_mode(0o755)))?.ok();
        }
        6 | 7 => {
            let op = Op::RemoveDir { name: folder.clone() };
            client.run(op, EXPECTED, |g| unlinkat(g, &folder, AtFlags::REMOVEDIR))?.ok();
        }
        _ => list(client)?,
    }
    Ok(())
}

/// Of its own folder, or another one's.
fn list(client: &mut Client) -> Result<()> {
    let name = client.some_peer();
    let own = name == client.name;
    let failed = Op::List { name: name.clone(), seen: Vec::new() };
    let done = client.observe(failed, |ground| {
        let mut seen = Vec::new();
        let dir = match open(ground, &name, OFlags::RDONLY | OFlags::DIRECTORY) {
            // Not made yet.
            Err(Errno::NOENT) if !own => return Ok(Op::List { name: name.clone(), seen }),
            opened => Dir::new(opened?)?,
        };
        for entry in dir {
            let entry = entry?.file_name().to_string_lossy().into_owned();
            if entry != "." && entry != ".." {
                seen.push(format!("{name}/{entry}"));
            }
        }
        seen.sort();
        Ok(Op::List { name: name.clone(), seen })
    })?;
    done.map(drop).or(Ok(()))
}
