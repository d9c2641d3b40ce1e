//! Random histories, a crash anywhere, crashes in recovery: the result is the fold of the log.

use std::collections::BTreeSet;

use rfs_model::op::Stamped;
use rfs_model::{Index, InodeId, Op};

use super::{Made, Plan, place};
use crate::testing::{Cut, History, MemBench, MemTree, Rng};

type Records = [(Index, Stamped)];

/// What the crash left: names as after a prefix, any part of the data up to a later point, perhaps a torn create. Also how
/// many records were being applied, hence are known to be committed.
fn crashed(checkpoint: &MemTree, records: &Records, rng: &mut Rng) -> (MemBench, usize) {
    let applied = rng.below(records.len() as u64 + 1) as usize;
    let names = rng.below(applied as u64 + 1) as usize;
    let mut bench = MemBench::new(checkpoint.clone());
    for (i, (_, stamped)) in records[..applied].iter().enumerate() {
        bench.partly(stamped, i < names, rng.one_in(2)).unwrap();
    }
    if let Some((_, Stamped { op: Op::Make { parent, name, kind, .. }, .. })) = records.get(names)
        && rng.one_in(2)
    {
        let made = Made {
            kind: *kind,
            mode: 0,
            uid: 0,
            gid: 0,
            rdev: 0,
            target: Default::default(),
            acl_access: Default::default(),
            acl_default: Default::default(),
        };
        bench.tear(*parent, name, &made).unwrap();
        return (bench, applied.max(names + 1));
    }
    (bench, applied)
}

fn recover(bench: &mut MemBench, records: &Records, orphans: &BTreeSet<InodeId>) -> Result<(), Cut> {
    let mut plan = Plan::new();
    for (index, stamped) in records {
        plan.fold(*index, stamped);
    }
    let strays = place(&plan, &|id| orphans.contains(&id), bench).map_err(|e| match e {
        super::PlaceError::Bench(cut) => cut,
        super::PlaceError::Missing(id) => panic!("{id} is missing"),
    })?;
    assert!(strays.is_empty(), "{strays:?}");
    bench.redo(&plan, records)
}

/// Nameless inodes after the records, none of which is reaped.
fn orphans(tree: &MemTree) -> BTreeSet<InodeId> {
    let nameless = tree.nodes().iter().filter(|(id, n)| n.names == 0 && **id != InodeId::ROOT);
    nameless.map(|(id, _)| *id).collect()
}

fn replay(from: &MemTree, records: &Records) -> MemTree {
    let mut tree = from.clone();
    for (index, stamped) in records {
        tree.apply(*index, stamped).unwrap();
    }
    tree
}

fn history(seed: u64) -> u64 {
    let mut rng = Rng::new(seed ^ 0xdead);
    let mut history = History::new(seed);
    history.grow(60 + rng.below(60) as usize);
    let n = history.records().len();
    let checkpoint = replay(&MemTree::default(), history.records());
    history.grow(1 + rng.below(80) as usize);
    let window = &history.records()[n..];
    let (mut bench, mut through) = crashed(&checkpoint, window, &mut rng);
    let mut crashes = 0;
    loop {
        // Each attempt may know of more committed records than the one before.
        through += rng.below((window.len() - through) as u64 + 1) as usize;
        let steps = if crashes < 6 { rng.below(60) } else { u64::MAX };
        if crashes >= 6 {
            through = window.len();
        }
        bench.crash_after(steps);
        let known = &window[..through];
        let want = replay(&checkpoint, known);
        match recover(&mut bench, known, &orphans(&want)) {
            Ok(()) => {
                assert_eq!(bench.tree().nodes().len(), want.nodes().len());
                for (id, node) in want.nodes() {
                    assert_eq!(bench.tree().node(*id), Some(node), "{id}");
                }
                if through == window.len() {
                    return crashes;
                }
            }
            Err(Cut::Crash) => crashes += 1,
            Err(Cut::Fault(fault)) => panic!("{fault}"),
        }
    }
}

#[test]
fn recovery_equals_the_fold_wherever_the_crash_hit() {
    let mut crashes = 0;
    for seed in 0..800 {
        match std::panic::catch_unwind(|| history(seed)) {
            Ok(n) => crashes += n,
            Err(why) => {
                eprintln!("seed {seed} fails");
                std::panic::resume_unwind(why);
            }
        }
    }
    assert!(crashes > 500, "{crashes}");
}

#[test]
fn what_the_checkpoint_promised_and_is_gone_is_named() {
    let mut history = History::new(3);
    history.grow(40);
    let mut plan = Plan::new();
    let (index, moved) = history
        .records()
        .iter()
        .find_map(|(i, s)| matches!(s.op, Op::Rename { .. }).then(|| (*i, s.clone())))
        .unwrap();
    plan.fold(index, &moved);
    let Op::Rename { id, .. } = moved.op else { unreachable!() };
    let got = place(&plan, &|_| false, &mut MemBench::new(MemTree::default()));
    assert!(matches!(got, Err(super::PlaceError::Missing(missing)) if missing == id));
}
