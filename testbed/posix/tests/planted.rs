//! What the model test is worth: each planted fault is noticed, and a file system without one is not blamed.

use rfs_posix::model::{Fault, Faulty, Hunt, Model, Op, hunt};

const UMASK: u32 = 0o022;
const HUNT: Hunt = Hunt { seed: 1, histories: 40, operations: 400, umask: UMASK };

#[test]
fn each_planted_fault_is_noticed_and_shown_in_a_few_operations() {
    for fault in Fault::ALL {
        let missed = hunt(HUNT, || Faulty { subject: Model::new(UMASK), fault }, |_| ());
        let Err(missed) = missed else { panic!("nobody noticed {fault:?}") };
        println!("{fault:?}: seed {}, {} operations: {}", missed.seed, missed.shortest.len(), missed.why);
        assert!(missed.shortest.len() <= 12, "{fault:?}: {missed}");
    }
}

#[test]
fn a_file_system_without_a_fault_is_not_blamed() {
    hunt(HUNT, || Model::new(UMASK), |_| ()).unwrap_or_else(|missed| panic!("{missed}"));
}

#[test]
fn a_history_that_goes_wrong_names_the_command_that_plays_it_again() {
    let faulty = || Faulty { subject: Model::new(UMASK), fault: Fault::UnlinkLost };
    let missed = hunt(HUNT, faulty, |_| ()).unwrap_err();
    assert!(missed.shortest.iter().any(|op| matches!(op, Op::Unlink { .. })), "{missed}");
    let last = missed.to_string();
    let last = last.lines().last().unwrap_or_default();
    assert_eq!(
        last,
        format!("cargo xtask posix --only model --seed {} --histories 1 --operations 400", missed.seed)
    );
}
