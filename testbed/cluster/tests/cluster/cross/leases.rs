//! Files that are made at once, in a directory that only one mount changes; and what the other mount sees of that.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use rfs_cluster::servers::{BRICKD, MOUNTD};
use rfs_cluster::trial::HEALS;
use rfs_cluster::{MOUNT, Signal, scaled, until};

use super::Pair;
use super::round_trips::requests;

/// A directory in which the first mount has made a file, and so has the lease.
fn leased(pair: &Pair, name: &str) {
    fs::create_dir(pair.here(name)).unwrap();
    fs::write(pair.here(&format!("{name}/first")), "first").unwrap();
}

#[test]
fn a_new_file_costs_one_wait() {
    const FILES: u64 = 100;
    let pair = Pair::new();
    leased(&pair, "d");
    let before = requests(&pair.r.cluster["client"]);
    for n in 0..FILES {
        let mut file = File::create_new(pair.here(&format!("d/f{n}"))).unwrap();
        file.write_all(b"some data").unwrap();
    }
    let after = requests(&pair.r.cluster["client"]);
    let asked = |kind: &str| after.get(kind).unwrap_or(&0) - before.get(kind).unwrap_or(&0);
    println!("{before:?} {after:?}");
    assert_eq!(asked("change"), 2 * FILES, "each is made, and written");
    // A mount that has not heard its leader for a moment, on a machine with much to do, believes in nothing.
    assert!(asked("lookup") + asked("getattr") + asked("getxattr") <= FILES / 5);
    for n in 0..FILES {
        assert_eq!(fs::read(pair.there(&format!("d/f{n}"))).unwrap(), b"some data");
    }
    // That a file's owner is set before it is closed costs none more.
    let client = &pair.r.cluster["client"];
    // What is copied is known then.
    client
        .sh(&format!("cat {MOUNT}/d/* && ls -l {MOUNT}/d && mkdir {MOUNT}/e && echo x > {MOUNT}/e/first"))
        .ok();
    let before = requests(client);
    client.sh(&format!("tar c -C {MOUNT}/d . | tar x -C {MOUNT}/e")).ok();
    let after = requests(client);
    let asked = |kind: &str| after.get(kind).unwrap_or(&0) - before.get(kind).unwrap_or(&0);
    println!("tar: {before:?} {after:?}");
    assert!(asked("change") >= 4 * FILES, "made, written, and given a time and an owner");
    assert!(asked("lookup") + asked("getattr") + asked("getxattr") <= FILES / 5);
    pair.r.trees_equal();
}

/// Their owner, group, mode, times and extended attributes are those that the leader works out.
#[test]
fn new_files_are_what_they_would_be() {
    let pair = Pair::new();
    let make = "for n in 1 2 3; do echo x > $0/f$n; (umask 077; echo x > $0/p$n); done; chmod 4711 $0/f3; \
                chown 5:6 $0/p3; touch -d '2001-02-03 04:05:06' $0/p2; \
                perl -e 'open F, \">\", shift; chmod 04755, *F; chown 5, 6, *F' $0/s1; \
                exec 3> $0/x1; setfattr -n user.a -v b $0/x1; chmod 640 $0/x1; exec 3>&-";
    let list = "cd $0 && stat -c '%n %A %u:%g %s %h' * && stat -c %y p2 && getfattr -d x1";
    for setup in ["mkdir $0", "mkdir $0; chgrp 7 $0; chmod 2775 $0", "mkdir $0; setfacl -d -m u:9:rwx $0"] {
        let told = ["client", "client2"].map(|host| {
            let dir = format!("{MOUNT}/{}", setup.len());
            let client = &pair.r.cluster[host];
            if host == "client" {
                client.run(&["sh", "-c", &format!("{setup}; {make}"), &dir]).ok();
            }
            client.run(&["sh", "-c", list, &dir]).ok()
        });
        println!("{setup}:\n{}", told[0]);
        assert_eq!(told[0], told[1], "{setup}");
        // As in a directory that somebody else has changed meanwhile, where the leader is asked for each.
        let plain = format!("{MOUNT}/plain{}", setup.len());
        pair.r.cluster["client"].run(&["sh", "-c", setup, &plain]).ok();
        pair.r.cluster["client2"].run(&["sh", "-c", "touch $0/x; rm $0/x", &plain]).ok();
        pair.r.cluster["client"].run(&["sh", "-c", make, &plain]).ok();
        let asked = pair.r.cluster["client"].run(&["sh", "-c", list, &plain]).ok();
        assert_eq!(told[0], asked, "{setup}");
    }
    pair.r.trees_equal();
}

/// A name that one mount has made is taken for the other, before it is closed; any other is not.
#[test]
fn a_name_is_made_once() {
    let pair = Pair::new();
    for round in 0..scaled(20, 500) {
        let dir = format!("d{round}");
        leased(&pair, &dir);
        let mut made = File::create_new(pair.here(&format!("{dir}/f"))).unwrap();
        let taken = File::create_new(pair.there(&format!("{dir}/f"))).unwrap_err();
        assert_eq!(taken.kind(), ErrorKind::AlreadyExists, "{taken}");
        let long = File::create_new(pair.here(&format!("{dir}/{}", "x".repeat(256)))).unwrap_err();
        assert_eq!(long.raw_os_error(), Some(libc::ENAMETOOLONG));
        fs::write(pair.there(&format!("{dir}/g")), "g").unwrap();
        made.write_all(b"f").unwrap();
        drop(made);
        assert_eq!(fs::read(pair.there(&format!("{dir}/f"))).unwrap(), b"f");
        assert_eq!(fs::read(pair.here(&format!("{dir}/g"))).unwrap(), b"g");
    }
    pair.r.trees_equal();
}

/// One mount makes files without a pause in a directory of its own, the other one wants some of the names.
#[test]
fn of_two_that_want_a_name_one_has_it() {
    let pair = Pair::new();
    let mut won = [0; 2];
    for round in 0..scaled(20, 300) {
        let dir = format!("d{round}");
        leased(&pair, &dir);
        let names: Vec<String> = (0..20).map(|n| format!("{dir}/f{n}")).collect();
        let barrier = Barrier::new(2);
        let make = |who: &str, path: &Path| -> bool {
            let mut file = match File::create_new(path) {
                Ok(file) => file,
                Err(e) if e.kind() == ErrorKind::AlreadyExists => return false,
                Err(e) => panic!("{}: {e}", path.display()),
            };
            file.write_all(who.as_bytes()).unwrap();
            // Who was told that it has made the file has made it.
            rustix::fs::fsync(&file).unwrap();
            true
        };
        let all = |who: &str, paths: Vec<_>| -> Vec<bool> {
            barrier.wait();
            paths.into_iter().map(|path: std::path::PathBuf| make(who, &path)).collect()
        };
        let here = names.iter().map(|name| pair.here(name)).collect();
        let there = names.iter().rev().map(|name| pair.there(name)).collect();
        let (mine, mut theirs) = thread::scope(|scope| {
            let other = scope.spawn(|| all("there", there));
            (all("here", here), other.join().unwrap())
        });
        theirs.reverse();
        for ((name, mine), theirs) in names.iter().zip(mine).zip(theirs) {
            assert!(mine != theirs, "{name}: {mine} {theirs}");
            let who = if mine { "here" } else { "there" };
            assert_eq!(fs::read_to_string(pair.here(name)).unwrap(), who, "{name}");
            won[usize::from(theirs)] += 1;
        }
    }
    println!("won: {won:?}");
    pair.r.trees_equal();
}

/// A mount that has a lease and says nothing any more holds the other one up until nobody can believe in it.
#[test]
fn a_mount_that_stands_still_holds_nobody_up_for_long() {
    let pair = Pair::new();
    leased(&pair, "d");
    pair.r.cluster["client"].kill(Signal::STOP, MOUNTD);
    let begun = Instant::now();
    fs::write(pair.there("d/f"), "there").unwrap();
    let waited = begun.elapsed();
    pair.r.cluster["client"].kill(Signal::CONT, MOUNTD);
    println!("waited {waited:?}");
    assert!(waited < Duration::from_secs(8), "{waited:?}");
    let taken = File::create_new(pair.here("d/f")).unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::AlreadyExists, "{taken}");
    fs::write(pair.here("d/g"), "here").unwrap();
    until("the file is there", HEALS, || {
        fs::read_to_string(pair.there("d/g")).is_ok_and(|text| text == "here")
    });
    pair.r.trees_equal();
}

#[test]
fn files_that_are_closed_outlive_the_leader_and_their_mount() {
    let pair = Pair::new();
    let leader = pair.r.leader().to_owned();
    let mut closed = Vec::new();
    for round in 0..4 {
        let dir = format!("d{round}");
        leased(&pair, &dir);
        for n in 0..200 {
            let name = format!("{dir}/f{n}");
            fs::write(pair.here(&name), &name).unwrap();
            closed.push(name);
            if round == 1 && n == 100 {
                pair.r.cluster[leader.as_str()].kill(Signal::KILL, BRICKD);
            }
        }
    }
    pair.r.cluster["client"].kill(Signal::KILL, MOUNTD);
    for name in &closed {
        assert_eq!(&fs::read_to_string(pair.there(name)).unwrap(), name);
    }
}
