//! Archives and copies of many files.

use std::path::{Path, PathBuf};

use rfs_cluster::{MOUNT, full};

use super::{does, does_while_a_leader_dies, site};

/// Part of `/usr/share`, once by rsync and once from an archive, compared by checksums, packed again, and removed.
#[test]
fn trees_are_copied_unpacked_and_packed() {
    let r = site();
    let client = &r.cluster["client"];
    let from = if full() { vec!["/usr/share".to_owned()] } else { some_of_usr_share() };
    let from = from.join(" ");
    let mount = client.path(MOUNT);
    let begun = |folder: &str| {
        let share = mount.join(folder).join("usr/share");
        move || share.read_dir().is_ok_and(|mut names| names.next().is_some())
    };
    does_while_a_leader_dies(&r, &format!("rsync -aHR {from} copy"), begun("copy"));
    does_while_a_leader_dies(&r, &format!("mkdir tar && tar -cP {from} | tar -x -C tar"), begun("tar"));
    for copy in ["copy", "tar"] {
        let unequal = does(client, &format!("rsync -aHRcniO --delete {from} {copy}"));
        assert_eq!(unequal, "", "{copy} differs");
    }
    // What is packed from the mount is what was there before, to the byte.
    let names = from.replace("/usr", "usr");
    let packed = |top: &str| does(client, &format!("tar -C {top} -c --sort=name {names} | sha256sum"));
    assert_eq!(packed("tar"), packed("/"));
    does(client, "rm -r copy tar");
    r.trees_equal();
}

/// Folders of a few megabytes and a few hundred files in all.
fn some_of_usr_share() -> Vec<String> {
    let wanted = ["bash-completion", "perl", "perl5", "zoneinfo", "terminfo", "misc", "git-core", "python3"];
    let there: Vec<PathBuf> =
        wanted.iter().map(|w| Path::new("/usr/share").join(w)).filter(|p| p.is_dir()).collect();
    assert!(!there.is_empty(), "nothing of {wanted:?} is in /usr/share");
    there.iter().map(|p| p.display().to_string()).collect()
}
