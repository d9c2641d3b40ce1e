//! The programs under test.
//!
//! `RFS_BIN` names a folder with rfs-brickd, rfs-mountd and rfs-tools. Without it they are built here, once, with the
//! profile and the target folder of the running test: an integration test of one package gets no path to the programs of
//! another from cargo, and by the time a test runs the outer cargo has done its building.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The programs that a host gets.
pub const PROGRAMS: [&str; 3] = ["rfs-brickd", "rfs-mountd", "rfs-tools"];

static FOLDER: OnceLock<PathBuf> = OnceLock::new();

/// From now on, [`folder`] is this one: for programs that build them in another profile than their own. Panics when
/// one of [`PROGRAMS`] is not in it, and when [`folder`] was asked for before.
pub fn take_from(folder: &Path) {
    assert!(FOLDER.set(given(folder)).is_ok(), "the folder with the programs is already known");
}

/// The folder with [`PROGRAMS`]; panics when they cannot be built.
pub fn folder() -> &'static Path {
    FOLDER.get_or_init(|| match env::var_os("RFS_BIN") {
        Some(folder) => given(&PathBuf::from(folder)),
        None => {
            build(&[
                "-p",
                "rfs-engine",
                "-p",
                "rfs-mountd",
                "-p",
                "rfs-tools",
                "-p",
                "rfs-cluster",
                "--bins",
            ]);
            profile_folder()
        }
    })
}

fn given(folder: &Path) -> PathBuf {
    let folder = folder.canonicalize().unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    for program in PROGRAMS {
        assert!(folder.join(program).is_file(), "{} has no {program}", folder.display());
    }
    folder
}

/// This crate's own program: doors into hosts, and load.
pub fn testload() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let program = profile_folder().join("rfs-testload");
        // For this package's own integration tests cargo has built it.
        if !program.is_file() {
            build(&["-p", "rfs-cluster", "--bin", "rfs-testload"]);
        }
        assert!(program.is_file(), "{} was not built", program.display());
        program
    })
}

/// The library that shifts a process's wall clock; see `examples/clock_jump.rs`. `cargo test` builds no such examples.
pub fn clock_jump() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let (built, library) = (profile_folder(), profile_folder().join("examples/libclock_jump.so"));
        // Whoever says that the programs are there has built it with them.
        let given = env::var_os("RFS_BIN").is_some_and(|folder| Path::new(&folder) == built);
        if !given || !library.is_file() {
            build(&["-p", "rfs-cluster", "--example", "clock_jump"]);
        }
        library
    })
}

/// `target/debug` or the like: where the running program, or the `deps` folder that holds it, lies.
fn profile_folder() -> PathBuf {
    let program = env::current_exe().expect("path of this program");
    let folder = program.parent().expect("a program lies in a folder");
    let inner = folder.ends_with("deps") || folder.ends_with("examples");
    if inner { folder.parent().expect("deps lies in a folder").to_owned() } else { folder.to_owned() }
}

fn build(what: &[&str]) {
    let folder = profile_folder();
    let profile = match folder.file_name().and_then(|n| n.to_str()) {
        None | Some("debug") => "dev",
        Some(name) => name,
    };
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")).arg("build").args(what);
    cargo.args(["--quiet", "--profile", profile, "--target-dir"]).arg(folder.parent().unwrap_or(&folder));
    let done = cargo.output().unwrap_or_else(|e| panic!("cargo: {e}"));
    assert!(done.status.success(), "{cargo:?}\n{}", String::from_utf8_lossy(&done.stderr));
}
