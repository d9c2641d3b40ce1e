//! The look at a brick's index before it is opened, in a process of its own: redb panics over damage, and a brick with a
//! damaged index must not take the daemon and its other bricks with it.
//!
//! The process is this program once more, with the brick's path in the environment; so its `main` has to call
//! [`answer_if_asked`] before anything else. Where that was not called (tests, other programs) nothing is looked at.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::tree::verify_index;

const ASKED: &str = "RFS_CHECK_INDEX";
const PROGRAM: &str = "/proc/self/exe";

/// This program answers when it is asked.
static ANSWERS: AtomicBool = AtomicBool::new(false);

/// Where this process was started to look at an index, it does so and ends; otherwise it returns. To be called before any
/// thread is started.
pub fn answer_if_asked() {
    ANSWERS.store(true, Ordering::Relaxed);
    let Some(brick) = std::env::var_os(ASKED) else { return };
    std::panic::set_hook(Box::new(|panic| {
        let text = panic.payload_as_str().unwrap_or("a panic");
        eprintln!("{}", text.lines().next().unwrap_or_default());
    }));
    match verify_index(Path::new(&brick)) {
        Ok(()) => std::process::exit(0),
        Err(fault) => {
            eprintln!("{fault}");
            std::process::exit(1);
        }
    }
}

/// Looks at the index of a brick that nobody has open. Blocks, for as long as reading the index takes.
///
/// # Errors
/// One line: it is damaged. Not when the look itself was impossible: that is logged.
pub(super) fn check(brick: &Path) -> Result<(), String> {
    if !ANSWERS.load(Ordering::Relaxed) {
        return Ok(());
    }
    let mut look = Command::new(PROGRAM);
    look.env(ASKED, brick.as_os_str()).stdin(Stdio::null()).stdout(Stdio::null());
    match look.output() {
        Ok(done) if done.status.success() => Ok(()),
        Ok(done) => Err(format!("{}/.rfs/index.redb is damaged: {}", brick.display(), why(&done.stderr))),
        Err(e) => {
            tracing::warn!("{}: its index is not looked at before it is opened: {e}", brick.display());
            Ok(())
        }
    }
}

/// The first line that the process said.
fn why(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let first = text.lines().find(|line| !line.trim().is_empty());
    first.unwrap_or("it cannot be read").to_owned()
}
