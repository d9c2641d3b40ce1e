//! Volume options that concern mounts hold for those that are made afterwards.

use std::fs::OpenOptions;
use std::io::Write;
use std::time::{Duration, Instant};

use rfs_cluster::servers::BRICKD;
use rfs_cluster::{MOUNT, Replica, Signal, VOLUME};

const BLOCK: usize = 64 * 1024;

/// Writes until that fails: how many bytes were taken, how long the last one waited, and its errno.
fn fill(file: &mut impl Write) -> (usize, Duration, Option<i32>) {
    let (block, mut taken) = (vec![1; BLOCK], 0);
    loop {
        let begun = Instant::now();
        match file.write(&block) {
            Ok(n) => taken += n,
            Err(error) => return (taken, begun.elapsed(), error.raw_os_error()),
        }
    }
}

#[test]
fn window_and_request_timeout_of_the_volume() {
    let r = Replica::two_beside_others();
    let set = |key: &str, value: &str| {
        r.cluster["server1"].tools(&["volume", "set", VOLUME, key, value]).says("volume set: success");
    };
    set("window", "2MiB");
    set("request-timeout", "3s");
    r.mount("client");
    r.cluster["client"].sh(&format!("echo > {MOUNT}/file && sync {MOUNT}/file")).ok();
    let path = r.cluster["client"].path(MOUNT).join("file");
    let mut file = OpenOptions::new().write(true).open(path).expect("open");
    let bricks = |signal: Signal| r.bricks.iter().for_each(|brick| r.cluster[brick].kill(signal, BRICKD));
    bricks(Signal::STOP);
    let (taken, waited, errno) = fill(&mut file);
    bricks(Signal::CONT);
    println!("{taken} bytes taken, the next waited {waited:?}, errno {errno:?}");
    assert_eq!(errno, Some(110), "ETIMEDOUT");
    let window = 2 * 1024 * 1024;
    assert!(taken <= window && taken >= window / 2, "{taken} bytes fit a window of {window}");
    assert!(waited >= Duration::from_millis(2500) && waited < Duration::from_secs(10), "{waited:?}");
}
