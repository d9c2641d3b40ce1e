//! inotify: what a mount tells of the changes made on it, and what of those made elsewhere.

use std::fs;

use rfs_cluster::{MOUNT, Spawned, until};

use super::{LONG, does, kill_leader_at};
use crate::cross::Pair;

/// Also after the leader died: the kernel watches, and asks nobody.
#[test]
fn inotify_tells_of_local_changes_only() {
    let pair = Pair::new();
    let (here, there) = (&pair.r.cluster["client"], &pair.r.cluster["client2"]);
    does(here, "mkdir watched && echo 1 > watched/old");
    let watch = format!("exec inotifywait -m --format '%e %f' {MOUNT}/watched");
    let mut watch = here.spawn("watch", &["sh", "-c", &watch]);
    until("it watches", LONG, || watch.output().contains("Watches established"));
    changes(&pair, "first");
    kill_leader_at(&pair.r, &mut watch, || true);
    changes(&pair, "second");
    tells(&watch, "first");
    tells(&watch, "second");

    does(
        there,
        "cd watched && echo 1 > far && echo 2 >> old && mv far farther && touch farther && mkdir further && rmdir further",
    );
    until("it is seen here", LONG, || pair.here("watched/farther").exists());
    assert_eq!(fs::read_to_string(pair.here("watched/old")).unwrap(), "1\n2\n");
    // What comes after it has been told: so would it have been.
    does(here, "touch watched/last");
    until("the last is told", LONG, || watch.output().contains("CREATE last"));
    let told = watch.output();
    let of_others = told.lines().filter(|line| {
        let changes = ["CREATE", "MODIFY", "MOVED", "ATTRIB", "CLOSE_WRITE"];
        changes.iter().any(|c| line.contains(c))
            && line
                .split_whitespace()
                .next_back()
                .is_some_and(|name| name.starts_with("fa") || name == "further" || name == "old")
    });
    assert_eq!(of_others.collect::<Vec<_>>(), Vec::<&str>::new(), "it tells more than the manual says");
}

fn changes(pair: &Pair, name: &str) {
    does(
        &pair.r.cluster["client"],
        &format!(
            "cd watched && echo 1 > {name} && chmod 600 {name} && mv {name} {name}-moved && rm {name}-moved"
        ),
    );
}

#[track_caller]
fn tells(watch: &Spawned, name: &str) {
    for event in ["CREATE", "MODIFY", "CLOSE_WRITE,CLOSE", "ATTRIB", "MOVED_FROM"] {
        let line = format!("{event} {name}");
        until(&line, LONG, || watch.output().lines().any(|l| l == line));
    }
    for event in ["MOVED_TO", "DELETE"] {
        let line = format!("{event} {name}-moved");
        until(&line, LONG, || watch.output().lines().any(|l| l == line));
    }
}
