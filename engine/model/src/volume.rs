//! The state of a volume, which lives in its own log as records of kind [`Volume`](crate::RecordKind::Volume): agreed,
//! healed and fenced like data.

use crate::hello::BrickPlace;
use crate::ids::VolumeId;
use crate::layout;

/// One record holds the whole of it: the newest one counts.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct VolumeState {
    pub id: VolumeId,
    pub name: String,
    /// Stopped volumes run their consensus and take no sessions.
    pub started: bool,
    /// Bricks in the order of `volume create`.
    pub bricks: Vec<BrickPlace>,
    /// Options that differ from their defaults, by key.
    pub options: Vec<(String, String)>,
    /// Replica sets; 1 until volumes of several sets exist.
    pub sets: u32,
}
layout!(VolumeState { id, name, started, bricks, options, sets });
