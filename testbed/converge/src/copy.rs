//! A brick that gets a full copy from one that goes on changing, and then recovers over the log.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use rfs_engine::tree::testing::Dice;
use rfs_engine::tree::{Checked, Fault, Lender, Lent, Limits, Sink, Source, Tree, read_label};
use rfs_model::ids::BrickId;
use rfs_model::label::{BrickState, Label};
use rfs_model::resync::Item;
use rfs_model::{Decode, Encode, Index, InodeId, NodeId, VolumeId};

const LABEL: Label = Label {
    state: BrickState::Live,
    volume: VolumeId([1; 16]),
    node: NodeId([2; 16]),
    brick: BrickId::NIL,
    set: 0,
};
/// Copies that are cut short before one is let through, at the most.
const CUTS: usize = 3;
/// Items after which a copy may be cut.
const CUT_ITEMS: usize = 60;

/// A brick under load.
pub trait Busy {
    /// Applies an operation.
    ///
    /// # Errors
    /// [`Fault`].
    fn change(&mut self) -> Result<(), Fault>;

    fn tree(&mut self) -> &mut Tree;
}

struct Lending<'a> {
    busy: &'a mut dyn Busy,
    dice: Dice,
}

impl Lender for Lending<'_> {
    fn lend(&mut self, id: InodeId) -> Result<Option<Lent>, Fault> {
        for _ in 0..self.dice.below(3) {
            self.busy.change()?;
        }
        if self.dice.chance(30) {
            self.busy.tree().end_batch()?;
        }
        self.busy.tree().lend(id)
    }

    fn check(&mut self, id: InodeId, offset: u64, data: Bytes) -> Result<Checked, Fault> {
        self.busy.tree().check_copied(id, offset, data)
    }

    fn applied(&mut self) -> Result<Index, Fault> {
        Ok(self.busy.tree().applied())
    }
}

/// Copies the busy brick's tree to `brick`, a directory with anything in it. The copy is cut short a few times, and starts
/// over. On return it is as after a crash: at the source's last checkpoint, with any part of what came after.
///
/// # Errors
/// What went wrong.
pub fn copy(busy: &mut dyn Busy, brick: &Path, limits: &Limits, dice: &mut Dice) -> Result<()> {
    for _ in 0..dice.below(CUTS + 1) {
        let items = dice.below(CUT_ITEMS);
        if attempt(busy, brick, limits, Some(items), dice)? {
            return Ok(());
        }
    }
    ensure!(attempt(busy, brick, limits, None, dice)?, "the copy did not end");
    Ok(())
}

/// False: it was cut short after so many items.
fn attempt(
    busy: &mut dyn Busy,
    brick: &Path,
    limits: &Limits,
    mut cut: Option<usize>,
    dice: &mut Dice,
) -> Result<bool> {
    let mut wipe = Sink::begin(brick, LABEL).context("wiping")?;
    while wipe.step().context("wiping")? {}
    let mut sink = Sink::new(brick, limits, LABEL).context("beginning a copy")?;
    let mut source: Source = busy.tree().copy_source()?;
    let mut until = Index::ZERO;
    let mut lender = Lending { busy, dice: dice.fork() };
    let ran = source.run(&mut lender, &mut |item| {
        match &mut cut {
            Some(0) => return Err(Fault::Copy(CUT.to_owned())),
            Some(left) => *left -= 1,
            None => {}
        }
        if let Item::End { until: end, .. } = item {
            until = end;
        }
        let wire = bytes::Bytes::from(item.encoded());
        sink.take(Item::from_all(&wire).map_err(|e| Fault::Copy(e.to_string()))?)
    });
    let state = read_label(brick)?.map(|label| label.state);
    match ran {
        Err(Fault::Copy(why)) if why == CUT => {
            ensure!(state == Some(BrickState::Resyncing), "a copy that was cut short is {state:?}");
            Ok(false)
        }
        Err(fault) => Err(fault).context("copying"),
        Ok(()) => {
            let (done, applied) = (sink.is_done(), busy.tree().applied());
            ensure!(done && state == Some(BrickState::Live), "the copy ended: {done}, {state:?}");
            ensure!(until == applied, "the copy saw {until}, and the brick is at {applied}");
            Ok(true)
        }
    }
}

const CUT: &str = "cut short by the test";
