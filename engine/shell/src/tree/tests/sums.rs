//! Sums: what has settled is compared, what changes is not, and no crash makes a sum outlive what it is of.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;

use rfs_model::op::{Allocate, Fate};
use rfs_model::{FileKind, Index, InodeId, Op, SetAttr};

use super::rig::{Rig, unlink, write};
use crate::tree::testing::{Dice, Log, TERM, stamped};
use crate::tree::{CHUNK, Fault, Rotten, SumJob};

const ROOT: InodeId = InodeId::ROOT;
const BLOCK: usize = 4096;
const SECOND: u64 = 1_000_000;

/// A job for all that is quiet, a day later.
fn job(rig: &Rig, day: u64) -> Option<SumJob> {
    rig.tree.tell_time(day * 86_400 * SECOND, true);
    // The walk notes first what it finds.
    (0..4).find_map(|_| rig.tree.sum_job().unwrap())
}

fn settle(rig: &Rig, day: u64) {
    while let Some(job) = job(rig, day) {
        rig.tree.sums_done(Some(job.run().unwrap())).unwrap();
    }
}

fn open(rig: &Rig, name: &str) -> File {
    OpenOptions::new().read(true).write(true).open(rig.dir.join(name)).unwrap()
}

fn flip(file: &File, at: u64) {
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 4], at).unwrap();
}

fn is_rot<T: std::fmt::Debug>(result: &Result<T, Fault>, at: u64) -> bool {
    matches!(result, Err(Fault::Rot { path, offset, .. }) if path == "/f" && *offset == at)
}

/// A file of three and a bit blocks that has sums.
fn settled() -> (Rig, InodeId) {
    let mut rig = Rig::new();
    let f = rig.make(ROOT, "f", FileKind::File);
    rig.run(write(f, 0, &[7; 3 * BLOCK + 100]));
    settle(&rig, 1);
    (rig, f)
}

#[test]
fn a_flipped_bit_is_never_read() {
    let (rig, f) = settled();
    flip(&open(&rig, "f"), BLOCK as u64 + 5);
    assert!(is_rot(&rig.tree.read(f, 2 * BLOCK as u64 - 1, 1), BLOCK as u64));
    assert!(is_rot(&rig.tree.read(f, 0, 1 << 20), BLOCK as u64));
    assert_eq!(rig.tree.read(f, 0, BLOCK).unwrap().unwrap(), vec![7; BLOCK]);
    assert_eq!(rig.tree.read(f, 2 * BLOCK as u64 + 9, 1 << 20).unwrap().unwrap(), vec![7; BLOCK + 91]);
    assert!(is_rot(&rig.tree.reader(f, 0, 1 << 20).unwrap().unwrap().read(), 0));
    assert_eq!(rig.tree.take_rotten(), [Rotten { id: f, block: 1 }]);
    // Even if the bit flips back by itself: what is known to be rotten is not trusted any more.
    flip(&open(&rig, "f"), BLOCK as u64 + 5);
    assert!(is_rot(&rig.tree.read(f, BLOCK as u64, 1), BLOCK as u64));
}

#[test]
fn what_was_written_just_now_is_read_as_it_is() {
    let mut rig = Rig::new();
    let f = rig.make(ROOT, "f", FileKind::File);
    rig.run(write(f, 0, b"text"));
    rig.tree.tell_time(SECOND, true);
    assert!(rig.tree.sum_job().unwrap().is_none());
    rig.tree.end_batch().unwrap();
    flip(&open(&rig, "f"), 0);
    assert_eq!(rig.tree.read(f, 0, 9).unwrap().unwrap(), "pext");
}

#[test]
fn a_file_that_was_cut_behind_the_brick_is_noticed() {
    let (rig, f) = settled();
    open(&rig, "f").set_len(BLOCK as u64 + 10).unwrap();
    assert!(is_rot(&rig.tree.read(f, 0, 1 << 20), BLOCK as u64));
    assert_eq!(rig.tree.take_rotten().len(), 3);
}

#[test]
fn sums_outlive_a_checkpoint_and_die_with_what_they_are_of() {
    let (mut rig, f) = settled();
    rig.checkpoint(b"");
    rig.reopen();
    rig.tree.tell_time(0, true);
    rig.run(write(f, 10, b"new"));
    assert_eq!(&rig.tree.read(f, 9, 5).unwrap().unwrap()[..], b"\x07new\x07");
    rig.run(Op::SetAttr { id: f, set: SetAttr { size: Some(3 * BLOCK as u64 + 5), ..SetAttr::default() } });
    flip(&open(&rig, "f"), 2 * BLOCK as u64);
    assert_eq!(rig.tree.read(f, 3 * BLOCK as u64, 99).unwrap().unwrap(), vec![7; 5]);
    assert!(is_rot(&rig.tree.read(f, 2 * BLOCK as u64, 1), 2 * BLOCK as u64));
    rig.checkpoint(b"");
    rig.reopen();
    assert!(is_rot(&rig.tree.read(f, 2 * BLOCK as u64, 1), 2 * BLOCK as u64));
    rig.run(unlink(f, ROOT, "f", Fate::Dies));
    rig.checkpoint(b"");
    assert_eq!(rig.tree.sums_in_store(f), 0);
}

#[test]
fn a_rotten_block_that_is_changed_in_part_stays_rotten() {
    let (mut rig, f) = settled();
    flip(&open(&rig, "f"), 5000);
    rig.run(write(f, 4097, b"in part"));
    assert!(is_rot(&rig.tree.read(f, 4096, 1), 4096));
    rig.run(write(f, 6000, b"again"));
    rig.checkpoint(b"");
    rig.reopen();
    settle(&rig, 2);
    rig.run(write(f, 6000, b"and again"));
    assert!(is_rot(&rig.tree.read(f, 4096, 1), 4096));
    rig.run(write(f, 4096, &[9; BLOCK]));
    assert_eq!(rig.tree.read(f, 4096, BLOCK).unwrap().unwrap(), vec![9; BLOCK]);
    settle(&rig, 3);
    flip(&open(&rig, "f"), 5000);
    assert!(is_rot(&rig.tree.read(f, 4096, 1), 4096));
}

#[test]
fn sums_of_what_changed_meanwhile_are_void() {
    let mut rig = Rig::new();
    let f = rig.make(ROOT, "f", FileKind::File);
    rig.run(write(f, 0, &[1; 2 * BLOCK]));
    let begun = job(&rig, 1).unwrap();
    assert_eq!(begun.bytes(), 2 * BLOCK as u64);
    assert!(job(&rig, 2).is_none(), "one job at a time");
    let old = begun.run().unwrap();
    rig.run(write(f, 10, b"new"));
    rig.tree.sums_done(Some(old)).unwrap();
    assert_eq!(rig.tree.read(f, 10, 3).unwrap().unwrap(), "new");
    rig.tree.end_batch().unwrap();
    flip(&open(&rig, "f"), BLOCK as u64);
    assert!(is_rot(&rig.tree.read(f, 0, 2 * BLOCK), BLOCK as u64));
}

#[test]
fn without_checksums_nothing_is_compared() {
    let (rig, f) = settled();
    flip(&open(&rig, "f"), 0);
    rig.tree.tell_time(0, false);
    assert_eq!(rig.tree.read(f, 0, 1).unwrap().unwrap(), &[3][..]);
    rig.tree.tell_time(0, true);
    assert!(is_rot(&rig.tree.read(f, 0, 1), 0));
}

#[test]
fn holes_have_no_sums_and_the_walk_finds_what_a_restart_forgot() {
    let mut rig = Rig::new();
    let f = rig.make(ROOT, "f", FileKind::File);
    // The model holds whole files.
    rig.run_unseen(&Op::SetAttr { id: f, set: SetAttr { size: Some(1 << 40), ..SetAttr::default() } });
    rig.run_unseen(&write(f, 1 << 30, b"data"));
    rig.checkpoint(b"");
    rig.reopen();
    rig.tree.tell_time(0, true);
    let mut steps = 0;
    while rig.tree.walks() {
        if let Some(job) = rig.tree.sum_job().unwrap() {
            rig.tree.sums_done(Some(job.run().unwrap())).unwrap();
        }
        steps += 1;
        assert!(steps < 100_000);
    }
    settle(&rig, 1);
    rig.checkpoint(b"");
    assert_eq!(rig.tree.sums_in_store(f), 1);
    flip(&open(&rig, "f"), (1 << 30) + 1);
    assert!(is_rot(&rig.tree.read(f, 1 << 30, 4), 1 << 30));
}

#[test]
fn blocks_come_back_from_another_brick() {
    let (good, f) = settled();
    let (mut bad, same) = settled();
    assert_eq!(f, same);
    let mtime = |rig: &Rig| std::fs::metadata(rig.dir.join("f")).unwrap().modified().unwrap();
    bad.tree.end_batch().unwrap();
    flip(&open(&bad, "f"), 3 * BLOCK as u64 + 50);
    let before = mtime(&bad);
    assert!(bad.tree.read(f, 0, 1 << 20).is_err());
    let repair = |bad: &Rig, good: &Rig| {
        let given = good.tree.give(f, 0, bad.tree.rotten_in(f, 0).unwrap()).unwrap().unwrap();
        let mend = bad.tree.mend(f, 0, &given).unwrap()?;
        Some(bad.tree.mended(f, 0, &mend.run().unwrap()).unwrap())
    };
    assert_eq!(repair(&bad, &good), Some(1));
    assert_eq!(bad.tree.read(f, 0, 1 << 20).unwrap(), good.tree.read(f, 0, 1 << 20).unwrap());
    assert_eq!(mtime(&bad), before);
    // One that was changed in part has no sum any more: it takes the same version.
    flip(&open(&bad, "f"), 10);
    bad.run(write(f, 20, b"part"));
    assert_eq!(repair(&bad, &good), None);
    let mut good = good;
    good.run(write(f, 20, b"part"));
    assert_eq!(repair(&bad, &good), Some(1));
    assert_eq!(bad.tree.read(f, 0, 99).unwrap(), good.tree.read(f, 0, 99).unwrap());
    // A brick whose own block is rotten gives none.
    flip(&open(&bad, "f"), 10);
    flip(&open(&good, "f"), 11);
    settle(&good, 3);
    assert!(bad.tree.read(f, 0, 1).is_err());
    flip(&open(&good, "f"), BLOCK as u64);
    let given = good.tree.give(f, 0, 0b10).unwrap().unwrap();
    assert_eq!((given.whole, given.data.len()), (0, 0));
}

/// What one file must hold, byte by byte, and the log that says so.
struct Story {
    rig: Rig,
    f: InodeId,
    ops: Vec<Op>,
    want: Vec<u8>,
    dice: Dice,
    day: u64,
}

/// Enough for several chunks.
const MOST: usize = 3 * CHUNK as usize;

impl Story {
    fn new(seed: u64) -> Self {
        let mut rig = Rig::new();
        let f = rig.make(ROOT, "f", FileKind::File);
        let made = super::rig::make(f, ROOT, "f", FileKind::File);
        Self { rig, f, ops: vec![made], want: Vec::new(), dice: Dice(seed), day: 1 }
    }

    fn range(&mut self) -> (usize, usize) {
        let from = self.dice.below(MOST);
        let len = match self.dice.below(4) {
            0 => 1 + self.dice.below(100),
            1 => 1 + self.dice.below(3 * BLOCK),
            _ => 1 + self.dice.below(MOST - from),
        };
        if self.dice.chance(30) { (from / BLOCK * BLOCK, len.next_multiple_of(BLOCK)) } else { (from, len) }
    }

    fn change(&mut self) {
        let ((from, len), f) = (self.range(), self.f);
        let op = match self.dice.below(10) {
            0..6 => {
                let byte = self.dice.below(256) as u8;
                let data: Vec<u8> = (0..len).map(|i| byte.wrapping_add((i / 100) as u8)).collect();
                self.want.resize(self.want.len().max(from + len), 0);
                self.want[from..from + len].copy_from_slice(&data);
                write(f, from as u64, &data)
            }
            6..8 => {
                self.want.resize(from, 0);
                Op::SetAttr { id: f, set: SetAttr { size: Some(from as u64), ..SetAttr::default() } }
            }
            kind => {
                // Punched with the size kept, or zeroed, or only allocated.
                let mode = if kind == 8 { 3 } else { 0 };
                let range = Allocate { mode, offset: from as u64, len: len as u64 };
                if mode == 0 {
                    self.want.resize(self.want.len().max(from + len), 0);
                } else {
                    let (from, to) = (from.min(self.want.len()), (from + len).min(self.want.len()));
                    self.want[from..to].fill(0);
                }
                Op::Allocate { id: f, range }
            }
        };
        let index = self.rig.tree.applied().next();
        let record = stamped(index, op.clone());
        if let Some(prelude) = self.rig.tree.prelude(&record).unwrap() {
            prelude.run().unwrap();
        }
        let _ = self.rig.tree.apply(index, TERM, &record).unwrap();
        self.ops.push(op);
    }

    fn settle(&mut self) {
        self.day += 1;
        while let Some(job) = job(&self.rig, self.day) {
            let done = job.run().unwrap();
            if self.dice.chance(30) {
                self.change();
            }
            self.rig.tree.sums_done(Some(done)).unwrap();
        }
    }

    fn checkpoint(&mut self) {
        let job = self.rig.tree.checkpoint_begin(bytes::Bytes::new()).unwrap();
        for _ in 0..self.dice.below(3) {
            self.change();
        }
        if self.dice.chance(50) {
            self.settle();
        }
        let done = job.run().unwrap();
        let _ = self.rig.tree.checkpoint_done(done).unwrap();
    }

    /// The process dies: what is in memory is gone, what was written is not.
    fn crash(&mut self) {
        if self.dice.chance(50) {
            self.rig.tree.end_batch().unwrap();
        }
        let after = self.rig.reopen().index;
        let through = Index(self.ops.len() as u64);
        let mut log = Log { ops: &self.ops, after, through };
        self.rig.tree.converge(through, TERM, &mut log).unwrap();
    }

    /// All of the file reads as it must.
    fn check(&mut self) {
        let (from, len) = self.range();
        let want = &self.want[from.min(self.want.len())..(from + len).min(self.want.len())];
        assert!(self.rig.tree.read(self.f, from as u64, len).unwrap().unwrap() == want, "{from}, {len}");
        let all = self.rig.tree.reader(self.f, 0, 2 * MOST).unwrap().unwrap();
        assert!(all.read().unwrap() == self.want);
        assert_eq!(self.rig.tree.take_rotten(), []);
    }

    /// All settled: a flip anywhere in the data is noticed.
    fn check_flips(&mut self) {
        self.settle();
        self.settle();
        self.rig.tree.end_batch().unwrap();
        let file = open(&self.rig, "f");
        for _ in 0..20.min(self.want.len()) {
            let at = self.dice.below(self.want.len()) as u64;
            if next_data(&file, at) != Some(at) {
                continue;
            }
            flip(&file, at);
            let read = self.rig.tree.read(self.f, at, 1);
            assert!(is_rot(&read, at / BLOCK as u64 * BLOCK as u64), "{at} of {}: {read:?}", self.want.len());
            let block = at as usize / BLOCK * BLOCK;
            let end = (block + BLOCK).min(self.want.len());
            let mend = write(self.f, block as u64, &self.want[block..end]);
            self.rig.run_unseen(&mend);
            self.ops.push(mend);
            self.rig.tree.end_batch().unwrap();
            if end.is_multiple_of(BLOCK) {
                assert!(self.rig.tree.read(self.f, at, 1).is_ok());
            } else {
                return;
            }
            self.settle_quietly();
        }
    }

    fn settle_quietly(&mut self) {
        self.day += 1;
        settle(&self.rig, self.day);
    }
}

fn next_data(file: &File, at: u64) -> Option<u64> {
    rustix::fs::seek(file, rustix::fs::SeekFrom::Data(at)).ok()
}

#[test]
fn random_histories_raise_no_false_alarm_and_every_flip_one() {
    for seed in 0..25 {
        println!("seed {seed}");
        let mut story = Story::new(seed);
        for _ in 0..60 {
            match story.dice.below(20) {
                0..10 => story.change(),
                10..14 => story.settle(),
                14..17 => story.checkpoint(),
                17 => story.crash(),
                _ => story.check(),
            }
        }
        story.check();
        story.check_flips();
    }
}

/// Two bricks with the same settled tree: a directory, a file in it with two names.
fn pair() -> ([Rig; 2], InodeId, InodeId) {
    let mut ids = (InodeId::NIL, InodeId::NIL);
    let rigs = [0, 1].map(|_| {
        let mut rig = Rig::new();
        let d = rig.make(ROOT, "d", FileKind::Dir);
        let f = rig.make(d, "f", FileKind::File);
        rig.run(write(f, 0, &[7; 3 * BLOCK + 100]));
        rig.run(Op::SetXattr { id: f, name: super::rig::name("user.a"), value: super::rig::name("b") });
        settle(&rig, 1);
        rig.tree.end_batch().unwrap();
        ids = (d, f);
        rig
    });
    (rigs, ids.0, ids.1)
}

/// What a scrub of `bad` does for one inode.
fn scrub(bad: &Rig, good: &Rig, id: InodeId) -> bool {
    let inspected = bad.tree.inspect(id).unwrap().unwrap();
    let other = good.tree.meta(id).unwrap().unwrap();
    inspected.look != other.look && bad.tree.restore(&other).unwrap()
}

#[test]
fn attributes_that_no_record_changed_are_noticed_and_put_right() {
    use std::os::unix::fs::PermissionsExt;
    let ([bad, good], _, f) = pair();
    let file = open(&bad, "d/f");
    let wrong = || bad.tree.inspect(f).unwrap().unwrap().wrong;
    assert!(!wrong());
    let changes: [&dyn Fn(); 4] = [
        &|| file.set_permissions(std::fs::Permissions::from_mode(0o666)).unwrap(),
        &|| rustix::fs::fchown(&file, Some(rustix::fs::Uid::from_raw(7)), None).unwrap(),
        &|| file.set_modified(std::time::UNIX_EPOCH).unwrap(),
        &|| rustix::fs::fsetxattr(&file, "user.a", b"c", rustix::fs::XattrFlags::empty()).unwrap(),
    ];
    for (i, change) in changes.iter().enumerate() {
        change();
        assert!(wrong(), "change {i}");
        assert!(scrub(&bad, &good, f), "change {i}");
        assert!(!wrong(), "change {i}");
    }
    // The brick that knows better does not take the other one's.
    changes[0]();
    assert!(!scrub(&good, &bad, f));
    assert!(!good.tree.inspect(f).unwrap().unwrap().wrong);
}

#[test]
fn names_that_were_changed_by_hand_are_put_back() {
    let ([bad, _], d, f) = pair();
    let mtime = || std::fs::metadata(bad.dir.join("d")).unwrap().modified().unwrap();
    std::fs::rename(bad.dir.join("d/f"), bad.dir.join("d/g")).unwrap();
    let before = mtime();
    let inspected = bad.tree.inspect(f).unwrap().unwrap();
    assert_eq!((inspected.put_back, inspected.lines, inspected.wrong), (1, vec![], false));
    assert_eq!(bad.tree.child(d, b"f").unwrap(), Some(f));
    assert_eq!(mtime(), before);
    std::fs::remove_file(bad.dir.join("d/f")).unwrap();
    let inspected = bad.tree.inspect(f).unwrap().unwrap();
    assert!(inspected.lines[0].contains("/d/f: the name is gone"), "{:?}", inspected.lines);
}

#[test]
fn a_file_that_was_removed_by_hand_is_made_again_block_by_block() {
    let ([bad, good], d, f) = pair();
    std::fs::remove_file(bad.dir.join("d/f")).unwrap();
    assert!(scrub(&bad, &good, f));
    assert_eq!(bad.tree.child(d, b"f").unwrap(), Some(f));
    assert!(bad.tree.read(f, 0, 10).is_err());
    let rotten = bad.tree.rotten_in(f, 0).unwrap();
    assert_eq!(rotten, 0b1111);
    let mend = bad.tree.mend(f, 0, &good.tree.give(f, 0, rotten).unwrap().unwrap()).unwrap().unwrap();
    assert_eq!(bad.tree.mended(f, 0, &mend.run().unwrap()).unwrap(), 4);
    assert_eq!(bad.tree.read(f, 0, 1 << 20).unwrap(), good.tree.read(f, 0, 1 << 20).unwrap());
    assert!(!bad.tree.inspect(f).unwrap().unwrap().wrong);
}

#[test]
fn a_file_that_lost_its_identity_is_set_aside_and_made_again() {
    let ([bad, good], d, f) = pair();
    rustix::fs::setxattr(bad.dir.join("d/f"), "trusted.rfs.id", &[9; 16], rustix::fs::XattrFlags::REPLACE)
        .unwrap();
    assert!(scrub(&bad, &good, f));
    assert!(bad.dir.join(".rfs/foreign/f").exists());
    assert_eq!(bad.tree.child(d, b"f").unwrap(), Some(f));
    let mend =
        bad.tree.mend(f, 0, &good.tree.give(f, 0, bad.tree.rotten_in(f, 0).unwrap()).unwrap().unwrap());
    assert_eq!(bad.tree.mended(f, 0, &mend.unwrap().unwrap().run().unwrap()).unwrap(), 4);
    assert_eq!(bad.tree.read(f, 0, 1 << 20).unwrap(), good.tree.read(f, 0, 1 << 20).unwrap());
}

#[test]
fn a_scrub_reads_what_has_become_a_hole() {
    let ([bad, _], _, f) = pair();
    let file = open(&bad, "d/f");
    file.set_len(0).unwrap();
    file.set_len(3 * BLOCK as u64 + 100).unwrap();
    let (job, next) = bad.tree.scrub_job(f, 0).unwrap().unwrap();
    bad.tree.sums_done(Some(job.unwrap().run().unwrap())).unwrap();
    assert!(bad.tree.scrub_job(f, next).unwrap().is_none());
    assert_eq!(bad.tree.rotten_in(f, 0).unwrap(), 0b1111);
}

#[test]
fn bricks_that_summed_different_data_say_so() {
    let ([one, other], _, f) = pair();
    let version = one.tree.version(f).unwrap().unwrap();
    let known = one.tree.known_sums(f, 0..1).unwrap();
    assert!(other.tree.differing(f, version, &known).unwrap().is_empty());
    flip(&open(&other, "d/f"), 5000);
    assert!(other.tree.read(f, 0, 1 << 20).is_err());
    assert!(other.tree.differing(f, version, &known).unwrap().is_empty(), "it is known to be rotten");
    other.tree.mended_as_it_is(f, 1);
    assert_eq!(other.tree.differing(f, version, &known).unwrap(), [1]);
    assert!(other.tree.differing(f, version.next(), &known).unwrap().is_empty());
}

#[test]
fn a_file_that_was_cut_keeps_its_size() {
    let ([bad, good], _, f) = pair();
    open(&bad, "d/f").set_len(BLOCK as u64).unwrap();
    let size = |rig: &Rig| rig.tree.attr_checked(f).unwrap().unwrap().size;
    assert_eq!(size(&bad), 3 * BLOCK as u64 + 100);
    let mend =
        bad.tree.mend(f, 0, &good.tree.give(f, 0, bad.tree.rotten_in(f, 0).unwrap()).unwrap().unwrap());
    assert_eq!(bad.tree.mended(f, 0, &mend.unwrap().unwrap().run().unwrap()).unwrap(), 3);
    assert_eq!(size(&bad), size(&good));
    assert_eq!(bad.tree.read(f, 0, 1 << 20).unwrap(), good.tree.read(f, 0, 1 << 20).unwrap());
    assert!(good.tree.attr_checked(f).is_ok());
}
