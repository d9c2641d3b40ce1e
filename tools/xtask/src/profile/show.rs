//! The short form of a profile: which threads, and which functions, had the processor.

use std::collections::BTreeMap;

use super::Process;
use super::samples::Stack;
use crate::table;

/// Longer names are cut: the drawing has them whole.
const NAME: usize = 100;

pub fn print(processes: &[Process], top: usize) {
    let all: u64 = processes.iter().map(Process::samples).sum();
    let threads = processes.iter().flat_map(|process| {
        let of = shares(&process.stacks, |stack| Some(stack.thread.as_str()));
        of.into_iter().map(|(thread, samples)| {
            vec![process.title(), thread, samples.to_string(), percent(samples, all)]
        })
    });
    table::print(&["process", "thread", "samples", "of all"], &threads.collect::<Vec<_>>());
    for process in processes {
        println!("\n{}, {} samples", process.title(), process.samples());
        let of = shares(&process.stacks, |stack| stack.frames.last().map(String::as_str));
        let rows = of.into_iter().take(top).map(|(name, samples)| {
            let name: String = name.chars().take(NAME).collect();
            vec![name, percent(samples, process.samples())]
        });
        table::print(&["function, by itself (_[k]: of the kernel)", "of these"], &rows.collect::<Vec<_>>());
    }
}

/// Samples by what `key` says of each stack, the most first.
fn shares<'a>(stacks: &'a [Stack], key: impl Fn(&'a Stack) -> Option<&'a str>) -> Vec<(String, u64)> {
    let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
    for stack in stacks {
        *sums.entry(key(stack).unwrap_or("?")).or_default() += stack.samples;
    }
    let mut all: Vec<(String, u64)> = sums.into_iter().map(|(k, n)| (k.to_owned(), n)).collect();
    all.sort_by_key(|(_, samples)| std::cmp::Reverse(*samples));
    all
}

fn percent(part: u64, of: u64) -> String {
    format!("{:.1} %", part as f64 * 100.0 / of.max(1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_added_up_and_the_most_come_first() {
        let stack = |thread: &str, function: &str, samples| Stack {
            thread: thread.to_owned(),
            frames: vec!["main".to_owned(), function.to_owned()],
            samples,
        };
        let stacks = [stack("a", "f", 1), stack("b", "g", 5), stack("a", "g", 2)];
        let functions = shares(&stacks, |s| s.frames.last().map(String::as_str));
        assert_eq!(functions, [("g".to_owned(), 7), ("f".to_owned(), 1)]);
        assert_eq!(shares(&stacks, |s| Some(&s.thread))[0], ("b".to_owned(), 5));
        assert_eq!(percent(1, 8), "12.5 %");
    }
}
