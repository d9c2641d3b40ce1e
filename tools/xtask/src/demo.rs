//! The tutorial, played: two servers and a client, made of namespaces on this machine.

use std::io::{BufRead, Write};
use std::time::Duration;

use anyhow::{Result, ensure};
use rfs_cluster::{Cluster, Signal, until};

/// A command as somebody types it on a machine, after a few words on why.
struct Step {
    words: &'static str,
    host: &'static str,
    command: &'static str,
}

const fn step(words: &'static str, host: &'static str, command: &'static str) -> Step {
    Step { words, host, command }
}

const POOL_AND_VOLUME: &[Step] = &[
    step("Two servers become a pool.", "server1", "rfs-tools peer probe server2"),
    step("", "server1", "rfs-tools peer status"),
    step(
        "One directory of each becomes a brick: both will hold the same files.",
        "server1",
        "rfs-tools volume create datavol replica 2 transport tcp server1:/data server2:/data",
    ),
    step("", "server1", "rfs-tools volume start datavol"),
    step(
        "Only the client may mount it.",
        "server1",
        "rfs-tools volume set datavol auth.allow 192.168.199.102",
    ),
    step("", "server2", "rfs-tools volume info datavol"),
    step(
        "The client mounts it; a second server is named, should the first be down.",
        "client",
        "mkdir -p /mnt/data",
    ),
    step("", "client", "mount -t rfs -o backupvolfile-server=server2 server1:/datavol /mnt/data"),
    step("A file that is written there ...", "client", "echo 'Hello replication' >>/mnt/data/test0"),
    step("... is a plain file on both servers.", "server1", "sleep 0.2; cat /data/test0"),
    step("", "server2", "cat /data/test0"),
];

const WITH_ONE_SERVER: &[Step] = &[
    step("server1 is killed. The client goes on.", "client", "echo 'Nobody noticed' >>/mnt/data/test0"),
    step("", "client", "cat /mnt/data/test0"),
    step("", "server2", "rfs-tools heal-status"),
];

const HEALED: &[Step] = &[
    step(
        "server1 is back. What it missed is replayed from the log.",
        "server2",
        "rfs-tools heal-status --wait --timeout 30",
    ),
    step("", "server1", "cat /data/test0"),
    step("", "client", "umount /mnt/data"),
];

pub fn demo(step_by_step: bool) -> Result<()> {
    ensure!(rustix::process::geteuid().is_root(), "the demo makes namespaces and mounts: run it as root");
    println!("Building, and making three machines ...");
    let machines = Cluster::new(&["server1", "server2", "client"]);
    for server in ["server1", "server2"] {
        show(server, "rfs-brickd &");
        machines[server].start_brickd();
    }
    play(&machines, POOL_AND_VOLUME, step_by_step)?;
    until("healthy", Duration::from_secs(30), || {
        machines["server1"].tools(&["heal-status", "--check"]).success()
    });
    show("server1", "kill -9 $(pidof rfs-brickd)");
    machines["server1"].stop_brickd(Signal::KILL);
    play(&machines, WITH_ONE_SERVER, step_by_step)?;
    show("server1", "rfs-brickd &");
    machines["server1"].start_brickd();
    play(&machines, HEALED, step_by_step)?;
    println!("\nThat is all. The machines are taken away again.");
    Ok(())
}

fn play(machines: &Cluster, steps: &[Step], step_by_step: bool) -> Result<()> {
    for step in steps {
        if !step.words.is_empty() {
            println!("\n{}", step.words);
        }
        show(step.host, step.command);
        let ran = machines[step.host].sh(step.command);
        print!("{}{}", ran.stdout, ran.stderr);
        std::io::stdout().flush()?;
        ensure!(ran.success(), "this should have worked: {ran}");
        if step_by_step {
            std::io::stdin().lock().read_line(&mut String::new())?;
        }
    }
    Ok(())
}

fn show(host: &str, command: &str) {
    println!("[root@{host}]# {command}");
}
