//! What the fuzzers bred, through the same functions, on every change.

use std::path::{Path, PathBuf};

/// The inputs of a target, in the order of their names.
fn corpus(target: &str) -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let found = std::fs::read_dir(&dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
    let mut files: Vec<PathBuf> = found.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", dir.display());
    files
}

/// Prints the input before it is run: the last one printed is the one that failed.
fn replay(target: &str) {
    for file in corpus(target) {
        println!("{}", file.display());
        rfs_hostile::run(target, &std::fs::read(&file).unwrap());
    }
}

macro_rules! replayed {
    ($($target:ident),*) => {$(
        #[test]
        fn $target() {
            replay(stringify!($target));
        }
    )*};
}
replayed!(parsers, consensus, admit, tree, journal, mount);

#[test]
fn every_target_is_replayed() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/fuzz_targets");
    let mut built: Vec<String> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    built.sort();
    let mut known: Vec<&str> = rfs_hostile::TARGETS.iter().map(|(name, _)| *name).collect();
    known.sort_unstable();
    assert_eq!(built, known);
}
