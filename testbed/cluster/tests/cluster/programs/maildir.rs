//! Mail is delivered and read on two mounts at the same time.

use std::collections::BTreeSet;
use std::fs;

use rfs_cluster::trial::HEALS;
use rfs_cluster::{MOUNT, Spawned, scaled};

use super::{LONG, kill_leader_at};
use crate::cross::Pair;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/maildir.py");
const HOSTS: [&str; 2] = ["client", "client2"];

/// Each message is read whole, by one reader; and those that were read are there afterwards, on both mounts.
#[test]
fn each_message_is_read_once() {
    let pair = Pair::new();
    let r = &pair.r;
    let messages = scaled(150, 3000);
    r.cluster["client"].sh(&format!("mkdir -p {MOUNT}/mail/tmp {MOUNT}/mail/new {MOUNT}/mail/cur")).ok();
    let stop = r.cluster.folder().join("mail.stop");
    let maildir = format!("{MOUNT}/mail");
    let start = |host: &str, what: &str, words: &[&str]| {
        let argv = [&["/usr/bin/python3", SCRIPT, what, &maildir], words].concat();
        r.cluster[host].spawn(&format!("mail-{what}"), &argv)
    };
    let stop_file = stop.to_str().expect("a plain path");
    let mut readers: Vec<Spawned> = HOSTS.iter().map(|host| start(host, "read", &[stop_file])).collect();
    let count = messages.to_string();
    let mut writers: Vec<Spawned> =
        HOSTS.iter().map(|host| start(host, "deliver", &[host, &count])).collect();
    let (first, others) = writers.split_at_mut(1);
    let log = r.cluster[HOSTS[0]].folder().join("mail-deliver.log");
    let delivered = || fs::read_to_string(&log).unwrap_or_default().lines().count();
    kill_leader_at(r, &mut first[0], || delivered() >= messages / 3);
    for writer in first.iter_mut().chain(others) {
        assert_eq!(writer.wait(LONG), 0, "{}", writer.output());
    }
    fs::write(&stop, "").unwrap();
    for reader in &mut readers {
        assert_eq!(reader.wait(LONG), 0, "{}", reader.output());
    }
    let read: Vec<String> = readers.iter().flat_map(|reader| named(reader, "read ")).collect();
    let want: BTreeSet<String> =
        HOSTS.iter().flat_map(|host| (0..messages).map(move |n| format!("{host}.{n}"))).collect();
    assert_eq!(read.len(), want.len(), "some were read twice, or not at all");
    assert_eq!(read.into_iter().collect::<BTreeSet<_>>(), want);
    let kept: BTreeSet<String> = want.iter().map(|name| format!("{name}:2,S")).collect();
    for top in [pair.here("mail"), pair.there("mail")] {
        assert_eq!(names(&top.join("cur")), kept);
        assert_eq!((names(&top.join("new")), names(&top.join("tmp"))), Default::default());
    }
    r.healed(HEALS);
    r.trees_equal();
}

fn named(process: &Spawned, word: &str) -> Vec<String> {
    process.output().lines().filter_map(|line| line.strip_prefix(word).map(str::to_owned)).collect()
}

fn names(folder: &std::path::Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries.map(|entry| entry.file_name().into_string().unwrap()).collect()
}
