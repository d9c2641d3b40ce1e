//! The learner's side of a copy.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::mpsc;

use bytes::Bytes;
use rfs_core::consensus::api::Input;
use rfs_model::codec::Decode;
use rfs_model::config::{ConfigEntry, Position};
use rfs_model::label::{BrickState, Label};
use rfs_model::resync::Item;
use rfs_model::sealed::{seal, unseal};
use rfs_model::{NodeId, layout};

use super::super::bridge::{Caller, bridge};
use super::super::forks::Forks;
use super::super::wire::ShellMessage;
use super::super::{Event, Inner, Shard, TreeState};
use super::{Origin, ResyncEvent, WINDOW};
use crate::durable;
use crate::tree::{Checkpoint, Fault, Limits, Sink, Tree};

/// A copy on its way in.
pub(super) struct Receiving {
    from: NodeId,
    number: u64,
    next: u64,
    /// Parts that are stored.
    stored: Rc<Cell<u64>>,
    parts: mpsc::Sender<Bytes>,
}

impl Receiving {
    pub(super) fn stored_of(&self, from: NodeId) -> Option<u64> {
        (self.from == from).then(|| self.stored.get())
    }
}

/// Where a copied brick's log begins, written before its label says `live`: a crash before the log has begun anew is then
/// made good at the next start.
#[derive(Debug)]
struct Note {
    at: Position,
    chain: u32,
    config: ConfigEntry,
}
layout!(Note { at, chain, config });

const MAGIC: [u8; 4] = *b"rfso";
const VERSION: u16 = 1;

fn note_path(brick: &Path) -> PathBuf {
    brick.join(".rfs/copied")
}

/// The note of a copy that was finished and whose log was not begun, if there is one.
///
/// # Errors
/// One line for a note that cannot be read.
pub(crate) fn noted_origin(brick: &Path) -> Result<Option<Origin>, String> {
    let path = note_path(brick);
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(format!("{}: {e}", path.display())),
    };
    let note: Note = unseal(MAGIC, VERSION, &bytes).map_err(|e| format!("{}: {e}", path.display()))?;
    let forks = Forks::load(brick)?;
    Ok(Some(Origin { at: note.at, chain: note.chain, config: note.config, forks }))
}

/// # Errors
/// One line.
pub(crate) fn forget_origin(brick: &Path) -> Result<(), String> {
    match std::fs::remove_file(note_path(brick)) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e.to_string()),
        _ => Ok(()),
    }
}

/// Runs on a thread: wipes the old tree, stores the parts as they come.
fn store(
    dir: &Path,
    label: Label,
    origin: &Origin,
    parts: &mpsc::Receiver<Bytes>,
    mut acks: Caller<u64, ()>,
) -> Result<(Tree, Checkpoint), Fault> {
    let mut wipe = Sink::begin(dir, label)?;
    while wipe.step()? {}
    let note = Note { at: origin.at, chain: origin.chain, config: origin.config.clone() };
    origin.forks.save(dir).map_err(Fault::Copy)?;
    durable::replace(&note_path(dir), &seal(MAGIC, VERSION, &note))
        .map_err(|e| Fault::Copy(format!("cannot note where the log begins: {e}")))?;
    let mut sink = Sink::new(dir, &Limits::default(), label)?;
    let mut number = 0;
    while !sink.is_done() {
        let part = parts.recv().map_err(|_| Fault::Copy("the leader broke it off".into()))?;
        sink.take(Item::from_all(&part).map_err(|e| Fault::Copy(e.to_string()))?)?;
        number += 1;
        acks.call(number).ok_or_else(|| Fault::Copy("the shard is gone".into()))?;
    }
    drop(sink);
    let tree = Tree::open(dir, &Limits::default())?;
    let checkpoint = tree.checkpoint()?;
    Ok((tree, checkpoint))
}

impl Inner {
    pub(super) fn is_receiving(&self, number: u64) -> bool {
        self.resync.receiving.as_ref().is_some_and(|r| r.number == number)
    }

    pub(super) fn begin_receiving(&mut self, shard: &Rc<Shard>, now_us: u64, from: NodeId, origin: Origin) {
        if matches!(self.tree, TreeState::Converging) {
            // It will be asked for again.
            return;
        }
        tracing::info!(from = %self.brick_name(from), at = %origin.at.index, "the brick is copied anew");
        // Closes the old index before the new one is made, and ends an earlier copy's thread.
        (self.resync.receiving, self.resync.noted) = (None, false);
        self.tree = TreeState::Resyncing;
        self.restart_feed();
        self.step(shard, now_us, Input::CopyBegins);
        let number = self.ticket().0;
        let (sender, parts) = mpsc::channel();
        let (acks, mut desk) = match bridge::<u64, ()>() {
            Ok(ends) => ends,
            Err(e) => return self.fail(format!("cannot begin a copy: {e}")),
        };
        let stored = Rc::new(Cell::new(0));
        self.resync.receiving =
            Some(Receiving { from, number, next: 0, stored: Rc::clone(&stored), parts: sender });
        let acker = Rc::clone(shard);
        glommio::spawn_local(async move {
            while let Some(upto) = desk.next().await {
                stored.set(upto);
                acker.inner.borrow().send(from, &ShellMessage::CopyAck { upto });
                desk.reply(());
            }
        })
        .detach();
        let aside = match self.tail_job(shard, &origin.forks) {
            Ok(aside) => aside,
            Err(e) => return self.fail(format!("cannot set aside what the leader lacks: {e}")),
        };
        let brick = self.brick;
        let label = Label { state: BrickState::Live, volume: shard.volume, node: self.me, set: 0, brick };
        let (dir, inbox, shard) = (shard.path.clone(), Rc::clone(&shard.inbox), Rc::clone(shard));
        let state = self.state.clone();
        glommio::spawn_local(async move {
            let told = origin.clone();
            let bell = Rc::clone(&inbox);
            let job = move || aside.carry_out(&dir).map(|()| store(&dir, label, &told, &parts, acks));
            // What the brick is part of must be known even if it starts again without tree and log.
            let stored = match shard.note_volume(state).await {
                Ok(()) => match glommio::executor().spawn_blocking(job).await {
                    Ok(stored) => stored,
                    Err(why) => return bell.push(Event::Resync(ResyncEvent::NotSetAside { why })),
                },
                Err(e) => Err(Fault::Copy(e)),
            };
            let event = match stored {
                Ok((tree, checkpoint)) => {
                    let (tree, origin) = (Box::new(tree), Box::new(origin));
                    ResyncEvent::Installed { number, tree, checkpoint, origin }
                }
                Err(e) => ResyncEvent::ReceiveFailed { number, why: e.to_string() },
            };
            inbox.push(Event::Resync(event));
        })
        .detach();
    }

    pub(super) fn receive_part(&mut self, from: NodeId, number: u64, part: Bytes) {
        let Some(receiving) = &mut self.resync.receiving else { return };
        // No leader has more than a window of parts on their way.
        let ahead = number.saturating_sub(receiving.stored.get()) > 2 * WINDOW;
        let fits = receiving.from == from && receiving.next == number && !ahead;
        if !fits || receiving.parts.send(part).is_err() {
            // A gap, or the thread has failed: the copy is asked for again.
            self.resync.receiving = None;
            return;
        }
        receiving.next += 1;
    }
}
