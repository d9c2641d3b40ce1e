//! PostgreSQL: made, loaded and worked on while leaders die, then its machine dies with the leader.

use std::path::PathBuf;
use std::time::Duration;

use rfs_cluster::trial::HEALS;
use rfs_cluster::{Host, MOUNT, Replica, Signal, Spawned, holds_within, scaled, until};

use super::{does_while_a_leader_dies, kill_leader_at, site};

/// Of its socket, in the host's own `/run`.
const SOCKET: &str = "/run/pg";
const DATA: &str = "/mnt/rfs/pg";
const SOON: Duration = Duration::from_secs(120);

struct Postgres<'r> {
    r: &'r Replica,
    bin: PathBuf,
}

#[test]
fn a_database_loses_nothing_when_leaders_and_its_machine_die() {
    let r = site();
    let pg = Postgres { r: &r, bin: programs() };
    pg.prepare();
    let made = r.cluster["client"].path(DATA).join("base/1");
    does_while_a_leader_dies(&r, &pg.as_postgres("initdb -A trust -k --locale=C -E UTF8 -D .", ""), || {
        made.is_dir()
    });
    let server = pg.start();
    pg.bench();
    let acknowledged = pg.dies_at_work(server);
    let server = pg.start();
    pg.check(acknowledged);
    pg.stop(server);
    // Every page of it has a sum.
    pg.client().run_within(&["sh", "-c", &pg.as_postgres("pg_checksums --check -D .", "")], SOON).ok();
    r.healed(HEALS);
    r.trees_equal();
}

/// Where Debian keeps them.
fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL is installed");
    let bins = versions.flatten().map(|version| version.path().join("bin"));
    bins.filter(|bin| bin.join("initdb").is_file()).max().expect("PostgreSQL has programs")
}

impl Postgres<'_> {
    fn client(&self) -> &Host {
        &self.r.cluster["client"]
    }

    /// It refuses to be root.
    fn prepare(&self) {
        let own = format!("mkdir -p {SOCKET} {DATA} && chown postgres: {SOCKET} {DATA} && chmod 700 {DATA}");
        self.client().sh(&own).ok();
    }

    /// A line of shell that runs one of its programs, in the folder of its data; `before` feeds it.
    fn as_postgres(&self, program: &str, before: &str) -> String {
        let user = "setpriv --reuid postgres --regid postgres --init-groups";
        let home = format!("env PGHOST={SOCKET} PGUSER=postgres");
        format!("cd {DATA} && {before} {home} {user} {}/{program}", self.bin.display())
    }

    #[track_caller]
    fn run(&self, program: &str) -> String {
        let ran = self.client().run_within(&["sh", "-c", &self.as_postgres(program, "")], SOON);
        println!("{:?}: {program}", ran.took);
        ran.ok()
    }

    #[track_caller]
    fn query(&self, sql: &str) -> String {
        self.run(&format!("psql -qAtX -v ON_ERROR_STOP=1 -d postgres -c \"{sql}\"")).trim().to_owned()
    }

    #[track_caller]
    fn start(&self) -> Spawned {
        let program = format!("postgres -D . -k {SOCKET} -c listen_addresses= -c fsync=on");
        let mut server = self.client().spawn("postgres", &["sh", "-c", &self.as_postgres(&program, "")]);
        let ready = || self.client().sh(&self.as_postgres("pg_isready -q", "")).success();
        let started = holds_within(SOON, || server.ended().is_some() || ready());
        assert!(started && server.ended().is_none(), "{}", server.output());
        server
    }

    #[track_caller]
    fn stop(&self, mut server: Spawned) {
        self.run("pg_ctl stop -D . -m fast");
        assert_eq!(server.wait(SOON), 0, "{}", server.output());
    }

    /// No transaction may fail, and the books must balance.
    #[track_caller]
    fn bench(&self) {
        self.run("pgbench -i -q -s 1 postgres");
        let seconds = scaled(8, 60);
        let work = self.as_postgres(&format!("pgbench -c 4 -T {seconds} -P 1 postgres"), "");
        let mut work = self.client().spawn("pgbench", &["sh", "-c", &work]);
        let log = self.client().folder().join("pgbench.log");
        let said = || std::fs::read_to_string(&log).unwrap_or_default();
        kill_leader_at(self.r, &mut work, || said().contains("progress: 2"));
        assert_eq!(work.wait(SOON), 0, "{}", work.output());
        let output = work.output();
        assert!(output.contains("number of failed transactions: 0 "), "{output}");
        let done = output.lines().find_map(|l| l.strip_prefix("number of transactions actually processed: "));
        assert_eq!(done, Some(self.query("select count(*) from pgbench_history").as_str()), "{output}");
        self.balances();
        println!("pgbench: {done:?} transactions");
    }

    #[track_caller]
    fn balances(&self) {
        let sums = self.query(
            "select (select sum(abalance) from pgbench_accounts), (select sum(bbalance) from pgbench_branches), \
             (select sum(tbalance) from pgbench_tellers), (select coalesce(sum(delta), 0) from pgbench_history)",
        );
        let sums: Vec<&str> = sums.split('|').collect();
        assert!(sums.len() == 4 && sums.iter().all(|sum| *sum == sums[0]), "{sums:?}");
    }

    /// Rows go in, one a transaction, until the machine loses its power and the leader dies. Returns the last one that was
    /// acknowledged.
    #[track_caller]
    fn dies_at_work(&self, server: Spawned) -> u64 {
        self.query("create table acked (n bigint primary key, text text)");
        let rows = "seq 1 1000000 | sed \"s/.*/insert into acked values (&, repeat('x', & % 3000)) returning n;/\" |";
        let work = self
            .as_postgres("psql -qAtX -v ON_ERROR_STOP=1 -d postgres", rows)
            .replace("setpriv", "stdbuf -oL setpriv");
        let work = self.client().spawn("rows", &["sh", "-c", &work]);
        let last =
            || work.output().lines().filter_map(|line| line.parse::<u64>().ok()).next_back().unwrap_or(0);
        until("rows are acknowledged", SOON, || last() >= scaled(300, 3000));
        let leader = self.r.leader();
        self.client().power_cut();
        self.r.cluster[leader].stop_brickd(Signal::KILL);
        let acknowledged = last();
        drop(server);
        self.r.cluster[leader].start_brickd();
        self.client().sh(&format!("umount -l {MOUNT} || true")).ok();
        until("the old mount is gone", HEALS, || self.client().mounts("fuse.rfs").is_empty());
        self.r.mount("client");
        self.client().sh(&format!("mkdir -p {SOCKET} && chown postgres: {SOCKET}")).ok();
        acknowledged
    }

    /// All that was acknowledged is there, whole, and nothing that was not asked for.
    #[track_caller]
    fn check(&self, acknowledged: u64) {
        let rows: u64 = self.query("select count(*) from acked").parse().expect("a number");
        assert!(rows >= acknowledged, "{rows} rows of {acknowledged} acknowledged ones");
        let wrong = self.query("select count(*) from acked where length(text) <> n % 3000");
        assert_eq!((wrong.as_str(), self.query("select max(n) from acked")), ("0", rows.to_string()));
        self.balances();
        self.run("pg_amcheck --install-missing --heapallindexed -d postgres");
        println!("PostgreSQL: {rows} rows after the crash, {acknowledged} acknowledged");
    }
}
