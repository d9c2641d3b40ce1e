//! One history: a brick lives, crashes, is recovered, and lives on.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use bytes::Bytes;
use rfs_engine::tree::testing::{
    Dice, Model, Picture, Planted, ROOT_ATTR, TERM, is_tripped, next_op, stamped,
};
use rfs_engine::tree::{CheckpointJob, Fault, Tree};
use rfs_model::{Index, Op};

use crate::build::build;
use crate::copy::{Busy, copy};
use crate::lost::LostTail;
use crate::mix::{Loss, mix};
use crate::mutants::Mutant;
use crate::recovery::{Wreck, Yard, go_on, limits, must_be};
use crate::stats::Stats;
use crate::timeline::Timeline;

/// What a history is made of.
#[derive(Clone, Debug)]
pub struct Setup {
    pub seed: u64,
    /// A directory of the file system.
    pub place: PathBuf,
    pub mutant: Option<Mutant>,
    /// One crash state of each round is crashed before every change that its recovery makes.
    pub every: bool,
}

/// Runs one history.
///
/// # Errors
/// What went wrong, in words.
pub fn run(setup: &Setup) -> Result<Stats> {
    let mut stats = Stats { histories: 1, ..Stats::default() };
    let mut history = History::new(setup)?;
    for round in 0..1 + history.dice.below(3) {
        history.round(&mut stats).with_context(|| format!("round {round}"))?;
    }
    stats.operations += history.ops.len() as u64;
    Ok(stats)
}

struct History {
    dice: Dice,
    yard: Yard,
    setup: Setup,
    brick: PathBuf,
    tree: Option<Tree>,
    ops: Vec<Op>,
    model: Model,
    /// Since the last checkpoint.
    timeline: Timeline,
    /// The last checkpoint.
    at: Index,
    /// Where the index was made anew for the last time.
    since: Option<Index>,
    /// How far the log is synced; `None`: nobody tells the tree, and it defers nothing.
    synced: Option<Index>,
}

impl History {
    fn new(setup: &Setup) -> Result<Self> {
        let mut dice = Dice(setup.seed);
        let mut yard = Yard::new(&setup.place)?;
        let brick = yard.fresh();
        let tree = Tree::create(&brick, &limits(&mut dice), ROOT_ATTR, Bytes::new())?;
        let (model, timeline) = (Model::new(), Timeline::default());
        let (setup, tree, ops, at) = (setup.clone(), Some(tree), Vec::new(), Index::ZERO);
        let synced = dice.chance(60).then_some(Index::ZERO);
        let mut new = Self { dice, yard, setup, brick, tree, ops, model, timeline, at, since: None, synced };
        new.tell_synced(Index::ZERO)?;
        new.timeline = new.now();
        Ok(new)
    }

    /// A timeline that begins now.
    fn now(&self) -> Timeline {
        let mut timeline = Timeline::default();
        timeline.add(&self.model.nodes, &self.model.all_slots(), None);
        timeline
    }

    fn tree(&mut self) -> &mut Tree {
        self.tree.as_mut().expect("the brick lives")
    }

    fn round(&mut self, stats: &mut Stats) -> Result<()> {
        for _ in 0..self.dice.below(if self.ops.is_empty() { 60 } else { 12 }) {
            self.operate()?;
            if self.dice.chance(3) {
                self.checkpoint(stats)?;
            }
        }
        if self.dice.chance(85) {
            self.checkpoint(stats)?;
        }
        if self.dice.chance(10) {
            self.tree().end_batch()?;
            self.tell_synced(Index(self.ops.len() as u64))?;
            must_be(self.tree.as_ref().expect("the brick lives"), &self.brick, &self.model, self.since)
                .context("before any crash")?;
        }
        if self.dice.chance(8) {
            return self.copy(stats);
        }
        let many = 1 + self.dice.below(45);
        if self.dice.chance(50) {
            let stop = self.dice.below(many * 5) as u64;
            self.tree().stop_before(stop);
        }
        let mut alive = true;
        for _ in 0..many {
            alive = alive && self.operate()?;
            if !alive {
                self.only_log();
            }
        }
        // What other bricks have and this one never got.
        for _ in 0..self.dice.below(40).saturating_sub(30) {
            self.only_log();
        }
        self.crash(stats)
    }

    /// The log is synced up to there, or a little further than it was.
    fn tell_synced(&mut self, upto: Index) -> Result<()> {
        let Some(synced) = &mut self.synced else { return Ok(()) };
        *synced = upto.max(*synced);
        let (upto, tree) = (*synced, self.tree.as_mut().expect("the brick lives"));
        tree.tell_synced(upto, usize::MAX).into_iter().try_for_each(|leftover| leftover.run())?;
        Ok(())
    }

    /// The next operation, applied; false when the brick was stopped in it, or after it.
    fn operate(&mut self) -> Result<bool> {
        if self.dice.chance(20) {
            let lag = self.dice.below(12) as u64;
            self.tell_synced(Index((self.ops.len() as u64).saturating_sub(lag)))?;
        }
        let (index, op) = self.admit();
        let ends = self.dice.chance(15);
        let tree = self.tree();
        let done = tree.apply(index, TERM, &stamped(index, op)).and_then(|applied| {
            applied.leftover.map_or(Ok(()), |leftover| leftover.run())?;
            if ends { tree.end_batch() } else { Ok(()) }
        });
        match done {
            Ok(()) => {
                let changed = self.model.changed_at(index);
                self.timeline.add(&self.model.nodes, &self.model.all_slots(), Some(&changed));
                Ok(true)
            }
            Err(fault) if is_tripped(&fault) => Ok(false),
            Err(fault) => Err(fault).context("applying"),
        }
    }

    fn admit(&mut self) -> (Index, Op) {
        let index = Index(self.ops.len() as u64 + 1);
        let op = next_op(&self.model, index, &mut self.dice);
        self.model.apply(index, &op);
        self.ops.push(op.clone());
        (index, op)
    }

    /// A record that is committed and that the brick does not apply before it crashes.
    fn only_log(&mut self) {
        self.admit();
    }

    /// A checkpoint, while which operations may be applied.
    fn checkpoint(&mut self, stats: &mut Stats) -> Result<()> {
        let job: CheckpointJob = self.tree().checkpoint_begin(Bytes::new())?;
        let (at, now) = (job.index(), self.now());
        self.tell_synced(at)?;
        if self.setup.mutant != Some(Mutant::IndexBeforeSync) {
            self.timeline = now;
        }
        for _ in 0..self.dice.below(6).saturating_sub(2) {
            self.operate()?;
        }
        let done = job.run()?;
        self.tree().checkpoint_done(done)?;
        self.at = at;
        stats.checkpoints += 1;
        Ok(())
    }

    /// The brick stops where it is. Several disks that this may leave are recovered; the last one lives on.
    fn crash(&mut self, stats: &mut Stats) -> Result<()> {
        let index = std::fs::read(self.brick.join(".rfs/index.redb"))?;
        self.tree = None;
        self.timeline.add_picture(&read(&self.brick)?);
        if let Some(synced) = self.synced
            && self.setup.mutant.is_none_or(Mutant::is_of_a_lost_tail)
        {
            // A planted fault of this kind shows in few of them.
            for _ in 0..if self.setup.mutant.is_some() { 8 } else { 1 } {
                self.lose_the_tail(synced, &index, stats)?;
            }
        }
        let states = 1 + self.dice.below(4);
        for left in (0..states).rev() {
            let mut dice = self.dice.fork();
            let brick = if left == 0 && dice.chance(30) {
                std::fs::write(self.brick.join(".rfs/index.redb"), &index)?;
                self.brick.clone()
            } else {
                self.lose_power(&index, &mut dice)?
            };
            self.recover(brick, &index, left == 0, &mut dice, stats)?;
        }
        Ok(())
    }

    /// The log ends somewhere behind what was synced, and the disk has any effects of all records.
    fn lose_the_tail(&mut self, synced: Index, index: &[u8], stats: &mut Stats) -> Result<()> {
        let mut dice = self.dice.fork();
        let keep = synced.0 + dice.below(self.ops.len() - synced.0 as usize + 1) as u64;
        let disk = if self.setup.mutant == Some(Mutant::Planted(Planted::DiesAtOnce)) {
            // All that was removed is gone: of any part of the effects a death is seldom one.
            self.model.picture()
        } else {
            mix(&self.timeline, Loss { synced: 0, last: self.timeline.len - 1 }, &mut dice)
        };
        let tail = LostTail { ops: &self.ops, at: self.at, keep: Index(keep), mutant: self.setup.mutant };
        let why = || format!("the log lost all behind record {keep}");
        tail.check(disk, index, &mut self.yard, &mut dice, stats).with_context(why)
    }

    /// Recovers a crash state. The one that `stays` is the brick from then on, the others get some more operations.
    fn recover(
        &mut self,
        brick: PathBuf,
        index: &[u8],
        stays: bool,
        dice: &mut Dice,
        stats: &mut Stats,
    ) -> Result<()> {
        let Self { ops, model, since, setup, yard, .. } = self;
        let mut wreck = Wreck { brick, index: index.into(), ops, model, since: *since, mutant: setup.mutant };
        if dice.chance(10) {
            wreck.lose_index(self.at, dice, stats)?;
        }
        if setup.every && stays {
            wreck.crash_at_every_change(yard, dice, stats)?;
        }
        let mut tree = wreck.recover(yard, dice, stats)?;
        let Wreck { since, .. } = wreck;
        if !stays {
            let many = dice.below(8);
            return go_on(&mut tree, &wreck, dice, many);
        }
        (self.brick, self.since) = (wreck.brick, since);
        (self.tree, self.at) = (Some(tree), Index(self.ops.len() as u64));
        self.tell_synced(self.at)?;
        self.timeline = self.now();
        Ok(())
    }

    /// A full copy to another brick, which takes this one's place.
    fn copy(&mut self, stats: &mut Stats) -> Result<()> {
        self.checkpoint(stats)?;
        let mut dice = self.dice.fork();
        let (brick, limits) = (self.yard.fresh(), limits(&mut dice));
        if dice.chance(30) {
            // Another tree is in the way.
            build(&self.model.picture(), &brick, b"an old index")?;
        }
        copy(self, &brick, &limits, &mut dice)?;
        for _ in 0..dice.below(20) {
            self.only_log();
        }
        self.tree = None;
        stats.copies += 1;
        let index = std::fs::read(brick.join(".rfs/index.redb"))?;
        self.recover(brick, &index, true, &mut dice, stats)
    }

    /// A disk on which a part of what was not synced is lost.
    fn lose_power(&mut self, index: &[u8], dice: &mut Dice) -> Result<PathBuf> {
        let all = self.timeline.len - 1;
        let last = if dice.chance(60) { all } else { dice.below(all + 1) };
        let synced = if dice.chance(20) { dice.below(last + 1) } else { 0 };
        let picture = mix(&self.timeline, Loss { synced, last }, dice);
        let brick = self.yard.fresh();
        build(&picture, &brick, index).context("building a crash state")?;
        Ok(brick)
    }
}

impl Busy for History {
    fn change(&mut self) -> Result<(), Fault> {
        let (index, op) = self.admit();
        let applied = self.tree().apply(index, TERM, &stamped(index, op))?;
        applied.leftover.map_or(Ok(()), |leftover| leftover.run())
    }

    fn tree(&mut self) -> &mut Tree {
        self.tree()
    }
}

fn read(brick: &Path) -> Result<Picture> {
    Picture::read(brick).map_err(|why| anyhow!("reading the disk: {why}"))
}
