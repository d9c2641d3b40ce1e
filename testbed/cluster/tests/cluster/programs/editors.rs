//! A file that is edited all the time, and always whole for who reads it elsewhere.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use rfs_cluster::{MOUNT, holds_within, scaled};

use super::{LONG, does, kill_leader_at};
use crate::cross::Pair;

const LINES: usize = 2000;

fn text(count: u64) -> String {
    let lines: String = (0..LINES).map(|n| format!("line {n}\n")).collect();
    format!("count {count}\n{lines}end\n")
}

/// `sed -i` writes another file and renames it.
#[test]
fn an_edited_file_is_old_or_new() {
    let pair = Pair::new();
    fs::write(pair.here("notes"), text(0)).unwrap();
    let edits = scaled(60u64, 1000);
    let script = format!("cd {MOUNT} && for n in $(seq {edits}); do sed -i \"1s/.*/count $n/\" notes; done");
    let (ended, newest) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        let reader = scope.spawn(|| reads(&pair, &ended, &newest));
        let mut editor = pair.r.cluster["client"].spawn("sed", &["sh", "-c", &script]);
        kill_leader_at(&pair.r, &mut editor, || newest.load(Ordering::Relaxed) > edits / 4);
        assert_eq!(editor.wait(LONG), 0, "{}", editor.output());
        assert!(holds_within(LONG, || newest.load(Ordering::Relaxed) == edits || reader.is_finished()));
        ended.store(true, Ordering::Relaxed);
        let looks = reader.join().expect("each look shows a whole file, and none an older one");
        println!("{looks} looks at {edits} versions");
    });
    assert_eq!(fs::read_to_string(pair.there("notes")).unwrap(), text(edits));
    with_vim(&pair);
    pair.r.trees_equal();
}

/// Opens and reads the file on the other mount, again and again.
fn reads(pair: &Pair, ended: &AtomicBool, newest: &AtomicU64) -> u64 {
    let mut looks = 0;
    while !ended.load(Ordering::Relaxed) {
        let seen = fs::read_to_string(pair.there("notes")).expect("the name is always there");
        let count = seen.lines().next().and_then(|line| line.strip_prefix("count ")?.parse().ok());
        let count: u64 = count.unwrap_or_else(|| panic!("it begins with {:?}", seen.lines().next()));
        assert!(seen == text(count), "version {count} is not whole: {} bytes", seen.len());
        assert!(count >= newest.load(Ordering::Relaxed), "an older version came back");
        newest.store(count, Ordering::Relaxed);
        looks += 1;
    }
    looks
}

/// vim, in each of its ways to write: beside the name and over it, and in place. Mode, owner and names stay as they were.
fn with_vim(pair: &Pair) {
    let client = &pair.r.cluster["client"];
    does(client, "chmod 640 notes && chown 1234:1235 notes && ln notes linked");
    let before: Vec<_> = names(pair);
    for (n, way) in ["no", "yes", "auto"].iter().enumerate() {
        let edit =
            format!("vim.tiny -N -u NONE -es -c 'set backupcopy={way}' -c '1s/.*/count {n}/' -c wq notes");
        does(client, &edit);
        assert_eq!(fs::read_to_string(pair.there("notes")).unwrap(), text(n as u64), "backupcopy={way}");
        assert_eq!(does(&pair.r.cluster["client2"], "stat -c '%a %u %g' notes").trim(), "640 1234 1235");
        assert_eq!(names(pair), before, "backupcopy={way}");
    }
}

fn names(pair: &Pair) -> Vec<String> {
    let entries = fs::read_dir(pair.there("")).unwrap().map(|entry| entry.unwrap());
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
