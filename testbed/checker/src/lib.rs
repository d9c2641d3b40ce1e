//! An explicit-state model of the replication rules: quorums, elections, configuration changes, the witness, leases and power
//! loss, as the replication protocol states them and `engine/core` builds them. Every state within the bounds of a
//! [model](models::MODELS) is visited; every [rule](rules::RULES) can be taken out, and then a state must be found that
//! breaks a promise. [Leases on directories](dirlease) are a protocol of their own, searched in the same way.

pub mod config;
pub mod dirlease;
pub mod fingerprint;
pub mod live;
pub mod model;
pub mod models;
pub mod mutants;
pub mod protocol;
pub mod quorum;
pub mod replication;
pub mod report;
pub mod rules;
pub mod search;
pub mod show;
pub mod state;
pub mod step;
pub mod symmetry;
pub mod visited;
