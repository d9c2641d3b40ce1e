//! How many inodes are known at a time, and when the kernel is asked to forget some.
//!
//! The kernel forgets inodes only when it needs memory itself. So it is asked for batches, while there are too many. It may
//! answer late, or never, for what is in use there: between two batches there is a pause, of so many inodes that were told,
//! and it doubles while batches bring nothing.

/// So many inodes are known when nobody says otherwise: some 90 MiB.
pub const INODES: usize = 200_000;
/// Asked for at a time.
const BATCH: usize = 256;
/// Looked at for one batch.
pub const LOOKS: usize = 4 * BATCH;
/// Inodes that are told between two batches, at the least and at the most.
const PAUSE: usize = 32;
const LONGEST_PAUSE: usize = 16 * 1024;

/// Says when, and how many.
#[derive(Debug)]
pub struct Trim {
    limit: usize,
    /// There have been more than `limit`, and are more than the low mark.
    trims: bool,
    /// Tellings until the next batch, and from the last one to that.
    left: usize,
    pause: usize,
    /// How many the last batch asked for, and how many were forgotten since.
    asked: usize,
    forgotten: usize,
}

impl Trim {
    /// `limit` 0: as many as there are.
    pub fn new(limit: usize) -> Self {
        let limit = if limit == 0 { usize::MAX } else { limit };
        Self { limit, trims: false, left: 0, pause: PAUSE, asked: 0, forgotten: 0 }
    }

    /// The kernel is told of an inode, and there are so many. Returns how many it is to be asked for now.
    pub fn told(&mut self, rows: usize) -> usize {
        let low = self.limit - self.limit / 8;
        self.trims = rows > if self.trims { low } else { self.limit };
        self.left = self.left.saturating_sub(1);
        if !self.trims || self.left > 0 {
            return 0;
        }
        let in_vain = self.forgotten < self.asked / 2;
        self.pause = if in_vain { (2 * self.pause).min(LONGEST_PAUSE) } else { PAUSE };
        self.left = self.pause;
        BATCH.min(rows - low)
    }

    /// So many were found to ask for.
    pub fn asked(&mut self, count: usize) {
        (self.asked, self.forgotten) = (count, 0);
    }

    /// The kernel has forgotten one, asked or not.
    pub fn forgotten(&mut self) {
        self.forgotten += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How often it asked while `times` were told, of which so many of each hundred are forgotten.
    fn batches(trim: &mut Trim, rows: usize, times: usize, percent: usize) -> usize {
        let mut batches = 0;
        for _ in 0..times {
            let count = trim.told(rows);
            if count > 0 {
                trim.asked(count);
                (0..count * percent / 100).for_each(|_| trim.forgotten());
                batches += 1;
            }
        }
        batches
    }

    #[test]
    fn it_begins_above_the_limit_and_ends_at_seven_eighths() {
        let mut trim = Trim::new(8000);
        let table =
            [(8000, 0), (8001, BATCH), (7900, BATCH), (7100, 100), (7000, 0), (7900, 0), (8001, BATCH)];
        for (rows, count) in table {
            trim.left = 0;
            assert_eq!(trim.told(rows), count, "{rows}");
        }
        assert_eq!(batches(&mut Trim::new(0), 1 << 40, 1000, 100), 0);
    }

    #[test]
    fn what_brings_nothing_is_done_ever_more_seldom_and_what_does_is_not() {
        let mut trim = Trim::new(1000);
        assert_eq!(batches(&mut trim, 2000, 100 * PAUSE, 90), 100);
        assert!(batches(&mut trim, 2000, 1_000_000, 10) < 80);
        assert_eq!(trim.pause, LONGEST_PAUSE);
        trim.left = 0;
        assert_eq!(batches(&mut trim, 2000, 1, 90), 1);
        assert_eq!(batches(&mut trim, 2000, LONGEST_PAUSE + 100 * PAUSE, 90), 1 + 100);
    }
}
