//! The client processes of a run.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Result;
use rfs_cluster::{MOUNT, Replica, Spawned, wait};

use super::Options;
use crate::check::{Rule, Violation};
use crate::clock::now;
use crate::nemesis::Field;
use crate::work;

/// Once they are told to, clients end when their last operation is answered.
const ENDS: Duration = Duration::from_secs(90);

/// Those that run.
pub struct Clients {
    running: Vec<Spawned>,
    /// Each one's name and host.
    names: Vec<(String, String)>,
    stop: PathBuf,
}

impl Clients {
    /// One of each kind on each client.
    ///
    /// # Errors
    /// A file of an earlier run cannot be removed.
    pub fn start(options: &Options, replica: &Replica, field: &Field) -> Result<Clients> {
        let stop = options.folder.join("stop");
        if stop.exists() {
            fs::remove_file(&stop)?;
        }
        let mut clients = Clients { running: Vec::new(), names: Vec::new(), stop };
        for (at, kind) in work::KINDS.into_iter().enumerate() {
            let names: Vec<String> = field.clients.iter().map(|host| format!("{kind}-{host}")).collect();
            for (number, (host, name)) in field.clients.iter().zip(&names).enumerate() {
                let seed = options.seed.wrapping_mul(1000) + (at * 10 + number) as u64;
                clients.begin(options, replica, host, [kind, name, &names.join(","), &seed.to_string()]);
            }
        }
        Ok(clients)
    }

    fn begin(&mut self, options: &Options, replica: &Replica, host: &str, words: [&str; 4]) {
        let [kind, name, peers, seed] = words;
        let (history, stop) = (options.history_of(name), &self.stop);
        let (history, stop) = (history.display().to_string(), stop.display().to_string());
        let command =
            ["rfs-chaos", "client", kind, name, "--peers", peers, "--mount", MOUNT, "--history", &history];
        let command = [&command[..], &["--stop", &stop, "--seed", seed]].concat();
        let command = if options.patient { [&command[..], &["--patient"]].concat() } else { command };
        self.running.push(replica.cluster[host].spawn(name, &command));
        self.names.push((name.to_owned(), host.to_owned()));
    }

    /// Name and host of each.
    #[must_use]
    pub fn names(&self) -> &[(String, String)] {
        &self.names
    }

    /// Tells them to end, and waits for it.
    pub fn stop(&mut self) -> Vec<Violation> {
        let mut found = Vec::new();
        let mut accuse = |text: String| found.push(Violation::new(Rule::NotHealed, now(), text));
        if let Err(error) = fs::write(&self.stop, "") {
            accuse(format!("{}: {error}", self.stop.display()));
        }
        let begun = Instant::now();
        for (client, (name, _)) in self.running.iter_mut().zip(&self.names) {
            match wait::poll(ENDS.saturating_sub(begun.elapsed()), || client.ended()) {
                Some(0) => {}
                Some(code) => accuse(format!("{name}: exit {code}: {}", client.output())),
                None => accuse(format!("{name} hangs")),
            }
        }
        found
    }
}
