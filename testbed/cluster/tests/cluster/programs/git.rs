//! git: clone, status, commit, gc, fsck.

use std::path::Path;

use rfs_cluster::{MOUNT, full};

use super::{does, does_while_a_leader_dies, site};

const GIT: &str = "git -c safe.directory='*' -c user.name=n -c user.email=e@example.org";

/// This repository; in the short form only two of its folders are checked out.
#[test]
fn a_repository_is_cloned_changed_and_packed() {
    let r = site();
    let client = &r.cluster["client"];
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    let clone = client.path(MOUNT).join("clone/.git");
    let sparse = if full() { "" } else { "--sparse" };
    does_while_a_leader_dies(
        &r,
        &format!("{GIT} clone -q --no-local {sparse} 'file://{}' clone", repository.display()),
        || clone.join("objects").is_dir(),
    );
    if !full() {
        does(client, &format!("cd clone && {GIT} sparse-checkout set engine/shell mountd"));
    }
    assert_eq!(
        does(client, &format!("cd clone && {GIT} fsck --full --strict && {GIT} status --porcelain")),
        ""
    );
    does(
        client,
        &format!(
            "cd clone && {GIT} checkout -q -b other && find mountd -name '*.rs' -exec sed -i '1i // changed' {{}} + && \
             {GIT} commit -q -a -m changed && git -c safe.directory='*' status --porcelain"
        ),
    );
    does_while_a_leader_dies(&r, &format!("cd clone && {GIT} gc -q --prune=now"), || {
        clone.join("gc.pid").exists() || clone.join("packed-refs.lock").exists()
    });
    does(client, &format!("cd clone && {GIT} fsck --full --strict && rm -r ../clone"));
    r.trees_equal();
}
