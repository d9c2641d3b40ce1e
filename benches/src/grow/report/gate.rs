//! What a result has to keep to.

use serde::Serialize;

use super::MIB;

/// How much more the last tenth may be than the second one where something is to be flat. The first is left out: caches fill.
const FLAT: f64 = 1.25;

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Gate {
    pub what: String,
    pub value: f64,
    pub least: Option<f64>,
    pub most: Option<f64>,
    pub met: bool,
}

impl Gate {
    pub fn at_least(what: impl Into<String>, value: f64, least: f64) -> Gate {
        Gate { what: what.into(), value, least: Some(least), most: None, met: value >= least }
    }

    pub fn at_most(what: impl Into<String>, value: f64, most: f64) -> Gate {
        Gate { what: what.into(), value, least: None, most: Some(most), met: value <= most }
    }

    /// MiB.
    pub fn bytes(what: &str, bytes: u64, most: u64) -> Gate {
        Gate::at_most(format!("{what}, MiB"), bytes as f64 / MIB, most as f64 / MIB)
    }

    pub fn line(&self) -> String {
        let bound = match (self.least, self.most) {
            (Some(least), _) => format!("at least {least}"),
            (None, most) => format!("at most {}", most.unwrap_or_default()),
        };
        format!("{} {}: {:.2}, {bound}", if self.met { "met   " } else { "MISSED" }, self.what, self.value)
    }
}

/// The last tenth is about as the second one: by medians.
pub fn flat(what: &str, values: &[f64]) -> Gate {
    let (second, last) = (median_of_tenth(values, 1), median_of_tenth(values, 9));
    let ratio = if second > 0.0 { last / second } else { 1.0 };
    Gate::at_most(format!("{what}, median of the last tenth / of the second"), ratio, FLAT)
}

/// Of the values of that tenth, counted from 0; the one that is nearest where there are fewer than ten.
fn median_of_tenth(values: &[f64], tenth: usize) -> f64 {
    let at = |tenth: usize| values.len() * tenth / 10;
    let (from, to) = (at(tenth), at(tenth + 1).max(at(tenth) + 1).min(values.len()));
    let mut part = values.get(from..to).unwrap_or_default().to_vec();
    part.sort_by(f64::total_cmp);
    part.get(part.len().saturating_sub(1) / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_belong_to_what_is_met() {
        let gates = [
            (Gate::at_least("a", 0.8, 0.8), true),
            (Gate::at_least("a", 0.79, 0.8), false),
            (Gate::at_most("a", 1.0, 1.0), true),
            (Gate::bytes("a", 513 << 20, 512 << 20), false),
        ];
        assert!(gates.iter().all(|(gate, met)| gate.met == *met), "{gates:?}");
        assert_eq!(gates[1].0.line(), "MISSED a: 0.79, at least 0.8");
        assert_eq!(gates[3].0.line(), "MISSED a, MiB: 513.00, at most 512");
    }

    #[test]
    fn the_first_tenth_does_not_count() {
        let mut values: Vec<f64> = vec![1.0; 60];
        values[..6].fill(100.0);
        assert!(flat("a", &values).met);
        values[54..].fill(1.26);
        assert!(!flat("a", &values).met);
        values[57..].fill(0.0);
        assert!(flat("a", &values).met, "the lower of the two in the middle");
    }

    #[test]
    fn tenths_of_few_values() {
        assert_eq!(median_of_tenth(&[], 9), 0.0);
        assert_eq!(median_of_tenth(&[3.0], 9), 3.0);
        let values: Vec<f64> = (0..10).map(f64::from).collect();
        assert_eq!((median_of_tenth(&values, 1), median_of_tenth(&values, 9)), (1.0, 9.0));
    }
}
