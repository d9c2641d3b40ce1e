//! Random histories of one brick's tree on real file systems, crashes anywhere, and the proof that recovery makes the tree
//! the fold of the log: `docs/testing/converge.md`.
//!
//! ```text
//! history   operations, checkpoints, a crash, recovery with crashes inside; again with what was recovered
//! timeline  how each inode looked after each operation
//! mix       a crash state: each inode's names, data and attributes as of a time of their own
//! build     a picture put on a disk
//! recovery  recovery of one crash state to the end, and what must be true then
//! lost      a disk with effects of records that every log has lost
//! copy      a brick that gets a full copy from one that goes on changing
//! mutants   faults that must be noticed
//! mount     the four file systems, in a mount namespace of their own
//! ```

pub mod build;
pub mod copy;
pub mod history;
pub mod lost;
pub mod mix;
pub mod mount;
pub mod mutants;
pub mod recovery;
pub mod stats;
pub mod timeline;
