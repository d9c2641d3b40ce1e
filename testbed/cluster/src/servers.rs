//! The daemon on a host.

use std::time::Duration;

use rustix::process::Signal;

use crate::host::Host;
use crate::processes;
use crate::ran::Ran;
use crate::spawned::Spawned;
use crate::wait::poll;

/// The daemon's command name.
pub const BRICKD: &str = "rfs-brickd";

/// The mount's command name.
pub const MOUNTD: &str = "rfs-mountd";

const STARTS: Duration = Duration::from_secs(30);

impl Host {
    /// Starts the daemon; returns once it answers. Panics, with its log, when it does not.
    #[track_caller]
    pub fn start_brickd(&self) {
        self.start_brickd_with(&[], &[]);
    }

    /// The same with more arguments and environment.
    #[track_caller]
    pub fn start_brickd_with(&self, args: &[&str], env: &[(&str, &str)]) {
        self.try_start_brickd(args, env).unwrap_or_else(|why| panic!("{why}"));
    }

    /// The same, where it may not come to answer.
    ///
    /// # Errors
    /// What it said, and where each of its threads stands. It is killed then.
    pub fn try_start_brickd(&self, args: &[&str], env: &[(&str, &str)]) -> Result<(), String> {
        let argv: Vec<&str> = [&["/usr/local/sbin/rfs-brickd"], args].concat();
        let clock = self.clock_env();
        let clock = clock.iter().map(|(name, value)| (*name, value.as_str()));
        let env: Vec<(&str, &str)> = clock.chain(env.iter().copied()).collect();
        let mut daemon = self.spawn_with(BRICKD, &argv, &env);
        let answers = poll(STARTS, || match daemon.ended() {
            Some(code) => Some(Err(code)),
            None => self.tools(&["peer", "status"]).success().then_some(Ok(())),
        });
        if answers != Some(Ok(())) {
            let pids = self.pids(BRICKD);
            let stands: String = pids.iter().copied().map(processes::stands).collect();
            let said = daemon.output();
            pids.iter().for_each(|pid| processes::signal(*pid, Signal::KILL));
            return Err(format!("{}: rfs-brickd {answers:?}\n{said}{stands}", self.name()));
        }
        *self.daemon() = Some(daemon);
        Ok(())
    }

    /// Takes a daemon for this host's that was started in another way; one that may have ended.
    pub fn keep_daemon(&self, daemon: Spawned) {
        *self.daemon() = Some(daemon);
    }

    /// Ends the daemon with TERM or KILL; returns its exit code.
    #[track_caller]
    pub fn stop_brickd(&self, signal: Signal) -> i32 {
        self.kill(signal, BRICKD);
        let daemon = self.daemon().take();
        daemon.map_or(0, |mut daemon| daemon.wait(Duration::from_secs(10)))
    }

    /// Ends the daemon in good order.
    #[track_caller]
    pub fn stop_brickd_gracefully(&self) {
        let code = self.stop_brickd(Signal::TERM);
        assert_eq!(code, 0, "{}: exit code after SIGTERM\n{}", self.name(), self.log_tails(20));
    }

    /// Runs `rfs-tools` here.
    #[track_caller]
    #[must_use]
    pub fn tools(&self, args: &[&str]) -> Ran {
        self.run_within(&[&["rfs-tools"], args].concat(), Duration::from_secs(30))
    }
}
