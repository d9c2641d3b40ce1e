//! The core in a small world: bricks, a witness, links and disks in virtual time. Stories that a colleague can read, and
//! random histories; the simulator of the testbed does the same to the whole brick.

mod chaos;
mod disk;
mod found;
mod lineages;
mod net;
mod oracle;
mod outsider;
mod stories;
