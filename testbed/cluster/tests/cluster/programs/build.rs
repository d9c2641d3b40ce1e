//! A compiler at work: many small files, written once and read often, locks, hard links.

use std::path::{Path, PathBuf};
use std::process::Command;

use rfs_cluster::{Host, MOUNT, full};

use super::{does, does_while_a_leader_dies, site};

/// A crate as its registry has it, unpacked, built and tested on the mount.
#[test]
fn a_crate_is_built_and_tested() {
    let r = site();
    let client = &r.cluster["client"];
    let cargo = PathBuf::from(std::env::var_os("CARGO").expect("run by cargo"));
    let bin = cargo.parent().expect("cargo lies in a folder").display().to_string();
    let name = if full() { "bytes" } else { "strsim" };
    let packed = packed(name);
    if full() {
        fetch_dependencies(client, &cargo, &packed);
    }
    does(client, &format!("mkdir {name} && tar -xzf {} -C {name} --strip-components 1", packed.display()));
    let env = format!("cd {name} && export PATH={bin}:$PATH CARGO_TARGET_DIR={MOUNT}/{name}/target &&");
    let target = client.path(MOUNT).join(name).join("target/debug");
    does_while_a_leader_dies(&r, &format!("{env} cargo test --offline -q > tested 2>&1"), || target.is_dir());
    let tested = does(client, &format!("cat {name}/tested"));
    let results = tested.lines().filter(|line| line.starts_with("test result: ok")).count();
    assert!(results > 1 && !tested.contains("FAILED"), "{tested}");
    // Nothing was changed, so nothing is built again: times and sizes are what they were.
    let again = does(client, &format!("{env} cargo build --offline 2>&1 && cargo build --offline 2>&1"));
    let second = again.split_once("Finished").expect("it is built").1;
    assert!(second.contains("Finished") && !second.contains("Compiling"), "{again}");
    r.trees_equal();
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
