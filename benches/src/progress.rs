//! How far it is: a bar on a terminal, a line for each step elsewhere.

use indicatif::{ProgressBar, ProgressStyle};

pub struct Progress(ProgressBar);

impl Progress {
    pub fn new(steps: u64) -> Progress {
        let bar = ProgressBar::new(steps);
        let style = ProgressStyle::with_template("{elapsed_precise} {bar:30} {pos}/{len} {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Progress(bar)
    }

    /// A step begins.
    pub fn begins(&self, what: &str) {
        if self.0.is_hidden() {
            eprintln!("{}/{} {what}", self.0.position() + 1, self.0.length().unwrap_or_default());
        }
        self.0.set_message(what.to_owned());
        self.0.tick();
    }

    /// It has ended.
    pub fn ended(&self) {
        self.0.inc(1);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
