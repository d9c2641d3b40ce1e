//! What to do: consensus, sessions, admission, locks and the plan of recovery, sans-IO and deterministic. No clock, no
//! randomness, no files, no async: the same code runs in the daemon, the simulator and the model checker.

pub mod acl;
pub mod admit;
pub mod consensus;
pub mod converge;
pub mod locks;
pub mod sessions;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod witness;
