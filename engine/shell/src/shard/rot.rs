//! Rotten blocks: nobody is given one. They are had from another brick, written in place, synced and read back from the
//! disk; who asked for one waits for that, for a while.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use rfs_model::hello::Purpose;
use rfs_model::{InodeId, NodeId, Refusal};

use super::queries::Asked;
use super::wire::ShellMessage;
use super::{Event, Inner, Shard, TreeState};
use crate::tree::{Fault, Given, Mended};

/// How long a brick may take to answer.
const ANSWER_US: u64 = 1_000_000;
/// How long who asks for a rotten block is kept waiting, before he is refused.
const WAIT_US: u64 = 3_000_000;
/// When all bricks were asked in vain, they are asked again after so long: at first, and when it seems to be hopeless.
const AGAIN_US: u64 = 100_000;
const HOPELESS_US: u64 = 30_000_000;
/// Wounds that are looked at in one tick.
const ROW: usize = 16;

/// A chunk with rotten blocks.
struct Wound {
    begun_us: u64,
    asked: Option<NodeId>,
    tried: BTreeSet<NodeId>,
    /// Nothing is done before.
    next_us: u64,
    /// No brick has it, as it seems.
    hopeless: bool,
    waiting: Vec<Asked>,
}

#[derive(Default)]
pub(crate) struct Rot {
    wounds: BTreeMap<(InodeId, u64), Wound>,
    /// Blocks found to be rotten, and repaired, in this life of the brick.
    found: u64,
    repaired: u64,
}

impl Inner {
    /// A question whose answer would be rotten.
    pub(super) fn ask_rotten(&mut self, now_us: u64, asked: Asked, id: InodeId, chunk: u64) {
        self.note_rotten(now_us);
        let session = self.mounts.get(asked.conn()).is_some_and(|conn| conn.purpose == Purpose::Session);
        match self.rot.wounds.get_mut(&(id, chunk)) {
            Some(wound) if session && !wound.hopeless => wound.waiting.push(asked),
            // The mount asks the leader then.
            _ if !session => self.refuse(&asked, Refusal::Stale),
            _ => self.refuse(&asked, Refusal::Broken),
        }
    }

    fn note_rotten(&mut self, now_us: u64) {
        let TreeState::Ready(tree) = &self.tree else { return };
        for rotten in tree.take_rotten() {
            self.rot.found += 1;
            let new = || Wound {
                begun_us: now_us,
                asked: None,
                tried: BTreeSet::new(),
                next_us: now_us,
                hopeless: false,
                waiting: Vec::new(),
            };
            self.rot.wounds.entry((rotten.id, rotten.chunk())).or_insert_with(new);
        }
    }

    pub(super) fn tick_rot(&mut self, now_us: u64) {
        self.note_rotten(now_us);
        let due = self.rot.wounds.iter().filter(|(_, wound)| wound.next_us <= now_us);
        let due: Vec<_> = due.map(|(at, _)| *at).take(ROW).collect();
        for (id, chunk) in due {
            if let Err(e) = self.tend(now_us, id, chunk) {
                return self.fail(e.to_string());
            }
        }
    }

    /// Asks the next brick for the blocks.
    fn tend(&mut self, now_us: u64, id: InodeId, chunk: u64) -> Result<(), Fault> {
        let TreeState::Ready(tree) = &self.tree else { return Ok(()) };
        let mask = tree.rotten_in(id, chunk)?;
        if mask == 0 {
            // It was overwritten, or the file is gone.
            self.close_wound(id, chunk);
            return Ok(());
        }
        let peers: Vec<NodeId> = self.core.bricks().iter().filter(|p| p.up).map(|p| p.brick).collect();
        let Some(wound) = self.rot.wounds.get_mut(&(id, chunk)) else { return Ok(()) };
        wound.tried.extend(wound.asked.take());
        let next = peers.into_iter().find(|peer| *peer != self.me && !wound.tried.contains(peer));
        if let Some(peer) = next {
            (wound.asked, wound.next_us) = (Some(peer), now_us + ANSWER_US);
            self.send(peer, &ShellMessage::BlocksWanted { id, chunk, mask });
            return Ok(());
        }
        wound.tried.clear();
        if now_us.saturating_sub(wound.begun_us) < WAIT_US {
            wound.next_us = now_us + AGAIN_US;
            return Ok(());
        }
        wound.next_us = now_us + HOPELESS_US;
        if !std::mem::replace(&mut wound.hopeless, true) {
            let (brick, path) = (tree.path().display(), tree.path_of(id));
            tracing::error!("rot: {brick}{path}: no other brick has the blocks at {}", at(chunk));
        }
        for asked in std::mem::take(&mut wound.waiting) {
            self.refuse(&asked, Refusal::Broken);
        }
        Ok(())
    }

    /// The blocks are whole again, or nobody's: who waits for them may read.
    fn close_wound(&mut self, id: InodeId, chunk: u64) {
        let Some(wound) = self.rot.wounds.remove(&(id, chunk)) else { return };
        wound.waiting.into_iter().for_each(|asked| self.queries.wait(asked));
    }

    /// Another brick lacks blocks.
    pub(super) fn blocks_wanted(&mut self, from: NodeId, id: InodeId, chunk: u64, mask: u32) {
        let TreeState::Ready(tree) = &self.tree else { return };
        if !self.is_of_the_set() || tree.is_doubtful(id) {
            return;
        }
        match tree.give(id, chunk, mask) {
            Ok(Some(given)) => self.send(from, &ShellMessage::BlocksGiven { id, chunk, given }),
            Ok(None) => {}
            Err(e) => self.fail(e.to_string()),
        }
    }

    /// Whether the versions of this brick's files are those of the others: what it has applied is a part of what its leader
    /// has, or it leads.
    pub(super) fn is_of_the_set(&self) -> bool {
        self.front.is_leading() || self.reads_here(self.applied())
    }

    pub(super) fn blocks_given(
        &mut self,
        shard: &Rc<Shard>,
        now_us: u64,
        from: NodeId,
        (id, chunk): (InodeId, u64),
        given: &Given,
    ) {
        let TreeState::Ready(tree) = &self.tree else { return };
        let Some(wound) = self.rot.wounds.get_mut(&(id, chunk)).filter(|w| w.asked == Some(from)) else {
            return;
        };
        let mend = match tree.mend(id, chunk, given) {
            Ok(Some(mend)) => mend,
            Ok(None) => {
                // It is of another version: the same brick may have the right one in a moment.
                wound.next_us = now_us + AGAIN_US;
                return;
            }
            Err(e) => return self.fail(e.to_string()),
        };
        wound.next_us = u64::MAX;
        let inbox = Rc::clone(&shard.inbox);
        glommio::spawn_local(async move {
            let result = glommio::executor().spawn_blocking(move || mend.run()).await;
            inbox.push(Event::Mended { from, at: (id, chunk), result });
        })
        .detach();
    }

    pub(super) fn mended(
        &mut self,
        now_us: u64,
        from: NodeId,
        (id, chunk): (InodeId, u64),
        result: Result<Mended, Fault>,
    ) {
        let TreeState::Ready(tree) = &self.tree else { return };
        let (brick, path) = (tree.path().display().to_string(), tree.path_of(id));
        match result.and_then(|mended| tree.mended(id, chunk, &mended)) {
            Ok(blocks) => {
                self.rot.repaired += u64::from(blocks);
                let source = self.brick_name(from);
                tracing::warn!("rot: {brick}{path}: {blocks} blocks at {} repaired from {source}", at(chunk));
            }
            Err(e) => tracing::error!("rot: {brick}{path}: a repair at {} failed: {e}", at(chunk)),
        }
        if let Some(wound) = self.rot.wounds.get_mut(&(id, chunk)) {
            wound.next_us = now_us;
        }
    }

    /// Blocks found and repaired in this life of the brick, and paths of those that no brick has.
    pub(super) fn rot_report(&self) -> (u64, u64, Vec<String>) {
        let TreeState::Ready(tree) = &self.tree else {
            return (self.rot.found, self.rot.repaired, Vec::new());
        };
        let hopeless = self.rot.wounds.iter().filter(|(_, wound)| wound.hopeless);
        let paths: BTreeSet<String> = hopeless.map(|((id, _), _)| tree.path_of(*id)).collect();
        (self.rot.found, self.rot.repaired, paths.into_iter().collect())
    }
}

/// Where a chunk begins in its file.
fn at(chunk: u64) -> u64 {
    chunk * crate::tree::CHUNK
}
