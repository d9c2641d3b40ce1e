//! Open files whose names go.

use std::fs::{self, File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::time::Duration;

use rfs_cluster::servers::BRICKD;
use rfs_cluster::{Signal, until};

use super::Pair;

const TEXT: &[u8] = b"still here";

fn open(path: &Path) -> File {
    OpenOptions::new().read(true).write(true).open(path).unwrap()
}

/// Reads past the page cache too: what the kernel holds would prove nothing.
fn holds(file: &File, text: &[u8]) {
    rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
    let mut seen = vec![0; text.len()];
    file.read_exact_at(&mut seen, 0).unwrap();
    assert_eq!(seen, text);
    assert_eq!(file.metadata().unwrap().len(), text.len() as u64);
}

/// Whether the kernel still knows under which name it was opened: getcwd(2) in a directory fails where it does not.
fn has_its_path(file: &File) -> bool {
    let path = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).unwrap();
    !path.as_os_str().as_encoded_bytes().ends_with(b" (deleted)")
}

/// By the own mount, by the other one, by a rename over it; the leader may die meanwhile. Nothing of it stays. What keeps
/// its name is not taken for removed when the leader dies.
#[test]
fn an_open_file_without_a_name_stays_readable() {
    let pair = Pair::new();
    let names = ["own", "others", "over"];
    names.iter().for_each(|name| fs::write(pair.here(name), TEXT).unwrap());
    let files = names.map(|name| open(&pair.here(name)));
    fs::remove_file(pair.here("own")).unwrap();
    fs::remove_file(pair.there("others")).unwrap();
    fs::write(pair.there("new"), "another").unwrap();
    fs::rename(pair.there("new"), pair.there("over")).unwrap();
    files.iter().for_each(|file| holds(file, TEXT));
    // The old one is open here, so the name may lead to it for as long as the kernel believes names.
    until("the name is the new one's", Duration::from_secs(20), || {
        fs::read_to_string(pair.here("over")).unwrap() == "another"
    });

    fs::create_dir(pair.here("dir")).unwrap();
    fs::write(pair.here("dir/file"), TEXT).unwrap();
    let kept = ["dir", "dir/file"].map(|name| File::open(pair.here(name)).unwrap());
    assert!(!has_its_path(&files[0]) && kept.iter().all(has_its_path));

    let leader = pair.r.leader().to_owned();
    pair.r.cluster[&leader].kill(Signal::KILL, BRICKD);
    for file in &files {
        file.write_all_at(b"STILL", 0).unwrap();
        file.sync_all().unwrap();
        holds(file, b"STILL here");
    }
    pair.r.cluster[&leader].start_brickd();
    pair.r.settled();
    files.iter().for_each(|file| holds(file, b"STILL here"));
    until("no link is shown", Duration::from_secs(20), || {
        files.iter().all(|file| file.metadata().unwrap().nlink() == 0)
    });
    assert!(kept.iter().all(has_its_path), "{kept:?}");
    drop((files, kept));
    pair.r.trees_equal();
}
