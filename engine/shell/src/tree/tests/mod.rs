//! Tests of the tree on a real file system: tmpfs where it is there and can hold identities, else the temporary directory.

mod apply;
mod checkpoint;
mod converge;
mod foreign;
mod listing;
mod rebuild;
mod resync;
pub(crate) mod rig;
mod sizes;
mod sums;
mod sweep;
