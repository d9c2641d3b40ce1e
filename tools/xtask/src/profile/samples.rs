//! What perf has seen: stacks, each with the number of samples that found it.

use std::collections::BTreeMap;
use std::io::{self, BufRead};

use inferno::collapse::Collapse;
use inferno::collapse::perf::{Folder, Options};

/// A stack of one thread; the outermost frame first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stack {
    pub thread: String,
    pub frames: Vec<String>,
    pub samples: u64,
}

impl Stack {
    /// As the drawing of flame graphs wants it.
    pub fn line(&self) -> String {
        format!("{};{} {}", self.thread, self.frames.join(";"), self.samples)
    }
}

/// What `perf script` says, with equal stacks put together: `thread-pid;frame;frame samples`.
pub fn fold(script: impl BufRead) -> io::Result<String> {
    let mut options = Options::default();
    (options.include_pid, options.annotate_kernel) = (true, true);
    let mut out = Vec::new();
    Folder::from(options).collapse(script, &mut out)?;
    String::from_utf8(out).map_err(io::Error::other)
}

/// Stacks by the id of their process.
pub fn by_process(folded: &str) -> BTreeMap<u32, Vec<Stack>> {
    let mut all: BTreeMap<u32, Vec<Stack>> = BTreeMap::new();
    for (pid, stack) in folded.lines().filter_map(parse) {
        all.entry(pid).or_default().push(stack);
    }
    all
}

fn parse(line: &str) -> Option<(u32, Stack)> {
    let (stack, samples) = line.rsplit_once(' ')?;
    let mut frames = stack.split(';').map(str::to_owned);
    let root = frames.next()?;
    let (thread, pid) = root.rsplit_once('-')?;
    let stack = Stack { thread: thread.to_owned(), frames: frames.collect(), samples: samples.parse().ok()? };
    Some((pid.parse().ok()?, stack))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRIPT: &str = "\
rfs-shard   71/73   100.000001:  cpu-clock:
\t    5555 core::step+0x10 (/bin/rfs-brickd)
\t    4444 rfs_engine::shard::turn+0x20 (/bin/rfs-brickd)

rfs-shard   71/73   100.000002:  cpu-clock:
\t    5555 core::step+0x11 (/bin/rfs-brickd)
\t    4444 rfs_engine::shard::turn+0x20 (/bin/rfs-brickd)

journal-keeper   71/74   100.000003:  cpu-clock:
\tffffffff81 write+0x1 ([kernel.kallsyms])
";

    #[test]
    fn stacks_come_to_their_processes() {
        let folded = fold(SCRIPT.as_bytes()).unwrap();
        let by_process = by_process(&folded);
        let stack = |thread: &str, frames: &[&str], samples| Stack {
            thread: thread.to_owned(),
            frames: frames.iter().map(|f| (*f).to_owned()).collect(),
            samples,
        };
        let turn = stack("rfs-shard", &["rfs_engine::shard::turn", "core::step"], 2);
        assert_eq!(by_process.keys().collect::<Vec<_>>(), [&71]);
        assert_eq!(by_process[&71], [stack("journal-keeper", &["write_[k]"], 1), turn.clone()]);
        assert_eq!(turn.line(), "rfs-shard;rfs_engine::shard::turn;core::step 2");
    }

    #[test]
    fn what_is_no_stack_is_passed_over() {
        assert!(by_process("\nnonsense\na;b x\nnobody;b 1\n").is_empty());
    }
}
