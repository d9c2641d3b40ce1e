//! rfs as a whole, on hosts of its own: real processes, kernels, mounts and networks, and what can go wrong with them.
//!
//! One program, so that it is linked once; each subject is a module. `RFS_FULL=1` makes every test longer, none different.

mod awkward;
mod clock;
mod cross;
mod daemon;
mod damage;
mod embedded;
mod failing;
mod faults_network;
mod faults_process;
mod full_disk;
mod hard_case;
mod heal;
mod local_reads;
mod mount_killed;
mod options;
mod power;
mod programs;
mod refusals;
mod shapes;
mod slow;
mod tutorial;
mod two_mounts;
mod way_out;
mod window;
