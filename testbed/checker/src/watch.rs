//! A search with its figures on the terminal.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use rfs_checker::protocol::Protocol;
use rfs_checker::search::{Found, Options, Progress, search as find};

const PAUSE: Duration = Duration::from_millis(200);

/// Searches, and shows how far it is where there is a terminal.
pub fn search<P: Protocol>(name: &str, protocol: &P, options: Options) -> Found {
    let progress = Progress::default();
    let bar = ProgressBar::new_spinner();
    bar.set_style(ProgressStyle::with_template("{spinner} {msg}").expect("a template that is well-formed"));
    let begun = Instant::now();
    let found = std::thread::scope(|scope| {
        let search = scope.spawn(|| find(protocol, options, &progress));
        while !search.is_finished() {
            bar.set_message(figures(name, &progress, begun));
            bar.tick();
            std::thread::park_timeout(PAUSE.min(begun.elapsed() / 4));
        }
        search.join().expect("the search")
    });
    bar.finish_and_clear();
    found
}

fn figures(name: &str, progress: &Progress, begun: Instant) -> String {
    let states = progress.states.load(Relaxed);
    let each_second = states as f64 / begun.elapsed().as_secs_f64().max(0.001);
    let (frontier, depth) = (progress.frontier.load(Relaxed), progress.depth.load(Relaxed));
    format!("{name}: {states} states, {each_second:.0}/s, step {depth}, frontier {frontier}")
}
