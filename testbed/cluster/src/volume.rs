//! A volume on the hosts of a cluster: made, mounted, watched.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use crate::cluster::{Builder, Cluster};
use crate::host::Host;
use crate::ran::Ran;
use crate::servers::MOUNTD;
use crate::tree;
use crate::trial::HEALS;
use crate::wait::{self, until};

/// The volume of these helpers.
pub const VOLUME: &str = "datavol";

/// Where a client mounts it.
pub const MOUNT: &str = "/mnt/rfs";

/// The directory of every brick.
pub const BRICK: &str = "/data/brick";

/// What `heal-status --json` tells of one volume: the keys that scripts may rely on.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct HealStatus {
    pub volume: String,
    pub state: String,
    pub bricks: Vec<BrickStatus>,
    /// Who holds the witness seat.
    #[serde(default)]
    pub witness: Option<Witness>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Witness {
    pub host: String,
    pub online: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct BrickStatus {
    /// `host:/path`
    pub brick: String,
    pub state: String,
    pub committed: Option<u64>,
    pub applied: Option<u64>,
    pub behind_ops: u64,
    pub behind_bytes: u64,
    pub rate_bytes_per_s: u64,
    pub eta_s: Option<u64>,
    pub online: bool,
}

impl BrickStatus {
    /// The host on which it lies.
    #[must_use]
    pub fn host(&self) -> &str {
        self.brick.split(':').next().unwrap_or_default()
    }
}

/// Servers with a started volume [`VOLUME`], a brick each (or on the first `replica` of them), and clients.
#[derive(Debug)]
pub struct Replica {
    pub cluster: Cluster,
    /// Hosts with a brick.
    pub bricks: Vec<String>,
    /// Hosts with a daemon.
    pub servers: Vec<String>,
}

impl Replica {
    /// Two bricks, and `client`; the client's mount is the witness.
    #[track_caller]
    #[must_use]
    pub fn two() -> Replica {
        Replica::of(Cluster::of(&["server1", "server2", "client"]), 2)
    }

    /// The same, for tests that do not measure waits.
    #[track_caller]
    #[must_use]
    pub fn two_beside_others() -> Replica {
        Replica::of(Cluster::of(&["server1", "server2", "client"]).beside_others(), 2)
    }

    /// Two bricks, a third server that has none and so is the witness, and `client`.
    #[track_caller]
    #[must_use]
    pub fn two_and_witness() -> Replica {
        Replica::of(Cluster::of(&["server1", "server2", "server3", "client"]), 2)
    }

    /// Three bricks, and `client`.
    #[track_caller]
    #[must_use]
    pub fn three() -> Replica {
        Replica::of(Cluster::of(&["server1", "server2", "server3", "client"]), 3)
    }

    /// Hosts called `server*` get a daemon and one pool; the first `bricks` of them a brick.
    #[track_caller]
    #[must_use]
    pub fn of(hosts: Builder, bricks: usize) -> Replica {
        Replica::on(hosts.start(), bricks)
    }

    /// The same on hosts that are there.
    #[track_caller]
    #[must_use]
    pub fn on(cluster: Cluster, bricks: usize) -> Replica {
        let servers: Vec<String> =
            cluster.hosts().map(|h| h.name().to_owned()).filter(|n| n.starts_with("server")).collect();
        for server in &servers {
            cluster[server].start_brickd();
        }
        let first = &cluster["server1"];
        for server in servers.iter().skip(1) {
            first.tools(&["peer", "probe", server]).says("peer probe: success");
        }
        let bricks: Vec<String> = servers.iter().take(bricks).cloned().collect();
        create(first, &bricks);
        first.tools(&["volume", "start", VOLUME]).says("volume start: datavol: success");
        Replica { cluster, bricks, servers }
    }

    /// Mounts the volume at [`MOUNT`], through `server1` with all others behind it.
    #[track_caller]
    pub fn mount(&self, client: &str) {
        self.mount_with(client, &[]);
    }

    /// The same with more options.
    #[track_caller]
    pub fn mount_with(&self, client: &str, options: &[&str]) {
        self.try_mount(client, options).ok();
    }

    /// The same, where it may fail.
    #[track_caller]
    #[must_use]
    pub fn try_mount(&self, client: &str, options: &[&str]) -> Ran {
        let host = &self.cluster[client];
        // What is there already may be a mount that nobody serves any more.
        let _ = host.run(&["mkdir", "-p", MOUNT]);
        let others: Vec<&str> = self.bricks.iter().skip(1).map(String::as_str).collect();
        let backup = format!("backup-volfile-servers={}", others.join(":"));
        let mut all = options.to_vec();
        if !others.is_empty() {
            all.push(&backup);
        }
        let source = format!("server1:/{VOLUME}");
        let clock: Vec<String> = host.clock_env().iter().map(|(k, v)| format!("{k}={v}")).collect();
        let mut argv = vec!["env"];
        argv.extend(clock.iter().map(String::as_str));
        argv.extend(["mount", "-t", "rfs"]);
        let joined = all.join(",");
        if !joined.is_empty() {
            argv.extend(["-o", &joined]);
        }
        argv.extend([&source, MOUNT]);
        host.run(&argv)
    }

    /// Unmounts, and waits until the mount's process is gone: it has handed over everything then.
    #[track_caller]
    pub fn umount(&self, client: &str) {
        let host = &self.cluster[client];
        host.run(&["umount", MOUNT]).ok();
        until("rfs-mountd is gone", Duration::from_secs(30), || host.pids(MOUNTD).is_empty());
    }

    /// The host that leads, once there is one.
    #[track_caller]
    #[must_use]
    pub fn leader(&self) -> &str {
        let found = wait::poll(Duration::from_secs(30), || self.leader_now());
        let name = found.unwrap_or_else(|| panic!("no leader\n{}", self.status_text()));
        self.bricks.iter().find(|b| **b == name).expect("the leader has a brick")
    }

    fn leader_now(&self) -> Option<String> {
        let statuses = self.bricks.iter().filter_map(|b| status(&self.cluster[b]).ok());
        let bricks = statuses.flat_map(|s| s.bricks);
        bricks.into_iter().find(|b| b.state == "leader").map(|b| b.host().to_owned())
    }

    /// One that has a brick and does not lead.
    #[track_caller]
    #[must_use]
    pub fn follower(&self) -> &str {
        let leader = self.leader();
        self.bricks.iter().find(|b| *b != leader).expect("a second brick")
    }

    /// The other one of two bricks.
    #[must_use]
    pub fn other(&self, than: &str) -> &str {
        self.bricks.iter().find(|b| *b != than).expect("a second brick")
    }

    /// Waits until every server says that the volume is healthy.
    #[track_caller]
    pub fn healed(&self, within: Duration) -> Duration {
        let healthy = |server: &String| self.cluster[server].tools(&["heal-status", "--check"]).success();
        let start = std::time::Instant::now();
        let done = wait::holds_within(within, || self.bricks.iter().all(healthy));
        assert!(done, "not healed within {within:?}\n{}", self.status_text());
        start.elapsed()
    }

    /// Waits until the volume is healthy and, with two bricks, somebody holds the witness seat: before that, a crash is
    /// answered by waiting.
    #[track_caller]
    pub fn settled(&self) -> Duration {
        let took = self.healed(HEALS);
        let seated =
            |host: &String| status(&self.cluster[host]).is_ok_and(|s| s.witness.is_some_and(|w| w.online));
        if self.bricks.len() == 2 {
            let seated = wait::holds_within(HEALS, || self.bricks.iter().any(seated));
            assert!(seated, "nobody holds the witness seat\n{}", self.status_text());
            self.healed(HEALS);
        }
        took
    }

    /// Waits until every brick has applied what is committed now, by `heal-status --wait`.
    #[track_caller]
    pub fn heal_wait(&self, server: &str, within: Duration) {
        let seconds = within.as_secs().to_string();
        let argv = ["rfs-tools", "heal-status", "--wait", "--timeout", &seconds];
        self.cluster[server].run_within(&argv, within + Duration::from_secs(10)).ok();
    }

    /// Waits until no brick is behind.
    #[track_caller]
    pub fn caught_up(&self, within: Duration) {
        let behind =
            || status(&self.cluster["server1"]).map_or(true, |s| s.bricks.iter().any(|b| b.behind_ops > 0));
        until("all bricks have applied everything", within, || !behind());
    }

    /// What the servers say, for messages.
    #[must_use]
    pub fn status_text(&self) -> String {
        let said = self.servers.iter().map(|s| format!("{s}: {}\n", self.cluster[s].tools(&["heal-status"])));
        said.collect()
    }

    /// Where the test reaches a brick's file.
    #[must_use]
    pub fn on_brick(&self, host: &str, file: &str) -> PathBuf {
        self.cluster[host].path(BRICK).join(file)
    }

    /// All bricks hold the same tree; waits for the last records to be applied.
    #[track_caller]
    pub fn trees_equal(&self) {
        let Some((first, others)) = self.bricks.split_first() else { return };
        for other in others {
            let compare =
                || tree::differences(&self.cluster[first].path(BRICK), &self.cluster[other].path(BRICK));
            let same = wait::holds_within(Duration::from_secs(15), || compare().is_ok_and(|d| d.is_empty()));
            assert!(same, "the trees of {first} and {other} differ: {:#?}", compare());
        }
    }

    /// A brick's file holds this, at once or within a few seconds.
    #[track_caller]
    pub fn brick_holds(&self, host: &str, file: &str, text: &str) {
        let path = self.on_brick(host, file);
        let read = || std::fs::read_to_string(&path).unwrap_or_default();
        let same = wait::holds_within(Duration::from_secs(5), || read() == text);
        assert!(same, "{host}: {file}: {}", first_difference(&read(), text));
    }

    /// A file of the mount holds this.
    #[track_caller]
    pub fn mount_holds(&self, client: &str, file: &str, text: &str) {
        let ran = self.cluster[client].run(&["cat", &format!("{MOUNT}/{file}")]);
        assert!(ran.success(), "{ran}");
        assert!(ran.stdout == text, "{client}: {file}: {}", first_difference(&ran.stdout, text));
    }
}

#[track_caller]
fn create(on: &Host, bricks: &[String]) {
    let paths: Vec<String> = bricks.iter().map(|host| format!("{host}:{BRICK}")).collect();
    let count = bricks.len().to_string();
    let mut argv = vec!["volume", "create", VOLUME];
    if bricks.len() > 1 {
        argv.extend(["replica", &count]);
    }
    argv.extend(paths.iter().map(String::as_str));
    on.tools(&argv).says("volume create: datavol: success");
}

/// The state of [`VOLUME`] as this host's daemon tells it.
pub fn status(host: &Host) -> Result<HealStatus, String> {
    let ran: Ran = host.tools(&["--json", "heal-status"]);
    let value: serde_json::Value = serde_json::from_str(&ran.stdout).map_err(|e| format!("{e}: {ran}"))?;
    let volumes = match value {
        serde_json::Value::Array(all) => all,
        one => vec![one],
    };
    let parsed = volumes
        .into_iter()
        .map(|v| serde_json::from_value::<HealStatus>(v).map_err(|e| format!("{e}: {ran}")));
    let all = parsed.collect::<Result<Vec<_>, _>>()?;
    all.into_iter().find(|v| v.volume == VOLUME).ok_or_else(|| format!("no {VOLUME}: {ran}"))
}

/// Where two texts part, for a message.
#[must_use]
pub fn first_difference(got: &str, want: &str) -> String {
    let lines = got.lines().zip(want.lines()).take_while(|(g, w)| g == w).count();
    let (g, w) = (got.lines().nth(lines), want.lines().nth(lines));
    format!(
        "{} lines, wanted {}; line {lines} is {g:?}, wanted {w:?}",
        got.lines().count(),
        want.lines().count()
    )
}
