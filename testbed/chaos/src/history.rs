//! All that was recorded of a run.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::clock::Micros;
use crate::event::Event;
use crate::look::Place;
use crate::nemesis::{Fault, Kind};

/// What one client did, in order.
#[derive(Clone, Debug, Default)]
pub struct Track {
    /// `KIND-HOST`
    pub client: String,
    pub host: String,
    pub events: Vec<Event>,
}

/// A fault as it happened: from before it was done until after it was undone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spell {
    pub begun: Micros,
    pub ended: Micros,
    pub fault: Fault,
    /// Of a mount that was told to end: it did so in good order.
    #[serde(default)]
    pub drained: bool,
}

/// A run.
#[derive(Clone, Debug, Default)]
pub struct History {
    pub tracks: Vec<Track>,
    pub spells: Vec<Spell>,
    /// What was there at the end, as each mount and each brick shows it.
    pub places: Vec<Place>,
}

/// What the system takes to notice that a fault is over: the leader hears of room on a disk, a kernel of a new mount.
const AFTERMATH: Micros = 20_000_000;

/// How long a mount that is gone may have kept something that was acknowledged and not durable.
const MEMORY: Micros = 60_000_000;

impl History {
    /// Faults of some kind at a host (any, if none is named) that began before `to` and did not end before `from`.
    pub fn spells_in<'a>(
        &'a self,
        host: Option<&'a str>,
        from: Micros,
        to: Micros,
        kind: impl Fn(Kind) -> bool + 'a,
    ) -> impl Iterator<Item = &'a Spell> {
        self.spells.iter().filter(move |s| {
            kind(s.fault.kind) && host.is_none_or(|h| s.fault.host == h) && s.begun <= to && s.ended >= from
        })
    }

    /// Whether a disk was full then, or shortly before.
    #[must_use]
    pub fn was_full(&self, from: Micros, to: Micros) -> bool {
        self.spells_in(None, from.saturating_sub(AFTERMATH), to, |k| k == Kind::Full).next().is_some()
    }

    /// The first end of the host's mount in that time.
    #[must_use]
    pub fn mount_end<'a>(&'a self, host: &'a str, from: Micros, to: Micros) -> Option<&'a Spell> {
        self.spells_in(Some(host), from, to, Kind::ends_mount).min_by_key(|s| s.begun)
    }

    /// Whether what this host was told to be committed at `at`, and not to be durable, may be lost: its mount died
    /// before that was durable, and so did a brick's kernel.
    #[must_use]
    pub fn may_forget(&self, host: &str, at: Micros) -> bool {
        let (from, to) = (at.saturating_sub(MEMORY), at + MEMORY);
        let died = self.spells_in(Some(host), at, to, Kind::ends_mount).next().is_some();
        died && self.spells_in(None, from, to, |k| k == Kind::Power).next().is_some()
    }
}

/// Reads a client's file.
///
/// # Errors
/// It cannot be read, or a line of it.
pub fn read_track(client: &str, host: &str, file: &Path) -> Result<Track> {
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let events = text
        .lines()
        .enumerate()
        .map(|(n, line)| serde_json::from_str(line).with_context(|| format!("{}:{}", file.display(), n + 1)));
    Ok(Track { client: client.into(), host: host.into(), events: events.collect::<Result<_>>()? })
}
