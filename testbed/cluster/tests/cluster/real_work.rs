//! What people do with files: clone a repository, copy a tree, build a program.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rfs_cluster::trial::HEALS;
use rfs_cluster::{Host, MOUNT, Replica, Signal, full};

const LONG: Duration = Duration::from_secs(600);

#[test]
fn repositories_copies_and_builds() {
    let r = Replica::two_beside_others();
    r.mount("client");
    r.settled();
    let client = &r.cluster["client"];
    clone(client);
    let leader = r.leader();
    copy(client, || {
        r.cluster[leader].stop_brickd(Signal::KILL);
        r.cluster[leader].start_brickd();
    });
    build(client);
    r.healed(HEALS);
    r.trees_equal();
    client.sh(&format!("rm -r {MOUNT}/copy {MOUNT}/clone")).ok();
    r.healed(HEALS);
    r.trees_equal();
    r.umount("client");
}

#[track_caller]
fn does(host: &Host, script: &str) -> String {
    let ran = host.run_within(&["sh", "-c", script], LONG);
    println!("{:?}: {script}", ran.took);
    ran.ok()
}

/// This repository, cloned, checked, changed, repacked.
fn clone(client: &Host) {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let repository = repository.canonicalize().unwrap();
    let git = "git -c safe.directory='*' -c user.name=n -c user.email=e@example.org";
    does(client, &format!("cd {MOUNT} && {git} clone -q --no-local 'file://{}' clone", repository.display()));
    does(client, &format!("cd {MOUNT}/clone && {git} fsck --full --strict && {git} status --porcelain"));
    does(
        client,
        &format!(
            "cd {MOUNT}/clone && {git} checkout -q -b other && git rm -q -r --cached . && {git} add -A && echo x > new && {git} add new && {git} commit -q -m new && {git} gc -q && {git} fsck --full"
        ),
    );
}

/// Part of `/usr/share`, copied as an archive, once while the leader dies; then compared by checksums.
fn copy(client: &Host, meanwhile: impl FnOnce()) {
    let from = if full() { vec!["/usr/share".to_owned()] } else { some_of_usr_share() };
    let from = from.join(" ");
    does(client, &format!("command -v rsync && mkdir {MOUNT}/copy"));
    let log = client.folder().join("copied");
    let mut copying = client
        .spawn("rsync", &["sh", "-c", &format!("rsync -aHR {from} {MOUNT}/copy && touch {}", log.display())]);
    let start = Instant::now();
    meanwhile();
    assert_eq!(copying.wait(LONG), 0, "{}", copying.output());
    println!("{:?}: rsync", start.elapsed());
    let unequal = does(client, &format!("rsync -aHRcni --delete {from} {MOUNT}/copy"));
    assert_eq!(unequal, "", "the copy differs");
}

/// Folders of a few megabytes and a few hundred files in all.
fn some_of_usr_share() -> Vec<String> {
    let wanted = ["bash-completion", "perl", "perl5", "zoneinfo", "terminfo", "misc", "git-core", "python3"];
    let there: Vec<PathBuf> =
        wanted.iter().map(|w| Path::new("/usr/share").join(w)).filter(|p| p.is_dir()).collect();
    assert!(!there.is_empty(), "nothing of {wanted:?} is in /usr/share");
    there.iter().map(|p| p.display().to_string()).collect()
}

/// A small crate, unpacked, built and tested on the mount.
fn build(client: &Host) {
    let cargo = PathBuf::from(std::env::var_os("CARGO").expect("run by cargo"));
    let bin = cargo.parent().expect("cargo lies in a folder").display().to_string();
    let source = client.folder().join("crate");
    for (file, text) in [
        ("Cargo.toml", "[package]\nname = \"small\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[workspace]\n"),
        ("src/lib.rs", "pub mod a;\n#[test]\nfn works() { assert_eq!(a::twice(2), 4); }\n"),
        ("src/a.rs", "pub fn twice(n: u32) -> u32 { 2 * n }\n"),
        ("src/main.rs", "fn main() { println!(\"{}\", small::a::twice(21)); }\n"),
    ] {
        let path = source.join(file);
        std::fs::create_dir_all(path.parent().expect("a folder")).unwrap();
        std::fs::write(path, text).unwrap();
    }
    does(client, &format!("cd {} && tar -czf ../crate.tar.gz .", source.display()));
    does(
        client,
        &format!(
            "mkdir {MOUNT}/crate && cd {MOUNT}/crate && tar -xzf {}/crate.tar.gz",
            client.folder().display()
        ),
    );
    let env = format!("cd {MOUNT}/crate && PATH={bin}:$PATH CARGO_TARGET_DIR={MOUNT}/crate/target");
    does(client, &format!("{env} cargo test --offline -q"));
    assert_eq!(does(client, &format!("{env} cargo run --offline -q")), "42\n");
}
