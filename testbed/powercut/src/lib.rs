//! Power cuts of real file systems, on block devices that record what they are told.
//!
//! A device is a loop device over a FUSE file that notes every write and every flush. From the notes, the disk is built
//! again as a cut at any moment could have left it: what was flushed before, and any part of the rest. See
//! docs/testing/powercut.md.

pub mod campaign;
pub mod check;
pub mod clock;
pub mod cut;
pub mod device;
pub mod image;
pub mod record;
pub mod site;
pub mod work;
