//! Sums of what files hold, so that rot is noticed before anybody is served it.
//!
//! Each block of 4 KiB of a file that has not changed for a while has a CRC-32 in the index. Reads compare; so does a write
//! that changes a block in part, because what it leaves of the block would get a new sum with it. Blocks without a sum are
//! read as they are: those that changed a moment ago, and those that nobody has come to yet.
//!
//! The size that records gave a file is in its index entry, from the record on: what is missing at the end of a file that was
//! cut counts as rotten, whether it had sums or not.
//!
//! **Order.** A change drops the sums of the blocks it touches, in memory, before it touches them ([`Tree::touch`]); reads
//! see that at once. Sums that were computed on a thread are taken only if nothing touched their blocks since the thread
//! began ([`Tree::sums_done`]). Both get to the disk with the checkpoint, in its one transaction, which comes after `syncfs`.
//!
//! **After a crash** the sums on disk are those of the checkpoint N: they describe the files as of N, and what of that the
//! file system was told to keep. A block that changed after N was changed by records of W, the committed log after N.
//! [`Tree::converge`] does those again by the same calls, which drop the same sums; so no sum outlives what it describes. A
//! change that was begun before its record was applied ([`Tree::prelude`]) is a record of W too. One gap is left: what of
//! a block a record of W did not touch is taken as the crash left it. A power loss may take the same unsynced records from
//! every log, and blocks then hold what no log tells of: the sums of files that have changed since the checkpoint are forgotten,
//! and the files compared with the leader's (`doubts.rs`).

mod blocks;
mod chunk;
mod inspect;
mod job;
mod map;
mod mend;
mod settle;
mod size;
mod verify;

pub(super) use chunk::{BLOCK, BLOCKS, ChunkSums};
pub(super) use map::{FileSums, SumChanges, SumsMap};
pub(super) use settle::Settling;
pub(super) use verify::{Expected, Unread};

pub use chunk::CHUNK;
pub use inspect::{InodeMeta, Inspected, Look};
pub use job::{SumJob, Summed};
pub use mend::{Given, Mend, Mended};
pub use verify::{Checked, Rotten};
