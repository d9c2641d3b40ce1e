//! The short form: a thousand histories over the four file systems. Needs root.

use std::process::Command;

#[test]
fn a_thousand_histories_pass() {
    passes(&["--histories", "1000", "--jobs", "2"]);
}

#[test]
fn planted_faults_are_noticed() {
    passes(&["--mutants", "--histories", "10"]);
}

fn passes(words: &[&str]) {
    let mut program = Command::new(env!("CARGO_BIN_EXE_rfs-converge"));
    let ran = program.args(words).output().expect("the program runs");
    print!("{}", String::from_utf8_lossy(&ran.stdout));
    eprint!("{}", String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{}", ran.status);
}
