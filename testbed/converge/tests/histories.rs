//! The short form: a thousand histories over the four file systems. Needs root.

use std::process::Command;

#[test]
fn a_thousand_histories_pass() {
    let mut program = Command::new(env!("CARGO_BIN_EXE_rfs-converge"));
    let ran = program.args(["--histories", "1000", "--jobs", "2"]).output().expect("the program runs");
    print!("{}", String::from_utf8_lossy(&ran.stdout));
    eprint!("{}", String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{}", ran.status);
}
