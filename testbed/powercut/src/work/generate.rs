//! Which operations a worker carries out: habits of real programs, in an order that a seed picks.

use std::collections::VecDeque;

use fastrand::Rng;

use super::{Op, Tree};

/// Bytes of the parts in which big files are written; no operation writes more.
const PART: usize = 64 << 10;
/// Bytes of a database page.
const PAGE: usize = 4096;
const PAGES: u64 = 64;

/// How many of the fsyncs are really made, in 100: what a cut may take is what lies between two of them. The seed picks
/// one for all workers of a recording.
const CARE: [u32; 3] = [100, 20, 4];

/// An endless stream of operations.
#[derive(Debug)]
pub struct Stream {
    worker: u64,
    rng: Rng,
    care: u32,
    tree: Tree,
    /// Operations given out so far.
    number: u64,
    planned: VecDeque<Op>,
    /// Counts names, so that none is used twice.
    names: u64,
    files: Vec<String>,
    trees: VecDeque<Vec<Op>>,
    big: VecDeque<String>,
}

impl Stream {
    #[must_use]
    pub fn new(seed: u64, worker: u64) -> Stream {
        let rng = Rng::with_seed(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(worker));
        let care = CARE[usize::try_from(seed % CARE.len() as u64).unwrap_or(0)];
        let (tree, planned) = (Tree::default(), VecDeque::new());
        let (files, trees, big) = (Vec::new(), VecDeque::new(), VecDeque::new());
        let mut stream = Stream { worker, rng, care, tree, number: 0, planned, names: 0, files, trees, big };
        stream.plan_start();
        stream
    }

    /// The next one that is not spared.
    fn careful(&mut self) -> Op {
        loop {
            let Some(op) = self.planned.pop_front() else {
                self.plan();
                continue;
            };
            match op {
                op if !op.is_durable() || self.rng.u32(..100) < self.care => return op,
                Op::WriteSync { path, offset, length } => return Op::Write { path, offset, length },
                _ => {}
            }
        }
    }

    fn plan_start(&mut self) {
        let begin = ["log", "db", "sync", "config"].map(|path| Op::Create { path: path.to_owned() });
        let folders = ["made", "trees"].map(|path| Op::Mkdir { path: path.to_owned() });
        self.planned.extend(begin.into_iter().chain(folders));
        let pages = (0..PAGES).step_by(16);
        self.planned.extend(pages.map(|p| write("db", p * PAGE as u64, 16 * PAGE)));
        self.fsync("db");
        self.fsync("");
    }

    fn plan(&mut self) {
        match self.rng.u32(..100) {
            0..25 => self.append(),
            25..42 => self.make(),
            42..54 => self.replace(),
            54..61 => self.transaction(),
            61..69 => self.drop_one(),
            69..79 => self.grow_tree(),
            79..83 => self.write_big(),
            83..88 => self.write_sync(),
            _ => self.alter(),
        }
    }

    fn fsync(&mut self, path: &str) {
        self.planned.push_back(Op::Fsync { path: path.to_owned() });
    }

    fn new_name(&mut self, folder: &str) -> String {
        self.names += 1;
        format!("{folder}/{}", self.names)
    }

    fn append(&mut self) {
        for _ in 0..self.rng.u32(1..6) {
            let length = 32 * self.rng.usize(1..20);
            self.planned.push_back(Op::Append { path: "log".to_owned(), length });
        }
        if self.rng.u32(..3) == 0 {
            self.fsync("log");
        }
    }

    /// A new file, made durable together with its name.
    fn make(&mut self) {
        let path = self.new_name("made");
        self.planned.push_back(Op::Create { path: path.clone() });
        let mut offset = 0;
        for _ in 0..self.rng.u32(..4) {
            let length = self.rng.usize(1..20_000);
            self.planned.push_back(write(&path, offset, length));
            offset += length as u64;
        }
        if self.rng.bool() {
            self.fsync(&path);
            self.fsync("made");
        }
        self.files.push(path);
    }

    /// The careful way to replace a file.
    fn replace(&mut self) {
        let temporary = self.new_name("made");
        self.planned.push_back(Op::Create { path: temporary.clone() });
        self.planned.push_back(write(&temporary, 0, self.rng.usize(100..9000)));
        if self.rng.u32(..4) > 0 {
            self.fsync(&temporary);
        }
        self.planned.push_back(Op::Rename { from: temporary, to: "config".to_owned() });
        if self.rng.bool() {
            self.fsync("");
        }
    }

    /// What SQLite does with a rollback journal.
    fn transaction(&mut self) {
        let journal = "db-journal".to_owned();
        let pages: Vec<u64> = (0..self.rng.u32(1..6)).map(|_| self.rng.u64(..PAGES)).collect();
        self.planned.push_back(Op::Create { path: journal.clone() });
        self.planned.push_back(write(&journal, 0, 512 + pages.len() * PAGE));
        self.fsync(&journal);
        self.planned.extend(pages.iter().map(|page| write("db", page * PAGE as u64, PAGE)));
        self.fsync("db");
        self.planned.push_back(Op::Unlink { path: journal });
        self.fsync("");
    }

    fn drop_one(&mut self) {
        if self.files.len() < 4 {
            return;
        }
        let path = self.files.swap_remove(self.rng.usize(..self.files.len()));
        self.planned.push_back(Op::Unlink { path });
        if self.rng.bool() {
            self.fsync("made");
        }
    }

    /// A folder with folders and files; the oldest one is taken away.
    fn grow_tree(&mut self) {
        let top = self.new_name("trees");
        let inner = format!("{top}/in");
        let mut gone = Vec::new();
        for path in [&top, &inner] {
            self.planned.push_back(Op::Mkdir { path: path.clone() });
            gone.push(Op::Rmdir { path: path.clone() });
        }
        for n in 0..self.rng.u32(1..4) {
            let path = format!("{inner}/{n}");
            self.planned.push_back(Op::Create { path: path.clone() });
            self.planned.push_back(write(&path, 0, self.rng.usize(1..3000)));
            gone.push(Op::Unlink { path });
        }
        let link = format!("{top}/link");
        self.planned.push_back(Op::Symlink { path: link.clone(), target: "in/0".to_owned() });
        gone.push(Op::Unlink { path: link });
        if self.rng.u32(..3) == 0 {
            self.fsync(&top);
        }
        gone.reverse();
        self.trees.push_back(gone);
        if self.trees.len() > 5 {
            self.planned.extend(self.trees.pop_front().unwrap_or_default());
        }
    }

    /// Without any fsync.
    fn write_big(&mut self) {
        let path = self.new_name("made");
        self.planned.push_back(Op::Create { path: path.clone() });
        let parts = self.rng.u64(4..20);
        self.planned.extend((0..parts).map(|n| write(&path, n * PART as u64, PART)));
        self.big.push_back(path);
        if self.big.len() > 2 {
            self.planned.extend(self.big.pop_front().map(|path| Op::Unlink { path }));
        }
    }

    fn write_sync(&mut self) {
        for _ in 0..self.rng.u32(1..4) {
            let (offset, length) = (self.rng.u64(..16) * 1024, 1024);
            self.planned.push_back(Op::WriteSync { path: "sync".to_owned(), offset, length });
        }
    }

    /// Something about a file that exists.
    fn alter(&mut self) {
        let Some(path) = self.rng.choice(&self.files).cloned() else { return };
        let size = self.tree.size(&path).unwrap_or(0);
        match self.rng.u32(..5) {
            0 => self
                .planned
                .push_back(Op::Truncate { path: path.clone(), bytes: self.rng.u64(..=size + 5000) }),
            1 => {
                let mode = [0o600, 0o640, 0o755][self.rng.usize(..3)];
                self.planned.push_back(Op::Chmod { path: path.clone(), mode });
            }
            2 => self.planned.push_back(Op::Mark { path: path.clone() }),
            3 => {
                let to = self.new_name("made");
                self.planned.push_back(Op::Link { from: path.clone(), to: to.clone() });
                self.files.push(to);
            }
            _ => self.planned.push_back(write(&path, self.rng.u64(..=size), self.rng.usize(1..9000))),
        }
        if self.rng.bool() {
            self.fsync(&path);
        }
    }
}

fn write(path: &str, offset: u64, length: usize) -> Op {
    Op::Write { path: path.to_owned(), offset, length }
}

impl Iterator for Stream {
    type Item = Op;

    fn next(&mut self) -> Option<Op> {
        let op = self.careful();
        self.tree.apply(&op, self.worker, self.number);
        self.number += 1;
        Some(op)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_stream_repeats_itself_and_can_be_carried_out() {
        let take = |seed| Stream::new(seed, 1).take(3000).collect::<Vec<Op>>();
        assert_eq!(take(5), take(5));
        assert_ne!(take(5), take(6));
        let top = std::env::temp_dir().join(format!("powercut-stream-{}", std::process::id()));
        fs::create_dir(&top).unwrap();
        for (number, op) in (0..).zip(take(5)) {
            op.carry_out(&top, 1, number).unwrap_or_else(|e| panic!("{number} {op:?}: {e}"));
        }
        fs::remove_dir_all(top).unwrap();
    }
}
