//! Power lost everywhere: the log ends before records whose effects the disk has kept.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail, ensure};
use bytes::Bytes;
use rfs_engine::tree::Tree;
use rfs_engine::tree::testing::{Dice, LIMBO, Log, Model, Node, Picture, Planted, is_tripped};
use rfs_model::{Index, InodeId, Op};

use crate::build::build;
use crate::mutants::{Mutant, converge};
use crate::recovery::{Yard, limits};
use crate::stats::Stats;

/// A log that has lost its end.
pub struct LostTail<'a> {
    /// All records that ever were.
    pub ops: &'a [Op],
    /// The checkpoint.
    pub at: Index,
    /// The last record that is left: none that was synced is missing.
    pub keep: Index,
    pub mutant: Option<Mutant>,
}

impl LostTail<'_> {
    /// Recovers a disk that has any part of the effects of all records. The names must be those that the log says; so must
    /// everything of inodes that nothing touched since the checkpoint. The others must be doubted.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(
        &self,
        disk: Picture,
        index: &[u8],
        yard: &mut Yard,
        dice: &mut Dice,
        stats: &mut Stats,
    ) -> Result<()> {
        let models = self.fold();
        let brick = yard.fresh();
        let disk = if self.mutant == Some(Mutant::Planted(Planted::DiesAtOnce)) {
            disk
        } else {
            with_the_dying(disk, &models)
        };
        build(&disk, &brick, index).context("building a crash state")?;
        stats.lost_tails += 1;
        for _ in 0..dice.below(3) {
            let stop = dice.below(1 + 4 * self.ops.len().min(60)) as u64;
            self.attempt(&brick, Some(stop), dice)?;
            std::fs::write(brick.join(".rfs/index.redb"), index)?;
        }
        let Some(tree) = self.attempt(&brick, None, dice)? else { bail!("recovery did not end") };
        self.must_be_right(&tree, &brick, &models)?;
        drop(tree);
        std::fs::remove_dir_all(&brick)?;
        Ok(())
    }

    /// The volume after each record from the checkpoint on.
    fn fold(&self) -> BTreeMap<u64, Model> {
        let mut model = Model::new();
        let mut out = BTreeMap::new();
        for (index, op) in (1..).zip(self.ops) {
            if index > self.at.0 {
                out.insert(index - 1, model.clone());
            }
            model.apply(Index(index), op);
        }
        out.insert(self.ops.len() as u64, model);
        out
    }

    fn attempt(&self, brick: &Path, stop: Option<u64>, dice: &mut Dice) -> Result<Option<Tree>> {
        let mut tree = Tree::open(brick, &limits(dice)).context("opening the crashed brick")?;
        tree.power_was_lost()?;
        let (after, through) = (tree.applied(), self.keep);
        tree.stop_before(stop.unwrap_or(u64::MAX));
        let ops = &self.ops[..through.0 as usize];
        match converge(&mut tree, through, &mut Log { ops, after, through }, self.mutant) {
            Ok(_) => tree.stop_before(u64::MAX),
            Err(fault) if is_tripped(&fault) => return Ok(None),
            Err(fault) => return Err(fault).context("recovery"),
        }
        tree.leftovers()?.into_iter().try_for_each(|leftover| leftover.run())?;
        Ok(Some(tree))
    }

    fn must_be_right(&self, tree: &Tree, brick: &Path, models: &BTreeMap<u64, Model>) -> Result<()> {
        let want = models[&self.keep.0].picture();
        let touched = self.touched(models);
        let found = Picture::read(brick).map_err(|why| anyhow!("reading the disk: {why}"))?;
        found.must_be_but(&want, &|id| touched.contains(&id)).map_err(|why| anyhow!("the disk: {why}"))?;
        for id in want.nodes.keys() {
            let entry = tree.entry(*id)?.ok_or_else(|| anyhow!("the index does not have inode {id}"))?;
            let places: BTreeSet<_> = entry.places.iter().map(|p| (p.parent, p.name.to_vec())).collect();
            let names = want.names_of(*id).into_iter().filter(|(parent, _)| want.nodes.contains_key(parent));
            let names: BTreeSet<_> = names.map(|(parent, name)| (parent, name.to_vec())).collect();
            ensure!(places == names, "the index has inode {id} at {places:?}, not {names:?}");
            let differs = found.nodes.get(id) != want.nodes.get(id);
            ensure!(!differs || !touched.contains(id) || tree.is_doubtful(*id), "inode {id} is not doubted");
        }
        Ok(())
    }

    /// Inodes that any record since the checkpoint may have touched.
    fn touched(&self, models: &BTreeMap<u64, Model>) -> BTreeSet<InodeId> {
        let mut out = BTreeSet::new();
        for ((_, before), (_, after)) in models.iter().zip(models.iter().skip(1)) {
            let changed = |(id, node): &(&InodeId, &Node)| before.nodes.get(id) != Some(node);
            out.extend(after.nodes.iter().filter(changed).map(|(id, _)| *id));
        }
        out
    }
}

/// What a record that may be lost has removed is in limbo.
fn with_the_dying(mut disk: Picture, models: &BTreeMap<u64, Model>) -> Picture {
    let checkpoint = models.values().next().into_iter().flat_map(|model| &model.nodes);
    for (id, node) in checkpoint {
        if !disk.nodes.contains_key(id) {
            disk.slots.insert((LIMBO, Bytes::from(id.to_string())), *id);
            disk.nodes.insert(*id, node.clone());
        }
    }
    disk
}
