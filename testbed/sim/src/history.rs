//! What happened, as a sum over all of it and, where asked for, as lines of text.

use std::fmt;

/// FNV-1a over every line, whether it is printed or not.
#[derive(Debug)]
pub struct History {
    sum: u64,
    print: bool,
}

struct Sum<'a>(&'a mut u64);

impl fmt::Write for Sum<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            *self.0 = (*self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        Ok(())
    }
}

impl History {
    #[must_use]
    pub fn new(print: bool) -> Self {
        Self { sum: 0xcbf2_9ce4_8422_2325, print }
    }

    /// One line of a person's interest.
    pub fn line(&mut self, now_us: u64, text: fmt::Arguments<'_>) {
        self.number(now_us);
        // Writing into a sum cannot fail.
        let _ = fmt::write(&mut Sum(&mut self.sum), text);
        if self.print {
            println!("{:>10.3} ms  {text}", now_us as f64 / 1000.0);
        }
    }

    /// Something only the sum shall know.
    pub fn number(&mut self, number: u64) {
        self.sum = (self.sum ^ number).wrapping_mul(0x0100_0000_01b3).rotate_left(17);
    }

    #[must_use]
    pub fn prints(&self) -> bool {
        self.print
    }

    #[must_use]
    pub fn sum(&self) -> u64 {
        self.sum
    }
}
