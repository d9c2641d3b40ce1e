//! What programs seldom do, and some cannot do without: each test is a sentence of `docs/semantics.md`.

mod acls;
mod attributes;
mod holes;
mod identity;
mod large;
mod modes;
mod names;
mod namespaces;
mod read_only;
mod special;
mod times;

use std::io;
use std::path::Path;
use std::time::Duration;

use rfs_cluster::{Host, MOUNT, Ran};

/// Long enough for a push, however much the machine has to do, and less than a kernel believes anything by itself.
const SOON: Duration = Duration::from_secs(20);

/// Somebody who may do nothing special.
const USER: u32 = 1234;

/// A line of shell as [`USER`], in no other group, in the mount's root.
#[track_caller]
fn as_user(host: &Host, script: &str) -> Ran {
    let user = USER.to_string();
    let script = format!("cd {MOUNT} && {script}");
    host.run(&["setpriv", "--reuid", &user, "--regid", &user, "--clear-groups", "sh", "-c", &script])
}

/// The same as root.
#[track_caller]
fn as_root(host: &Host, script: &str) -> Ran {
    host.sh(&format!("cd {MOUNT} && {script}"))
}

/// The error number of what must fail.
#[track_caller]
fn error<T: std::fmt::Debug>(result: Result<T, impl Into<io::Error>>) -> i32 {
    match result {
        Ok(done) => panic!("it worked: {done:?}"),
        Err(error) => error.into().raw_os_error().expect("an error number"),
    }
}

fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}
