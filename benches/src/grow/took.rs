//! How long calls took. Counted in classes, so that those of an hour are no more than those of a second, and those of several
//! programs can be put together.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Each class ends so much above where it begins: what is told of a call is off by one hundredth at the most.
const WIDTH: f64 = 1.02;
/// Microseconds at which the first class begins.
const LEAST: f64 = 0.1;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Took {
    /// From the first call to the end of the last.
    pub seconds: f64,
    classes: BTreeMap<u32, u64>,
}

impl Took {
    pub fn add(&mut self, call: Duration) {
        let us = (call.as_secs_f64() * 1e6).max(LEAST);
        *self.classes.entry((us / LEAST).log(WIDTH) as u32).or_default() += 1;
    }

    /// Another program's, at the same time.
    pub fn beside(self, other: &Took) -> Took {
        let seconds = self.seconds.max(other.seconds);
        Took { seconds, ..self.then(other) }
    }

    /// The same program's, afterwards.
    pub fn then(mut self, other: &Took) -> Took {
        self.seconds += other.seconds;
        for (class, calls) in &other.classes {
            *self.classes.entry(*class).or_default() += calls;
        }
        self
    }

    pub fn calls(&self) -> u64 {
        self.classes.values().sum()
    }

    pub fn per_s(&self) -> f64 {
        if self.seconds > 0.0 { self.calls() as f64 / self.seconds } else { 0.0 }
    }

    /// Microseconds that this part of the calls took at most; 0 where there were none.
    pub fn us(&self, part: f64) -> f64 {
        let wanted = (self.calls() as f64 * part) as u64;
        let mut passed = 0;
        let class = self.classes.iter().find(|(_, calls)| {
            passed += **calls;
            passed > wanted
        });
        let last = self.classes.last_key_value();
        class.or(last).map_or(0.0, |(class, _)| LEAST * WIDTH.powf(f64::from(*class) + 0.5))
    }

    pub fn p50_us(&self) -> f64 {
        self.us(0.5)
    }

    pub fn p99_us(&self) -> f64 {
        self.us(0.99)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(value: f64, want: f64) -> bool {
        (value / want - 1.0).abs() <= 0.0101
    }

    #[test]
    fn parts_of_the_calls() {
        let mut took = Took::default();
        (1..=1000).for_each(|us| took.add(Duration::from_micros(us)));
        assert!(close(took.p50_us(), 501.0), "{}", took.p50_us());
        assert!(close(took.p99_us(), 991.0), "{}", took.p99_us());
        assert!(close(took.us(1.0), 1000.0), "{}", took.us(1.0));
        assert_eq!((took.calls(), Took::default().p99_us()), (1000, 0.0));
    }

    #[test]
    fn those_of_several_programs_and_of_one_after_the_other() {
        let mut one = Took { seconds: 2.0, ..Took::default() };
        one.add(Duration::from_micros(10));
        let mut other = Took { seconds: 1.0, ..Took::default() };
        other.add(Duration::from_millis(10));
        let beside = one.clone().beside(&other);
        assert_eq!((beside.seconds, beside.calls(), beside.per_s()), (2.0, 2, 1.0));
        assert!(close(beside.p99_us(), 10_000.0));
        assert_eq!(one.then(&other).seconds, 3.0);
    }

    #[test]
    fn what_is_said_is_what_is_heard() {
        let mut took = Took { seconds: 0.5, ..Took::default() };
        took.add(Duration::from_nanos(3));
        took.add(Duration::from_secs(70));
        let said = serde_json::to_string(&took).unwrap();
        assert_eq!(serde_json::from_str::<Took>(&said).unwrap(), took);
    }
}
