//! What comes from the other bricks, and the links to them.

use std::rc::Rc;

use rfs_core::consensus::api::{DownCause, Input, Lie, Peer, Trust};
use rfs_model::config::Position;
use rfs_model::{Index, NodeId, Record, Term};

use super::links::{Caller, Down, Link, LinkEvent};
use super::wire::{PeerFrame, ShellMessage};
use super::{Inner, Shard};

impl Inner {
    /// Dials every brick of the volume that has no link yet.
    pub(super) fn start_links(&mut self, shard: &Rc<Shard>) {
        let others: Vec<NodeId> =
            self.state.bricks.iter().map(|b| b.node).filter(|n| *n != self.me).collect();
        for peer in others {
            let caller =
                Caller { me: self.me, volume: shard.volume, secret: Rc::clone(&shard.around.secret) };
            let (addresses, inbox) = (Rc::clone(&shard.around.addresses), Rc::clone(&shard.inbox));
            self.links.entry(peer).or_insert_with(|| Link::start(caller, peer, addresses, inbox));
        }
    }

    /// Whether a node has no brick of the volume, as its own state and configuration say.
    pub(super) fn is_stranger(&self, node: NodeId) -> bool {
        let named = self.state.bricks.iter().any(|place| place.node == node);
        let counted = self.core.config().record.configs().any(|config| config.bricks.contains(&node));
        let whole = !matches!(self.tree, super::TreeState::Resyncing) && self.core.trust() == Trust::Sound;
        whole && !named && !counted
    }

    /// Hangs up on those that are no bricks of the volume any more.
    pub(super) fn stop_links(&mut self) {
        let bricks = &self.state.bricks;
        self.links.retain(|peer, link| {
            let stays = bricks.iter().any(|place| place.node == *peer);
            if !stays {
                link.stop();
            }
            stays
        });
    }

    /// The volume's state names the bricks; the configuration follows it, whoever leads when.
    pub(super) fn follow_bricks(&mut self, shard: &Rc<Shard>, now_us: u64) {
        if !self.front.is_leading() {
            return;
        }
        let mut bricks: Vec<NodeId> = self.state.bricks.iter().map(|place| place.node).collect();
        bricks.sort_unstable();
        if bricks != self.core.config().record.target().bricks {
            self.step(shard, now_us, Input::Members { bricks });
        }
    }

    pub(super) fn link_event(&mut self, shard: &Rc<Shard>, now_us: u64, event: LinkEvent) {
        let input = match event {
            LinkEvent::Up(peer) => {
                self.tell_info(peer);
                if let Some(upto) = self.resync.stored_of(peer) {
                    self.send(peer, &ShellMessage::CopyAck { upto });
                }
                Input::LinkUp { peer }
            }
            LinkEvent::Down(peer, down) => {
                // A new link may be up before anybody looks again; but what was on the old one is gone.
                self.resync.break_off(peer);
                if down != Down::Reset {
                    self.infos.gone(peer);
                }
                let cause = match down {
                    Down::Refused => DownCause::Refused,
                    Down::Reset => DownCause::Reset,
                    Down::Silent => DownCause::Silent,
                };
                Input::LinkDown { peer, cause }
            }
        };
        self.step(shard, now_us, input);
    }

    pub(super) fn peer_frame(&mut self, shard: &Rc<Shard>, now_us: u64, from: NodeId, frame: PeerFrame) {
        match frame {
            PeerFrame::Core(message) => self.peer_message(shard, now_us, from, message),
            PeerFrame::Append { header, records, .. } if !self.chains(header.prev, &records) => {
                self.refused(shard, Peer::Brick(from), Lie::Unchained);
            }
            PeerFrame::Append { header, records, metas, configs } => {
                self.incoming = records;
                self.step(shard, now_us, Input::Append { from, header, metas: &metas, configs: &configs });
                self.incoming.clear();
            }
            PeerFrame::Shell(ShellMessage::Info { info }) => self.info_from(from, info),
            PeerFrame::Shell(ShellMessage::BlocksWanted { id, chunk, mask }) => {
                self.blocks_wanted(from, id, chunk, mask);
            }
            PeerFrame::Shell(ShellMessage::BlocksGiven { id, chunk, given }) => {
                self.blocks_given(shard, now_us, from, (id, chunk), &given);
            }
            PeerFrame::Shell(ShellMessage::Scrub { begin }) => self.scrub(begin, now_us),
            PeerFrame::Shell(ShellMessage::ScrubState { state }) => self.scrub.heard(from, state),
            PeerFrame::Shell(ShellMessage::Compare { looks }) => self.compare(from, &looks),
            PeerFrame::Shell(ShellMessage::Compared { same, differ }) => self.compared(from, &same, differ),
            PeerFrame::Shell(ShellMessage::CompareSums { id, version, chunks }) => {
                self.compare_sums(from, id, version, &chunks);
            }
            PeerFrame::Shell(ShellMessage::OtherSums { id, version, blocks }) => {
                self.other_sums(from, id, version, &blocks);
            }
            PeerFrame::Shell(ShellMessage::Claim { claim }) => self.claim_came(shard, from, claim),
            PeerFrame::Shell(ShellMessage::Claimed { said }) => self.claimed(shard, now_us, from, said),
            PeerFrame::Shell(message) => self.copy_message(shard, now_us, from, message),
        }
    }

    /// Whether the first record that is new here chains to the one before it. What does not fit at all the core judges.
    fn chains(&self, prev: Position, records: &[Record]) -> bool {
        if self.term_of(prev.index) != Some(prev.term) {
            return true;
        }
        let fresh = records.iter().find(|record| self.term_of(record.meta.index) != Some(record.meta.term));
        let Some(fresh) = fresh else { return true };
        self.crc_of(fresh.meta.index.prev()).is_none_or(|own| own == fresh.meta.chain)
    }

    /// The term of a record of the log, those of the batch included.
    fn term_of(&self, index: Index) -> Option<Term> {
        self.waiting(index).map_or_else(|| self.journal.term_at(index), |record| Some(record.meta.term))
    }

    /// A record of this turn that is not in the journal yet.
    fn waiting(&self, index: Index) -> Option<&Record> {
        let first = self.batch.first()?.meta.index;
        self.batch.get(usize::try_from(index.0.checked_sub(first.0)?).ok()?)
    }

    fn crc_of(&self, index: Index) -> Option<u32> {
        let newest = self.batch.last().map_or(self.journal.last().index, |record| record.meta.index);
        if index == newest {
            return Some(self.chain);
        }
        self.waiting(index).map(|record| record.meta.crc()).or_else(|| self.journal.chain_at(index).ok())
    }
}
