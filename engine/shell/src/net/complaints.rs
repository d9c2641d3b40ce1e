//! A line in the log a second at the most about what strangers do, however often they do it.

use std::cell::Cell;
use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_secs(1);

/// Counts what is not said.
#[derive(Debug, Default)]
pub struct Complaints {
    last: Cell<Option<Instant>>,
    unsaid: Cell<u64>,
}

impl Complaints {
    /// Calls `say` with the number of complaints that were swallowed since the last one, unless that was less than a
    /// second ago.
    pub fn say(&self, say: impl FnOnce(u64)) {
        if self.last.get().is_some_and(|last| last.elapsed() < PAUSE) {
            self.unsaid.set(self.unsaid.get() + 1);
            return;
        }
        self.last.set(Some(Instant::now()));
        say(self.unsaid.take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_one_line() {
        let complaints = Complaints::default();
        let mut lines = Vec::new();
        for _ in 0..1000 {
            complaints.say(|more| lines.push(more));
        }
        assert_eq!(lines, [0]);
        complaints.last.set(None);
        complaints.say(|more| lines.push(more));
        assert_eq!(lines, [0, 999]);
    }
}
