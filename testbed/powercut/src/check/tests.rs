//! The check notices what it is there for: each test takes something away from a tree that is right.

use super::*;
use crate::work::generate::Stream;
use crate::work::{Node, Tree};

const STEPS: usize = 900;

/// A recording in which every operation takes 10 ns: number n from 10 n to 10 n + 5.
fn history() -> History {
    let step = |(n, op)| history::Step { op, begun_ns: 10 * n, ended_ns: 10 * n + 5 };
    let worker = |w| (1u64..).zip(Stream::new(3, w)).map(step).take(STEPS).collect();
    History { workers: (0..2).map(worker).collect() }
}

fn tree(history: &History, length: usize) -> Found {
    let mut tree = Tree::default();
    for (number, step) in (0..).zip(&history.workers[0]).take(length) {
        tree.apply(&step.op, 0, number);
    }
    let nodes = tree.names().filter_map(|name| Some((name.clone(), tree.node(name)?)));
    nodes.collect()
}

fn verdict(history: &History, window: Window, found: &Found) -> Verdict {
    judge(0, &history.workers[0], window, found)
}

#[test]
fn every_length_of_the_window_is_found() {
    let history = history();
    for length in [0usize, 1, 400, 437, 450] {
        let window = Window { least: length.saturating_sub(20), most: length + 15 };
        let verdict = verdict(&history, window, &tree(&history, length));
        assert!(verdict.lengths.contains(&length) && verdict.wrong.is_empty(), "{length}: {verdict:?}");
    }
}

#[test]
fn a_tree_from_before_the_last_fsync_is_wrong() {
    let history = history();
    let at_ns = 10 * 700;
    let window = history.windows(at_ns)[0];
    let is_fsync = |n: &usize| history.workers[0][*n].op.is_durable();
    assert!(window.least <= 700 && window.most == 700);
    // The newest change that the window insists on.
    let change = (0..window.least).rev().find(|n| !is_fsync(n)).unwrap();
    assert!(verdict(&history, window, &tree(&history, window.least)).lengths.contains(&window.least));
    assert_eq!(verdict(&history, window, &tree(&history, change)).lengths, [0usize; 0]);
}

#[test]
fn one_thing_that_is_missing_or_changed_is_wrong() {
    let history = history();
    let whole = tree(&history, 250);
    let window = Window { least: 250, most: 250 };
    assert_eq!(verdict(&history, window, &whole).lengths, [250]);
    for name in whole.keys().step_by(2) {
        let mut without = whole.clone();
        without.remove(name);
        assert_eq!(verdict(&history, window, &without).wrong.len(), 1, "without {name}");
        if let Some(Node::File { contents, .. }) = whole.get(name)
            && !contents.is_empty()
        {
            let mut changed = whole.clone();
            let Some(Node::File { contents, .. }) = changed.get_mut(name) else { unreachable!() };
            let bytes = std::rc::Rc::make_mut(contents);
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            assert_eq!(verdict(&history, window, &changed).wrong.len(), 1, "{name} changed");
        }
    }
    let mut more = whole.clone();
    more.insert("made/never".to_owned(), Node::Folder);
    assert_eq!(verdict(&history, window, &more).wrong.len(), 1);
}

#[test]
fn an_fsync_covers_what_all_workers_had_been_told() {
    let history = history();
    let windows = history.windows(10 * 500 + 7);
    // Both did number 500 at the same time; the newest fsync of either covers both up to its beginning.
    let newest = (0..500).rev().find(|n| history.workers.iter().any(|w| w[*n].op.is_durable())).unwrap();
    assert!(windows.iter().all(|w| w.least >= newest && w.most == 500), "{windows:?} {newest}");
    assert_eq!(history.acknowledged(10 * 500 + 7), [Window { least: 500, most: 500 }; 2]);
}

#[test]
fn a_later_change_without_an_earlier_one_is_no_prefix() {
    let history = history();
    assert!(history.is_prefix(&[500, 500]) && history.is_prefix(&[500, 499]));
    assert!(!history.is_prefix(&[500, 498]));
}

#[test]
fn a_write_may_be_cut_off_at_the_end_of_a_page_and_nowhere_else() {
    let op = |op| history::Step { op, begun_ns: 0, ended_ns: 0 };
    let path = || "f".to_owned();
    let steps = [
        op(crate::work::Op::Create { path: path() }),
        op(crate::work::Op::Write { path: path(), offset: 0, length: 6000 }),
        op(crate::work::Op::Write { path: path(), offset: 6000, length: 5000 }),
    ];
    let whole = [crate::work::filled(0, 1, 6000), crate::work::filled(0, 2, 5000)].concat();
    let of = |length: usize| {
        let contents = std::rc::Rc::new(whole[..length].to_vec());
        Found::from([(path(), Node::File { contents, mode: 0o644, mark: None, links: 1 })])
    };
    let lengths = |length| judge(0, &steps, Window { least: 1, most: 3 }, &of(length)).lengths;
    assert_eq!([lengths(0), lengths(6000), lengths(11_000)], [[1], [2], [3]]);
    assert_eq!([lengths(4096), lengths(8192)], [[1], [2]], "cut off");
    assert_eq!([lengths(4095), lengths(6001), lengths(8000)], [[0usize; 0]; 3]);
}

#[test]
fn an_unsynced_append_may_leave_zeroes_and_nothing_else() {
    let op = |op| history::Step { op, begun_ns: 0, ended_ns: 0 };
    let path = || "f".to_owned();
    let append = |length| op(crate::work::Op::Append { path: path(), length });
    let steps = [op(crate::work::Op::Create { path: path() }), append(64), append(64)];
    let judged = |contents: Vec<u8>| {
        let contents = std::rc::Rc::new(contents);
        let node = Node::File { contents, mode: 0o644, mark: None, links: 1 };
        let verdict = judge(0, &steps, Window { least: 2, most: 3 }, &Found::from([(path(), node)]));
        (verdict.mixed.len(), verdict.wrong.len())
    };
    let durable = crate::work::filled(0, 1, 64);
    assert_eq!(judged(durable.clone()), (0, 0));
    assert_eq!(judged([durable.clone(), vec![0; 64]].concat()), (1, 0));
    assert_eq!(judged([durable.clone(), vec![7; 64]].concat()), (0, 1));
    assert_eq!(judged([vec![0; 64], vec![0; 64]].concat()), (0, 1), "what was synced is not zero");
    assert_eq!(judged(durable[..32].to_vec()), (0, 1));
}
