//! A few hosts on one network.

use std::collections::BTreeMap;
use std::ops::Index;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{fs, io, thread};

use crate::cable::Cable;
use crate::disk::Disk;
use crate::holder::{Holder, Plan, new_uuid};
use crate::host::Host;
use crate::lock::{self, Company, Turn};
use crate::servers::{BRICKD, MOUNTD};
use crate::switch::{Switch, Wire};
use crate::{binaries, folder, switch};

/// The addresses that the tutorial uses; others count up from 110.
const KNOWN: [(&str, u8); 5] =
    [("server1", 100), ("server2", 101), ("client", 102), ("server3", 103), ("client2", 104)];

/// Where hosts have the programs of their cluster.
pub const PROGRAMS: &str = "/usr/local/sbin";

/// Hosts on a network of their own. Everything is removed on drop, after a panic too; then the ends of the logs are shown
/// first.
#[derive(Debug)]
pub struct Cluster {
    hosts: BTreeMap<String, Host>,
    switch: Switch,
    cables: Vec<Cable>,
    folder: PathBuf,
    _turn: Option<Turn>,
}

/// How a cluster is to be.
#[derive(Debug)]
pub struct Builder {
    hosts: Vec<(String, Disk)>,
    programs: bool,
    clocks: bool,
    delay: Option<Duration>,
    company: Company,
}

impl Builder {
    /// The disk of the bricks of one host.
    #[must_use]
    pub fn disk(mut self, host: &str, disk: Disk) -> Builder {
        let found = self.hosts.iter_mut().find(|(name, _)| name == host);
        found.unwrap_or_else(|| panic!("no host {host}")).1 = disk;
        self
    }

    /// Without the programs of rfs, for tests of the harness itself; and at the same time as other clusters.
    #[must_use]
    pub fn bare(mut self) -> Builder {
        (self.programs, self.company) = (false, Company::Anyone);
        self
    }

    /// Beside other clusters of which this is said: for tests that do not measure how long programs wait.
    #[must_use]
    pub fn beside_others(mut self) -> Builder {
        self.company = Company::Others;
        self
    }

    /// Each host's daemon and mounts get a wall clock that [`Host::set_clock`] moves.
    #[must_use]
    pub fn with_clocks(mut self) -> Builder {
        self.clocks = true;
        self
    }

    /// Whatever a host sends to another takes so long. Zero: on cables of the same kind, without a delay.
    #[must_use]
    pub fn delayed(mut self, delay: Duration) -> Builder {
        self.delay = Some(delay);
        self
    }

    /// Makes the hosts; panics when that fails.
    #[track_caller]
    #[must_use]
    pub fn start(self) -> Cluster {
        let turn = lock::take_turn(self.company);
        self.build(turn).unwrap_or_else(|e| panic!("cluster: {e} (root, iproute2 and util-linux are needed)"))
    }

    fn build(self, turn: Option<Turn>) -> io::Result<Cluster> {
        let programs = self.programs.then(binaries::folder);
        let folder = folder::create()?;
        let bin = folder.join("bin");
        install(programs, &bin)?;
        let switch = Switch::start(&folder.join("switch"))?;
        let mut cluster = Cluster { hosts: BTreeMap::new(), switch, cables: Vec::new(), folder, _turn: turn };
        let names: Vec<String> = self.hosts.iter().map(|(name, _)| name.clone()).collect();
        let how = How { clock: self.clocks, delay: self.delay };
        for (name, disk) in self.hosts {
            let host = host(&mut cluster, &name, disk, &how, &names, &bin)?;
            cluster.hosts.insert(name, host);
        }
        Ok(cluster)
    }
}

impl Cluster {
    /// Hosts with these names and the programs of rfs. Waits until no other cluster exists on this machine: two at once
    /// would spoil each other's times.
    #[track_caller]
    #[must_use]
    pub fn new(hosts: &[&str]) -> Cluster {
        Cluster::of(hosts).start()
    }

    /// The same, with more to say about it.
    #[must_use]
    pub fn of(hosts: &[&str]) -> Builder {
        let hosts = hosts.iter().map(|name| ((*name).to_owned(), Disk::default())).collect();
        Builder { hosts, programs: true, clocks: false, delay: None, company: Company::Alone }
    }

    /// All hosts, by name.
    pub fn hosts(&self) -> impl Iterator<Item = &Host> {
        self.hosts.values()
    }

    /// The cluster's folder, which tests may use too; all hosts see it at the same path.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Gives all hosts another program, as it is now: in [`PROGRAMS`], under that name.
    #[track_caller]
    pub fn lend(&self, program: &Path, name: &str) {
        put(program, &self.folder.join("bin").join(name))
            .unwrap_or_else(|e| panic!("{}: {e}", program.display()));
    }

    /// Takes a host's network away: no answer, no refusal, just silence.
    pub fn cut(&self, host: &str) {
        self.switch.port(self[host].name(), false).expect("take the port down");
    }

    /// Ends [`Cluster::cut`].
    pub fn uncut(&self, host: &str) {
        self.switch.port(self[host].name(), true).expect("take the port up");
    }

    /// Two hosts lose each other, silently, and still see all others.
    pub fn part(&self, a: &str, b: &str) {
        self[a].lose_to(&self[b]);
        self[b].lose_to(&self[a]);
    }

    /// Ends [`Cluster::part`].
    pub fn heal(&self, a: &str, b: &str) {
        self[a].find_again(&self[b]);
        self[b].find_again(&self[a]);
    }

    /// Bytes that a host has sent and received so far.
    #[must_use]
    pub fn wire(&self, host: &str) -> Wire {
        self.switch.wire(self[host].name()).expect("read the counters of the port")
    }
}

impl Cluster {
    /// Where every thread of every daemon stands, for whoever looks into a hang; needs gdb.
    fn keep_stacks(&self) {
        for host in self.hosts.values().filter(|_| kept()) {
            for (program, pid) in
                [BRICKD, MOUNTD].into_iter().flat_map(|p| host.pids(p).into_iter().map(move |n| (p, n)))
            {
                let file = host.folder().join(format!("{program}.{pid}.stacks"));
                let pid = pid.to_string();
                let argv = ["-batch", "-nx", "-p", &pid, "-ex", "thread apply all bt 40"];
                let Ok(gdb) = Command::new("gdb").args(argv).output() else { return };
                let _ = fs::write(&file, gdb.stdout);
                eprintln!("{}: {}", host.name(), file.display());
            }
        }
    }
}

impl Index<&str> for Cluster {
    type Output = Host;

    fn index(&self, name: &str) -> &Host {
        self.hosts.get(name).unwrap_or_else(|| panic!("no host {name}"))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if thread::panicking() {
            for host in self.hosts.values() {
                eprint!("{}", host.log_tails(60));
            }
            self.keep_stacks();
        }
        for host in self.hosts.values() {
            host.let_go();
        }
        self.hosts.clear();
        if !thread::panicking() || !kept() {
            // A mount that is still being torn down may keep a folder busy for a moment.
            let _ = crate::wait::poll(Duration::from_secs(5), || fs::remove_dir_all(&self.folder).ok());
        }
    }
}

/// Whether the folder of a cluster whose test failed is kept, until the next run.
fn kept() -> bool {
    std::env::var_os("RFS_CLUSTER_KEEP").is_some()
}

/// What all hosts of a cluster have, or none.
struct How {
    clock: bool,
    delay: Option<Duration>,
}

fn host(
    cluster: &mut Cluster,
    name: &str,
    disk: Disk,
    how: &How,
    all: &[String],
    programs: &Path,
) -> io::Result<Host> {
    let address = address(name, all);
    let folder = cluster.folder.join(name);
    let plan = Plan {
        host: name.to_owned(),
        folder: folder.clone(),
        programs: programs.to_owned(),
        hosts: hosts_file(all),
        machine_id: new_uuid()?.replace('-', ""),
        data: disk.at_start(),
    };
    let holder = Holder::start(&plan)?;
    match how.delay {
        None => cluster.switch.plug(name, holder.init(), &address)?,
        Some(delay) => {
            cluster.cables.push(cluster.switch.plug_slow(name, holder.init(), &address, delay)?);
        }
    }
    Ok(Host::new(name, address, folder, disk, how.clock, holder))
}

fn address(name: &str, all: &[String]) -> String {
    let known = KNOWN.iter().find(|(known, _)| *known == name).map(|(_, last)| usize::from(*last));
    let last = known.unwrap_or_else(|| 110 + all.iter().position(|n| n == name).unwrap_or(0));
    format!("{}.{last}", switch::NETWORK)
}

fn hosts_file(all: &[String]) -> String {
    let lines = all.iter().map(|name| format!("{} {name}\n", address(name, all)));
    std::iter::once("127.0.0.1 localhost\n".to_owned()).chain(lines).collect()
}

/// The programs, under their names, in a folder of this cluster: a later build must not change what runs.
fn install(programs: Option<&Path>, bin: &Path) -> io::Result<()> {
    fs::create_dir_all(bin)?;
    let rfs = programs.into_iter().flat_map(|folder| binaries::PROGRAMS.map(|name| folder.join(name)));
    for from in rfs.chain([binaries::testload().to_owned()]) {
        put(&from, &bin.join(from.file_name().unwrap_or_default()))?;
    }
    Ok(())
}

fn put(from: &Path, to: &Path) -> io::Result<()> {
    fs::hard_link(from, to).or_else(|_| fs::copy(from, to).map(drop))
}
