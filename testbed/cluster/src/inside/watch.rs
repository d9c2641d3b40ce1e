//! The longest of many operations, and the first that failed.

use std::io;
use std::time::Instant;

use crate::load::Summary;

#[derive(Default)]
pub struct Watch {
    pub sum: Summary,
}

impl Watch {
    /// Runs one operation, and keeps the longest wait and the first error.
    pub fn time<T>(&mut self, what: &str, line: u64, op: impl FnOnce() -> io::Result<T>) -> Option<T> {
        let start = Instant::now();
        let result = op();
        let ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        if ms >= self.sum.longest_ms {
            (self.sum.longest_ms, self.sum.longest_op) = (ms, format!("{what} at line {line}"));
        }
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.sum.error.get_or_insert(format!("{what} at line {line} after {ms} ms: {error}"));
                None
            }
        }
    }

    /// Prints the summary; the exit code says whether there was an error.
    pub fn report(&self) -> io::Result<i32> {
        println!("{}", serde_json::to_string(&self.sum)?);
        Ok(i32::from(self.sum.error.is_some()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_stops_and_is_reported() {
        let mut watch = Watch::default();
        watch.time("open", 0, || Err::<(), _>(io::Error::other("no"))).unwrap_or(());
        assert_eq!(watch.report().unwrap(), 1);
    }
}
