//! What comes from the other bricks, and the links to them.

use std::rc::Rc;

use rfs_core::consensus::api::{DownCause, Input};
use rfs_model::NodeId;

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

    pub(super) fn link_event(&mut self, shard: &Rc<Shard>, now_us: u64, event: LinkEvent) {
        let input = match event {
            LinkEvent::Up(peer) => {
                self.tell_info(peer);
                Input::LinkUp { peer }
            }
            LinkEvent::Down(peer, down) => {
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
            PeerFrame::Append { header, records, metas, configs } => {
                self.incoming = records;
                self.step(shard, now_us, Input::Append { from, header, metas: &metas, configs: &configs });
                self.incoming.clear();
            }
            PeerFrame::Shell(ShellMessage::Info { info }) => self.info_from(from, info),
            PeerFrame::Shell(message) => self.copy_message(shard, now_us, from, message),
        }
    }
}
