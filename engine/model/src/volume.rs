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

/// Largest state, bytes: each brick notes it in a [sealed](crate::sealed) file, and a mount is told it in a frame.
pub const STATE_BYTES: usize = 48 * 1024;

impl VolumeState {
    /// What is wrong with it; no brick takes such a state.
    #[must_use]
    pub fn problem(&self) -> Option<&'static str> {
        let parts = [self.name.len()].into_iter();
        let places = self.bricks.iter().map(|b| {
            let addresses: usize = b.addresses.iter().map(|a| a.len() + 4).sum();
            32 + b.host.len() + b.path.len() + addresses
        });
        let options = self.options.iter().map(|(key, value)| 8 + key.len() + value.len());
        let bytes: usize = parts.chain(places).chain(options).sum();
        if bytes > STATE_BYTES {
            return Some("the volume's state with all its options is larger than 48 KiB");
        }
        (self.bricks.len() > crate::limits::BRICKS).then_some("the volume has too many bricks")
    }
}
