//! Hosts for tests, on one machine, made of namespaces.
//!
//! Each host owns a network, mount, UTS and PID namespace: its own host name, `/etc/hosts`, machine id, boot id, `/run`,
//! `/var/lib/rfs`, `/data` and `/mnt`, and one port on a bridge that belongs to the cluster alone and has no uplink.
//! Nothing of it has a name outside of the namespaces, so any number of clusters run side by side, and the kernel takes
//! all of it away when the test's process ends, however it ends.
//!
//! Needs root, iproute2, util-linux and `/dev/fuse`. Helpers panic with a full account of what happened: they are for tests.

pub mod binaries;
pub mod cable;
pub mod clock;
pub mod cluster;
pub mod damage;
pub mod disk;
pub mod enter;
pub mod folder;
pub mod holder;
pub mod host;
pub mod inside;
pub mod load;
pub mod lock;
pub mod processes;
pub mod ran;
pub mod relay;
pub mod runbook;
pub mod servers;
pub mod spawned;
pub mod switch;
pub mod tree;
pub mod trial;
pub mod volume;
pub mod wait;

pub use cluster::{Builder, Cluster};
pub use disk::Disk;
pub use host::Host;
pub use load::{Load, Summary};
pub use ran::Ran;
pub use runbook::Recipe;
pub use rustix::process::Signal;
pub use spawned::Spawned;
pub use trial::{full, scaled};
pub use volume::{BRICK, MOUNT, Replica, VOLUME};
pub use wait::{holds_within, until};
