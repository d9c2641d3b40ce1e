//! What came of an axis: points, what they have to keep to, and how they are drawn.

mod gate;
mod plot;
mod text;

use std::collections::BTreeMap;

use serde::Serialize;

pub use gate::{Gate, flat};
pub use plot::{Line, Panel};

use crate::output::Output;

pub const MIB: f64 = (1u64 << 20) as f64;

/// How one thing grows with another.
#[derive(Debug, Serialize)]
pub struct Grown {
    pub axis: &'static str,
    /// What was done, and how much of it.
    pub what: String,
    pub points: Vec<Point>,
    pub gates: Vec<Gate>,
    /// What else is to be known.
    pub notes: Vec<String>,
    #[serde(skip)]
    pub columns: Vec<Column>,
    #[serde(skip)]
    pub panels: Vec<Panel>,
}

/// One value of each kind that was measured there, by key.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Point(BTreeMap<&'static str, f64>);

/// How the values of one key are shown in a table.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    pub key: &'static str,
    title: &'static str,
    digits: usize,
}

impl Column {
    pub const fn new(key: &'static str, title: &'static str, digits: usize) -> Column {
        Column { key, title, digits }
    }
}

impl Point {
    #[must_use]
    pub fn with(mut self, key: &'static str, value: f64) -> Point {
        self.0.insert(key, value);
        self
    }

    pub fn get(&self, key: &str) -> Option<f64> {
        self.0.get(key).copied()
    }
}

impl Grown {
    /// The values of one key, in the order of the points that have it.
    pub fn values(&self, key: &str) -> Vec<f64> {
        self.points.iter().filter_map(|point| point.get(key)).collect()
    }

    pub fn output(&self) -> anyhow::Result<Output> {
        Ok(Output {
            text: self.text(),
            json: serde_json::to_string_pretty(self)?,
            plots: vec![(format!("grow-{}", self.axis), self.plot()?)],
        })
    }
}
