//! Names that all clients race to make: one wins.

use std::thread::sleep;
use std::time::Duration;

use anyhow::Result;
use rustix::fs::{Mode, OFlags, mkdirat};
use rustix::io::Errno;

use super::client::Client;
use super::files::WON;
use super::handle::open;
use crate::clock::{Micros, now};
use crate::event::Op;

/// One race in this time.
const EVERY: Micros = 250_000;

pub fn run(client: &mut Client) -> Result<()> {
    let mut last = 0;
    while client.goes_on()? {
        let race = now() / EVERY;
        if race == last {
            // The other one waits for the same moment.
            sleep(Duration::from_micros((race + 1) * EVERY - now().min((race + 1) * EVERY)));
            continue;
        }
        last = race;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        let name = format!("{WON}/{race}");
        let op = Op::Win { name: name.clone() };
        client
            .run(op, &[Errno::EXIST, Errno::NOSPC], |ground| {
                match mkdirat(ground, WON, Mode::from_raw_mode(0o755)) {
                    Ok(()) | Err(Errno::EXIST) => open(ground, &name, flags).map(drop),
                    Err(error) => Err(error),
                }
            })?
            .ok();
    }
    Ok(())
}
