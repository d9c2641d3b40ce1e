//! What happens on the other side: code of the program `rfs-testload`, which runs inside the hosts.

pub mod cable;
pub mod door;
pub mod init;
pub mod load;
pub mod mix;
pub mod pace;
pub mod root;
pub mod watch;

use std::io;
use std::time::Duration;

/// Runs one subcommand; returns the exit code.
pub fn main(args: &[String]) -> io::Result<i32> {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match *words.as_slice() {
        ["hold", plan] => init::hold(plan),
        ["init", plan] => init::init(plan),
        ["enter", door, pid, ref command @ ..] => door::enter(door, pid, command),
        ["cable", host, switch, name, delay_us] => {
            cable::cable(host, switch, name, Duration::from_micros(number(delay_us)?))
        }
        ["append", path, stop] => load::append(path.as_ref(), stop.as_ref()),
        ["reread", path, stop] => load::reread(path.as_ref(), stop.as_ref()),
        ["overwrite", path, stop] => pace::overwrite(path.as_ref(), stop.as_ref(), false),
        ["overwrite-sync", path, stop] => pace::overwrite(path.as_ref(), stop.as_ref(), true),
        ["probe", path, stop] => pace::probe(path.as_ref(), stop.as_ref()),
        ["mix", folder, seconds, rate] => mix::mix(folder.as_ref(), number(seconds)?, number(rate)?),
        _ => Err(io::Error::other(format!("rfs-testload: no such subcommand: {}", words.join(" ")))),
    }
}

fn number(word: &str) -> io::Result<u64> {
    word.parse().map_err(|_| io::Error::other(format!("not a number: {word}")))
}
