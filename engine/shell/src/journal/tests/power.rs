//! Random histories with power cuts: of everything that was not synced, any part may be lost.

use super::on_executor;
use super::random::{History, Replay, seeds};

#[test]
fn histories_with_power_cuts() {
    for seed in seeds(10) {
        on_executor(move || async move {
            let mut history = History::new(seed, true);
            let _replay = Replay { seed, test: "histories_with_power_cuts" };
            for _ in 0..5 {
                for _ in 0..5 + history.random.below(40) {
                    history.step().await;
                }
                if history.random.below(2) == 0 {
                    // First only the process dies: what it had not synced is still not synced.
                    history.close().await;
                    let recovered = history.reopen().await;
                    assert_eq!(recovered.last, history.model.last(), "everything written survives");
                    history.adopt(&recovered);
                    for _ in 0..history.random.below(4) {
                        history.step().await;
                    }
                }
                history.cut_power().await;
                let recovered = history.reopen().await;
                assert_eq!(recovered.rot, None, "nothing has rotted");
                assert!(recovered.last.index >= history.model.synced, "synced records are lost");
                history.adopt(&recovered);
            }
        });
    }
}

#[test]
fn a_power_cut_while_the_last_one_is_cleaned_up() {
    for seed in seeds(10) {
        on_executor(move || async move {
            let mut history = History::new(seed, true);
            let test = "a_power_cut_while_the_last_one_is_cleaned_up";
            let _replay = Replay { seed, test };
            for _ in 0..60 {
                history.step().await;
            }
            for round in 0..12 {
                if round % 3 == 2 {
                    history.cut_power().await;
                } else {
                    history.cut_power_in_passing().await;
                }
                let recovered = history.reopen().await;
                assert_eq!(recovered.rot, None, "nothing has rotted");
                assert!(recovered.last.index >= history.model.synced, "synced records are lost");
                history.adopt(&recovered);
                for _ in 0..history.random.below(15) {
                    history.step().await;
                }
            }
        });
    }
}
