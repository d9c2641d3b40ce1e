//! The process that is a host's slow cable; see `inside/cable.rs`.

use std::io::{self, BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::binaries;

/// Ends on drop, and the ports with it.
#[derive(Debug)]
pub struct Cable(Child);

impl Cable {
    /// Makes the two ports in the networks of `host` and `switch` (first processes); they are down.
    pub fn start(host: u32, switch: u32, name: &str, delay: Duration) -> io::Result<Cable> {
        let (host, switch, delay) = (host.to_string(), switch.to_string(), delay.as_micros().to_string());
        let mut command = Command::new(binaries::testload());
        command.args(["cable", &host, &switch, name, &delay]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut cable = Cable(command.spawn()?);
        let mut said = String::new();
        if let Some(stdout) = cable.0.stdout.take() {
            BufReader::new(stdout).read_line(&mut said)?;
        }
        if said.trim() == "ready" {
            return Ok(cable);
        }
        drop(cable.0.stdin.take());
        if let Some(mut stderr) = cable.0.stderr.take() {
            stderr.read_to_string(&mut said)?;
        }
        Err(io::Error::other(format!("cable of {name}: {}", said.trim())))
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
