//! The short forms of `cargo xtask posix`. With `RFS_FULL` they are the long ones.

use std::path::Path;

use rfs_cluster::{MOUNT, full};
use rfs_posix::bench::EXT4;
use rfs_posix::model::{Fault, Faulty, Hunt, Real, hunt};
use rfs_posix::{Amounts, Bench, Part, run, table};

/// Gives the volume, for more.
fn nothing_is_wrong(parts: &[Part]) -> Bench {
    let amounts = if full() { Amounts::full() } else { Amounts::short() };
    let bench = Bench::new();
    for part in parts {
        let rows = run::run(&bench, *part, amounts).unwrap_or_else(|e| panic!("{e:#}"));
        println!("{}", table(&rows));
        let wrong: Vec<&String> = rows.iter().flat_map(|row| &row.wrong).collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
    bench
}

#[test]
fn what_passes_on_ext4_passes_on_the_mount_or_is_listed() {
    let _ = nothing_is_wrong(&[Part::Pjdfstest]);
}

#[test]
fn a_file_under_random_calls_and_mappings_holds_what_was_written() {
    let _ = nothing_is_wrong(&[Part::Fsx, Part::FsxMapped]);
}

#[test]
fn it_does_so_while_leaders_die() {
    let _ = nothing_is_wrong(&[Part::FsxKilled]);
}

#[test]
fn the_mount_answers_as_a_small_model_does_and_would_be_found_out() {
    let bench = nothing_is_wrong(&[Part::Model]);
    for fault in Fault::ALL {
        is_found_out(&bench.reach(EXT4), fault);
    }
    is_found_out(&bench.reach(MOUNT), Fault::UnlinkLost);
}

/// A real directory with a planted fault.
fn is_found_out(base: &Path, fault: Fault) {
    let mut made = 0..;
    let fresh = || {
        let dir = base.join(format!("{fault:?}-{}", made.next().unwrap_or_default()));
        std::fs::create_dir(&dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
        Faulty { subject: Real::new(dir), fault }
    };
    let histories = Hunt { seed: 1, histories: 20, operations: 400, umask: run::umask().unwrap() };
    let missed = hunt(histories, fresh, |_| ()).err();
    let missed = missed.unwrap_or_else(|| panic!("nobody noticed {fault:?} in {}", base.display()));
    println!("{fault:?}: seed {}, {} operations: {}", missed.seed, missed.shortest.len(), missed.why);
}
