//! The consensus core of one brick of one replica set: sans-IO, one door.

pub mod api;
