//! What people do with files: clone a repository, copy a tree, build a program.

use std::path::{Path, PathBuf};
use std::process::Command;
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
    does(client, &format!("rm -r {MOUNT}/copy {MOUNT}/clone"));
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

/// A crate as its registry has it, unpacked, built and tested on the mount.
fn build(client: &Host) {
    let cargo = PathBuf::from(std::env::var_os("CARGO").expect("run by cargo"));
    let bin = cargo.parent().expect("cargo lies in a folder").display().to_string();
    let name = if full() { "bytes" } else { "strsim" };
    let packed = packed(name);
    if full() {
        fetch_dependencies(client, &cargo, &packed);
    }
    let unpacked = format!("{MOUNT}/{name}");
    let (at, from) = (format!("cd {unpacked}"), packed.display());
    does(client, &format!("mkdir {unpacked} && {at} && tar -xzf {from} --strip-components 1"));
    let env = format!("{at} && PATH={bin}:$PATH CARGO_TARGET_DIR={unpacked}/target");
    let tested = does(client, &format!("{env} cargo test --offline -q 2>&1"));
    let results = tested.lines().filter(|line| line.starts_with("test result: ok")).count();
    assert!(results > 1 && !tested.contains("FAILED"), "{tested}");
    does(client, &format!("{env} cargo build --offline -q --release 2>&1"));
    let built = does(client, &format!("ls {unpacked}/target/release/lib{name}.rlib"));
    assert!(built.contains(name), "{built}");
}

/// A package as it was downloaded for this workspace, which uses it.
fn packed(name: &str) -> PathBuf {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    let cache = home.expect("cargo has a home").join("registry/cache");
    let is_it = |path: &PathBuf| {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        file.strip_prefix(name).and_then(|rest| rest.strip_prefix('-')).is_some_and(|version| {
            version.starts_with(|c: char| c.is_ascii_digit()) && version.ends_with(".crate")
        })
    };
    let registries = std::fs::read_dir(&cache).unwrap_or_else(|e| panic!("{}: {e}", cache.display()));
    let files =
        registries.flatten().flat_map(|r| std::fs::read_dir(r.path()).into_iter().flatten().flatten());
    files
        .map(|file| file.path())
        .filter(is_it)
        .max()
        .unwrap_or_else(|| panic!("no {name} in {}", cache.display()))
}

/// What its tests need is fetched outside: hosts have no way out.
fn fetch_dependencies(client: &Host, cargo: &Path, packed: &Path) {
    let folder = client.folder().join("fetch");
    std::fs::create_dir_all(&folder).unwrap();
    let run = |command: &mut Command| {
        let ran = command.output().unwrap();
        assert!(ran.status.success(), "{command:?}: {}", String::from_utf8_lossy(&ran.stderr));
    };
    run(Command::new("tar").arg("-xzf").arg(packed).args(["--strip-components", "1", "-C"]).arg(&folder));
    run(Command::new(cargo).args(["fetch", "-q"]).current_dir(&folder));
}
