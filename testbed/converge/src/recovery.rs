//! One crash state, recovered to the end, with crashes on the way; and what must be true then.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use bytes::Bytes;
use rfs_engine::tree::testing::{Dice, Log, Model, Picture, TERM, is_tripped, next_op, stamped};
use rfs_engine::tree::{Checkpoint, Limits, Tree, rebuild};
use rfs_model::{Index, Op};

use crate::build::build;
use crate::mix::{Loss, mix};
use crate::mutants::{Mutant, converge};
use crate::stats::Stats;
use crate::timeline::Timeline;

/// Crashes inside one recovery, at the most.
const CRASHES: usize = 4;

/// Where bricks are put: directories of one file system, each used once.
#[derive(Debug)]
pub struct Yard {
    dir: tempfile::TempDir,
    used: u32,
}

impl Yard {
    /// # Errors
    /// When no directory can be made in `parent`.
    pub fn new(parent: &Path) -> Result<Self> {
        Ok(Self { dir: tempfile::tempdir_in(parent)?, used: 0 })
    }

    /// A path that is not there yet.
    pub fn fresh(&mut self) -> PathBuf {
        self.used += 1;
        self.dir.path().join(self.used.to_string())
    }
}

/// A brick that crashed.
#[derive(Clone, Debug)]
pub struct Wreck<'a> {
    pub brick: PathBuf,
    /// The index as it is on the disk: at the last checkpoint.
    pub index: Cow<'a, [u8]>,
    /// The whole log.
    pub ops: &'a [Op],
    /// The fold of it.
    pub model: &'a Model,
    /// Where the index was made anew, if it was: versions and ctimes of before are lost.
    pub since: Option<Index>,
    pub mutant: Option<Mutant>,
}

/// How a recovery went.
enum Attempt {
    Done(Box<Tree>),
    Crashed,
}

impl Wreck<'_> {
    /// Recovers, crashes on the way included, checks all, and gives the brick at a checkpoint at the log's end.
    ///
    /// # Errors
    /// What is wrong.
    pub fn recover(&mut self, yard: &mut Yard, dice: &mut Dice, stats: &mut Stats) -> Result<Tree> {
        stats.crash_states += 1;
        for _ in 0..dice.below(CRASHES + 1) {
            self.crash_inside(yard, dice, stats)?;
        }
        let tree = self.to_the_end(dice, stats)?;
        self.must_be_right(&tree).context("after recovery")?;
        drop(tree);
        let tree = self.again(dice, stats)?;
        self.leave(tree, dice, stats)
    }

    /// The brick crashes before each change that recovery makes, of the same disk every time, and is recovered.
    ///
    /// # Errors
    /// What is wrong.
    pub fn crash_at_every_change(&self, yard: &mut Yard, dice: &mut Dice, stats: &mut Stats) -> Result<()> {
        let picture = self.picture()?;
        for stop in 0.. {
            let mut wreck = self.clone();
            wreck.brick = yard.fresh();
            build(&picture, &wreck.brick, &self.index).context("building a crash state")?;
            stats.crash_states += 1;
            let ended = match wreck.attempt(Some(stop), dice, stats)? {
                Attempt::Done(_) => true,
                Attempt::Crashed => false,
            };
            stats.crashes_inside += 1;
            wreck.put_index_back()?;
            let tree = wreck.to_the_end(dice, stats)?;
            wreck.must_be_right(&tree).with_context(|| format!("after a crash before change {stop}"))?;
            drop(tree);
            std::fs::remove_dir_all(&wreck.brick)?;
            if ended {
                break;
            }
        }
        Ok(())
    }

    /// The index is lost, and made anew from the tree as the crash left it.
    ///
    /// # Errors
    /// When that fails.
    pub fn lose_index(&mut self, at: Index, dice: &mut Dice, stats: &mut Stats) -> Result<()> {
        let path = self.brick.join(".rfs/index.redb");
        std::fs::remove_file(&path)?;
        for rubbish in [path.clone(), path.with_extension("redb.new")] {
            if dice.chance(50) {
                std::fs::write(rubbish, b"rubbish")?;
            }
        }
        let checkpoint = Checkpoint { index: at, term: TERM, floor: Index::ZERO, state: Bytes::new() };
        rebuild(&self.brick, &limits(dice), checkpoint).context("making the index anew")?;
        self.index = std::fs::read(path)?.into();
        self.since = Some(at);
        stats.rebuilt += 1;
        Ok(())
    }

    /// Recovery stops before some change of the disk, or at its end; of what it did a part may be lost.
    fn crash_inside(&mut self, yard: &mut Yard, dice: &mut Dice, stats: &mut Stats) -> Result<()> {
        let loses = dice.chance(40);
        let before = if loses { Some(self.picture()?) } else { None };
        // Recovery makes a few changes for each record, and for some none: small numbers are tried more often.
        let most = (1 + 4 * self.ops.len().min(60)) >> dice.below(5);
        let stop = dice.below(most.max(1)) as u64;
        match self.attempt(Some(stop), dice, stats)? {
            Attempt::Crashed => {}
            Attempt::Done(tree) => drop(tree),
        }
        stats.crashes_inside += 1;
        stats.crash_states += 1;
        let Some(before) = before else { return self.put_index_back() };
        stats.losses_inside += 1;
        let mut timeline = Timeline::default();
        timeline.add_picture(&before);
        timeline.add_picture(&self.picture()?);
        let picture = mix(&timeline, Loss { synced: 0, last: 1 }, dice);
        self.brick = yard.fresh();
        build(&picture, &self.brick, &self.index).context("building a crash state")
    }

    /// The index of the checkpoint, as a crash leaves it: opening and closing may have touched the file.
    fn put_index_back(&self) -> Result<()> {
        Ok(std::fs::write(self.brick.join(".rfs/index.redb"), &self.index)?)
    }

    fn attempt(&self, stop: Option<u64>, dice: &mut Dice, stats: &mut Stats) -> Result<Attempt> {
        let mut tree = Tree::open(&self.brick, &limits(dice)).context("opening the crashed brick")?;
        let (after, through) = (tree.applied(), Index(self.ops.len() as u64));
        let most = stop.unwrap_or(u64::MAX);
        tree.stop_before(most);
        let done = converge(&mut tree, through, &mut Log { ops: self.ops, after, through }, self.mutant);
        stats.changes += most - tree.changes_left().unwrap_or(most);
        match done {
            Ok(done) => {
                ensure!(done.strays.is_empty(), "strays: {:?}", done.strays);
                stats.recoveries += 1;
                tree.stop_before(u64::MAX);
                Ok(Attempt::Done(Box::new(tree)))
            }
            Err(fault) if is_tripped(&fault) => Ok(Attempt::Crashed),
            Err(fault) => Err(fault).context("recovery"),
        }
    }

    fn to_the_end(&self, dice: &mut Dice, stats: &mut Stats) -> Result<Tree> {
        let Attempt::Done(tree) = self.attempt(None, dice, stats)? else { bail!("recovery did not end") };
        for leftover in tree.leftovers()? {
            leftover.run()?;
        }
        Ok(*tree)
    }

    /// Recovery once more from the old checkpoint: it must change nothing.
    fn again(&self, dice: &mut Dice, stats: &mut Stats) -> Result<Tree> {
        let before = self.picture()?;
        self.put_index_back()?;
        let tree = self.to_the_end(dice, stats)?;
        self.must_be_right(&tree).context("after recovery was done again")?;
        let after = self.picture()?;
        for (id, node) in &before.nodes {
            let ino = after.nodes.get(id).map(|node| node.ino);
            ensure!(ino == Some(node.ino), "recovery that was done again made inode {id} anew");
        }
        Ok(tree)
    }

    /// A checkpoint, a clean start, and nothing to recover.
    fn leave(&self, mut tree: Tree, dice: &mut Dice, stats: &mut Stats) -> Result<Tree> {
        let done = tree.checkpoint_begin(Bytes::new())?.run()?;
        stats.checkpoints += 1;
        let at = tree.checkpoint_done(done)?;
        ensure!(at.0 == self.ops.len() as u64, "the checkpoint is at {at}");
        drop(tree);
        let tree = self.to_the_end(dice, stats).context("starting after the checkpoint")?;
        self.must_be_right(&tree).context("after a checkpoint and a start")?;
        Ok(tree)
    }

    fn picture(&self) -> Result<Picture> {
        Picture::read(&self.brick).map_err(|why| anyhow!("reading the disk: {why}"))
    }

    fn must_be_right(&self, tree: &Tree) -> Result<()> {
        must_be(tree, &self.brick, self.model, self.since)
    }
}

/// Disk, index and answers of a brick are the fold of its log, and nothing was set aside.
///
/// # Errors
/// What differs.
pub fn must_be(tree: &Tree, brick: &Path, model: &Model, since: Option<Index>) -> Result<()> {
    let want = model.picture();
    let disk = Picture::read(brick).map_err(|why| anyhow!("reading the disk: {why}"))?;
    disk.must_be(&want).map_err(|why| anyhow!("the disk: {why}"))?;
    want.must_be_known(tree, since).map_err(|why| anyhow!("the index: {why}"))?;
    ensure!(!brick.join(".rfs/foreign").exists(), "something was set aside as foreign");
    Ok(())
}

/// Applies some more operations to a copy of what is known of a brick, and checks it.
///
/// # Errors
/// What is wrong.
pub fn go_on(tree: &mut Tree, wreck: &Wreck<'_>, dice: &mut Dice, many: usize) -> Result<()> {
    let mut model = wreck.model.clone();
    for _ in 0..many {
        let index = tree.applied().next();
        let op = next_op(&model, index, dice);
        let applied = tree.apply(index, TERM, &stamped(index, op.clone())).context("after recovery")?;
        applied.leftover.map_or(Ok(()), |leftover| leftover.run())?;
        model.apply(index, &op);
    }
    tree.end_batch()?;
    must_be(tree, &wreck.brick, &model, wreck.since).context("after further operations")
}

/// Handles and caches of any size change nothing.
pub fn limits(dice: &mut Dice) -> Limits {
    let mut any = || std::num::NonZeroUsize::MIN.saturating_add(dice.below(40) * dice.below(2));
    Limits { dir_handles: any(), file_handles: any(), clean_entries: any(), listed_names: any().get() }
}
