//! Programs that people run, on a mount whose leader dies while they are at it: each test is a row of `docs/semantics.md`.

mod build;
mod copies;
mod editors;
mod git;
mod images;
mod maildir;
mod postgres;
mod sqlite;
mod watch;

use std::time::Duration;

use rfs_cluster::trial::HEALS;
use rfs_cluster::{Host, MOUNT, Replica, Signal, Spawned, until};

/// For what takes long on a machine with much to do.
const LONG: Duration = Duration::from_secs(600);

/// Two bricks, and a mount on a machine of its own.
#[track_caller]
fn site() -> Replica {
    let r = Replica::two_beside_others();
    r.mount("client");
    r.settled();
    r
}

/// Runs a line of shell in the mount's root.
#[track_caller]
fn does(host: &Host, script: &str) -> String {
    let ran = host.run_within(&["sh", "-c", &format!("cd {MOUNT} && {script}")], LONG);
    println!("{:?}: {script}", ran.took);
    ran.ok()
}

/// Runs a line of shell in the root of the client's mount; when `half` of it is done the leader is killed, and comes back. The
/// program must not notice, and neither may anything be missing on a brick.
#[track_caller]
fn does_while_a_leader_dies(r: &Replica, script: &str, half: impl FnMut() -> bool) {
    let script = format!("cd {MOUNT} && {script}");
    let mut work = r.cluster["client"].spawn("program", &["sh", "-c", &script]);
    kill_leader_at(r, &mut work, half);
    assert_eq!(work.wait(LONG), 0, "{script}\n{}", work.output());
    r.healed(HEALS);
    r.trees_equal();
}

/// Kills the leader when `half` of the work is done, and starts it again.
#[track_caller]
fn kill_leader_at(r: &Replica, work: &mut Spawned, mut half: impl FnMut() -> bool) {
    let mut ended = None;
    until("half of the work is done", LONG, || {
        ended = work.ended();
        ended.is_some() || half()
    });
    assert_eq!(ended, None, "it ended before half of it was seen done\n{}", work.output());
    let leader = r.leader();
    r.cluster[leader].stop_brickd(Signal::KILL);
    let still = work.ended();
    r.cluster[leader].start_brickd();
    assert!(still.is_none_or(|code| code == 0), "{}", work.output());
}
