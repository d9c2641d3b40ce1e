//! Tests of admission: tables, a model with random histories, exactly-once across leaders.

mod leases;
mod lineage;
mod model;
mod once;
mod reference;
mod rig;
mod snapshot;
mod space;
mod tables;
mod volatile;
