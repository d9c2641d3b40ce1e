//! How often a mount asks the leader for what its kernel could know.

use std::collections::BTreeMap;
use std::time::Duration;

use rfs_cluster::{Host, MOUNT, Replica, scaled, until};

/// What is believed, and the options that say so.
const WAYS: [(&str, &[&str]); 3] = [
    ("nothing", &["attribute-timeout=0", "entry-timeout=0"]),
    ("default", &[]),
    ("all", &["negative-timeout=60", "cache-listings=enable"]),
];

const GIT: &str = "git -c safe.directory='*' -c user.name=n -c user.email=e@example.org";

/// The second time, after which nothing has changed.
#[test]
fn what_the_kernel_knows_is_not_asked_again() {
    let r = Replica::two_beside_others();
    let client = &r.cluster["client"];
    let (folders, files) = (scaled(40, 400), 10);
    r.mount("client");
    let make = format!(
        "cd {MOUNT} && mkdir tree && cd tree && git init -q && for d in $(seq {folders}); do mkdir $d; \
         for f in $(seq {files}); do echo $d/$f > $d/$f; done; done && {GIT} add -A && {GIT} commit -q -m first && \
         {GIT} status --porcelain"
    );
    client.run_within(&["sh", "-c", &make], 20 * rfs_cluster::trial::HEALS).ok();
    r.settled();
    r.umount("client");
    println!("{folders} folders with {files} files each: requests to the leader");
    println!("{:<10} {:>12} {:>12}", "believed", "ls -lR", "git status");
    let mut of = BTreeMap::new();
    for (believed, options) in WAYS {
        r.mount_with("client", options);
        let list = second(client, "ls -lR tree > /dev/null");
        let status = second(client, &format!("cd tree && {GIT} --no-optional-locks status --porcelain"));
        println!("{believed:<10} {:>12} {:>12}", total(&list), total(&status));
        println!("  ls: {list:?}\n  git: {status:?}");
        of.insert(believed, (total(&list), total(&status)));
        r.umount("client");
    }
    let (nothing, default, all) = (of["nothing"], of["default"], of["all"]);
    let inodes = folders * (files + 1);
    assert!(nothing.0 >= inodes && nothing.1 >= inodes, "without caches: {nothing:?}");
    assert!(all.0 <= 4 && all.1 <= 30, "with all of them: {all:?}");
    // Listings, and for git the names that are not there.
    assert!(default.0 <= 2 * folders + 10 && default.1 <= 4 * folders + 30, "by default: {default:?}");
}

/// The kernel asks for a directory's attributes after each change in it: they have come with the answer. And what it has just
/// looked up, and has no pages of, need not be dropped and asked for again when it is opened.
#[test]
fn names_are_changed_and_files_read_without_further_questions() {
    const NAMES: u64 = 50;
    let r = Replica::two_beside_others();
    let client = &r.cluster["client"];
    r.mount("client");
    client.sh(&format!("mkdir {MOUNT}/folder")).ok();
    r.settled();
    let each = |what: &str| format!("cd folder && for n in $(seq {NAMES}); do {what}; done");
    for (what, lookups) in [
        (each("mkdir d$n"), 1),
        (each("mv -T d$n e$n"), 2),
        (each("rmdir e$n"), 0),
        (each("echo $n > f$n"), 1),
        (each("ln f$n g$n"), 2),
        (each("rm g$n"), 0),
    ] {
        let asked = cost(client, &what);
        println!("{what}: {asked:?}");
        let of = |kind: &str| asked.get(kind).copied().unwrap_or_default();
        assert!(of("getattr") <= NAMES / 10, "{what}: {asked:?}");
        assert!(of("lookup") <= lookups * NAMES + NAMES / 10, "{what}: {asked:?}");
    }
    r.umount("client");
    r.mount("client");
    let asked = cost(client, &each("cat f$n > /dev/null"));
    println!("read: {asked:?}");
    assert_eq!(asked["open"], NAMES, "{asked:?}");
    // Small files come with the answer to their open.
    assert!(asked.get("read").copied().unwrap_or_default() <= NAMES / 10, "{asked:?}");
    // One name after the other is found, then those that follow are told together.
    assert!(asked["lookup"] + asked["readdir"] <= NAMES / 2, "{asked:?}");
    assert!(asked.get("getattr").copied().unwrap_or_default() <= NAMES / 10, "{asked:?}");
    listed_with_access_lists(&r, NAMES);
}

/// `ls -l` asks of each file whether it has an access list: a listing says of which that is not so.
fn listed_with_access_lists(r: &Replica, names: u64) {
    let client = &r.cluster["client"];
    client.sh(&format!("setfacl -m u:5:r {MOUNT}/folder/f7")).ok();
    r.umount("client");
    r.mount("client");
    let list = || client.sh(&format!("ls -l {MOUNT}/folder")).ok();
    let before = requests(client);
    let shown = list();
    let asked = requests(client).get("getxattr").copied().unwrap_or_default()
        - before.get("getxattr").copied().unwrap_or_default();
    println!("ls -l: getxattr {asked} times");
    assert!((1..=names / 10).contains(&asked), "of the one that has one, and of the directory: {asked}");
    let before = requests(client);
    client.sh(&format!("cp -a {MOUNT}/folder {MOUNT}/copy")).ok();
    let asked = requests(client).get("listxattr").copied().unwrap_or_default()
        - before.get("listxattr").copied().unwrap_or_default();
    println!("cp -a: listxattr {asked} times");
    assert!(asked <= names / 10, "{asked}");
    let with = |shown: &str| -> Vec<String> {
        let marked =
            shown.lines().filter(|line| line.split(' ').next().is_some_and(|mode| mode.ends_with('+')));
        marked.filter_map(|line| line.rsplit(' ').next().map(str::to_owned)).collect()
    };
    assert_eq!(with(&shown), ["f7"]);
    r.mount("server1");
    let server = &r.cluster["server1"];
    server.sh(&format!("setfacl -m u:5:r {MOUNT}/folder/f9 && setfacl -b {MOUNT}/folder/f7")).ok();
    until("another mount's access lists are shown", Duration::from_secs(20), || with(&list()) == ["f9"]);
    client.sh(&format!("setfacl -m u:5:r {MOUNT}/folder/f8")).ok();
    assert_eq!(with(&list()), ["f8", "f9"]);
}

/// What the leader was asked for meanwhile.
fn cost(client: &Host, script: &str) -> BTreeMap<String, u64> {
    let before = requests(client);
    client.sh(&format!("cd {MOUNT} && {script}")).ok();
    let mut after = requests(client);
    for (kind, count) in before {
        after.entry(kind).and_modify(|now| *now -= count);
    }
    // Nobody waits for an answer to a release.
    after.retain(|kind, count| *count > 0 && kind != "release");
    after
}

/// What it costs when it was done just before. The least of a few times: a mount that has not heard its leader for a second, on a
/// machine with much to do, lets the kernel forget everything.
fn second(client: &Host, script: &str) -> BTreeMap<String, u64> {
    assert_eq!(client.sh(&format!("cd {MOUNT} && {script}")).ok(), "");
    let costs = (0..3).map(|_| cost(client, script));
    costs.min_by_key(total).expect("three")
}

pub fn requests(client: &Host) -> BTreeMap<String, u64> {
    let argv = ["getfattr", "--only-values", "-n", "trusted.rfs.requests", MOUNT];
    serde_json::from_str(&client.run(&argv).ok()).expect("JSON")
}

fn total(of: &BTreeMap<String, u64>) -> u64 {
    of.values().sum()
}
