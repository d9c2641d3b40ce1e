//! The one door.

use rfs_model::config::{ConfigEntry, ConfigRecord, Position};
use rfs_model::hello::SeatClass;
use rfs_model::peer::PeerMessage;
use rfs_model::{Index, Lineage, Meta, NodeId, RecordKind, SeatId, Term};

use super::Consensus;
use super::api::{DownCause, Effect, Input, Lie, Peer, Received, RoleView, Ticket, Trust};
use super::role::{Mode, Role, SeatState};

impl Consensus {
    /// Takes one input and appends what must be done to `out`. After it, the same invariants hold.
    ///
    /// # Panics
    /// When an invariant does not hold, or the shell breaks its promises (see the module): a brick that finds itself wrong
    /// stops rather than going on.
    pub fn step(&mut self, now_us: u64, input: Input<'_>, out: &mut Vec<Effect>) {
        self.now_us = self.now_us.max(now_us);
        let (committed, view) = (self.marks.committed, self.view());
        // A copy replaces what was committed here and abandoned by the others.
        let replaced = matches!(input, Input::Installed { .. });
        self.take(input);
        self.settle();
        if self.view() != view {
            self.out.push(Effect::RoleChanged);
        }
        let mut effects = std::mem::take(&mut self.out);
        let hurry = self.mutations.speak_before_saved;
        self.saver.pass(std::mem::take(&mut self.dirty), &self.hard, hurry, &mut effects, out);
        self.out = effects;
        assert!(replaced || self.marks.committed >= committed, "the commit index went back");
        self.check();
    }

    /// What `RoleChanged` is about.
    fn view(&self) -> (RoleView, Option<NodeId>, Term, bool) {
        (self.role(), self.leader(), self.hard.term, self.leading().is_some())
    }

    fn take(&mut self, input: Input<'_>) {
        if let Some((from, why)) = self.lie(&input) {
            return self.refuse(from, why);
        }
        match input {
            Input::Tick => self.tick(),
            Input::LinkUp { peer } => self.link_up(peer),
            Input::LinkDown { peer, cause } => self.link_down(peer, cause),
            Input::Message(Received::Brick { from, message }) => self.brick_message(from, &message),
            Input::Message(Received::Seat { from, message }) => self.seat_message(from, message),
            Input::Append { from, header, metas, configs } => {
                self.heard(from);
                self.on_append(from, header, metas, configs);
            }
            Input::Proposed { meta } => self.proposed(meta),
            Input::EndOfTurn => self.end_of_turn(),
            Input::Shipped { to, from, upto } => self.shipped(to, from, upto),
            Input::Journaled { upto } => self.journaled(upto),
            Input::Synced { upto } => self.synced(upto),
            Input::Applied { upto } => self.applied(upto),
            Input::StateSaved { ticket } => self.saver.saved(ticket, &mut self.out),
            Input::Trimmed { base } => self.trimmed(base),
            Input::SeatCandidate { seat, class, host, up } => self.seat_candidate(seat, class, host, up),
            Input::WantDurable { upto } => self.want_durable(upto),
            Input::Read { ticket } => self.read(ticket),
            Input::Leave => self.begin_leave(),
            Input::CopyBegins => self.copy_begins(),
            Input::Installed { at, config } => self.installed(at, config),
            Input::Members { bricks } => self.members(bricks),
            Input::Promote => self.promote(),
            Input::Rejoin => self.rejoin(),
            Input::SeatWish { wish } => self.wish_seat(wish),
        }
    }

    /// What follows from the inputs, whatever they were.
    fn settle(&mut self) {
        match &self.role {
            Role::Leader(_) => {
                self.advance();
                self.reconfigure();
                self.announce_config();
                self.answer_reads();
            }
            Role::Candidate(_) => self.count_votes(),
            Role::Follower(_) => self.follow_commit(),
        }
        self.sync_wanted();
        self.leave_progress();
    }

    fn tick(&mut self) {
        self.review = true;
        match &self.role {
            Role::Leader(_) => self.lead_tick(),
            Role::Candidate(_) => self.campaign_tick(),
            Role::Follower(_) => self.follow_tick(),
        }
        self.sync_tick();
    }

    fn end_of_turn(&mut self) {
        match &self.role {
            Role::Leader(_) => self.ship_all(),
            Role::Candidate(_) => {}
            Role::Follower(_) => self.follow_end_of_turn(),
        }
    }

    pub(super) fn heard(&mut self, from: NodeId) {
        let now = self.now_us;
        self.peer(from).heard_us = Some(now);
    }

    fn link_up(&mut self, peer: NodeId) {
        let state = self.peer(peer);
        (state.up, state.refused) = (true, false);
        let (term, last) = (self.hard.term, self.log.last_position());
        let (trust, nonce) = (self.hard.trust, self.nonce);
        let leading = matches!(self.role, Role::Leader(_));
        self.send(peer, PeerMessage::Greeting { term, leading, last, trust, nonce });
        match &mut self.role {
            Role::Leader(lead) => {
                match lead.progress.get_mut(&peer) {
                    Some(progress) if progress.mode == Mode::Resync => {
                        self.out.push(Effect::NeedsResync { to: peer });
                    }
                    Some(progress) => progress.probe(self.log.last().next()),
                    None => {}
                }
                self.send_pulse(peer);
            }
            Role::Candidate(campaign) => {
                let ask = campaign.ask;
                self.send(peer, PeerMessage::Vote { ask });
            }
            Role::Follower(follower) => follower.read_sent_us = 0,
        }
    }

    fn link_down(&mut self, peer: NodeId, cause: DownCause) {
        let state = self.peer(peer);
        state.up = false;
        state.refused = cause == DownCause::Refused;
        self.review = true;
        match &mut self.role {
            Role::Leader(lead) => {
                if let Some(progress) = lead.progress.get_mut(&peer)
                    && progress.mode != Mode::Resync
                {
                    progress.probe(progress.next);
                }
            }
            Role::Follower(follower) if follower.leader == Some(peer) && cause != DownCause::Reset => {
                self.leader_lost();
            }
            Role::Follower(_) | Role::Candidate(_) => {}
        }
    }

    fn brick_message(&mut self, from: NodeId, message: &PeerMessage) {
        self.heard(from);
        match *message {
            PeerMessage::Greeting { term, leading, trust, nonce, .. } => {
                self.on_greeting(from, term, leading, (trust, nonce));
            }
            PeerMessage::Vote { ask } => self.on_vote(from, ask),
            PeerMessage::VoteReply { term, pre, verdict, trust, config, .. } => {
                self.on_vote_reply(from, (term, pre), verdict, trust, config);
            }
            // The shell decodes the records and uses the other input; an empty one may come this way.
            PeerMessage::Append { header } => self.on_append(from, header, &[], &[]),
            PeerMessage::Heartbeat { pulse } => self.on_heartbeat(from, pulse),
            PeerMessage::Ack { ack } => self.on_ack(from, ack),
            PeerMessage::Vouch { term, nonce, upto } => self.on_vouch(from, term, nonce, upto),
            PeerMessage::Handover { term } => self.on_handover(from, term),
            PeerMessage::ReadIndex { term, ticket } => self.on_read_index(from, term, ticket),
            PeerMessage::ReadIndexReply { term, ticket, index } => {
                self.on_read_reply(from, term, ticket, index)
            }
        }
    }

    fn on_greeting(&mut self, from: NodeId, term: Term, leading: bool, (trust, nonce): (Trust, u64)) {
        self.see_term(term);
        if let Role::Follower(follower) = &self.role
            && follower.leader == Some(from)
            && !leading
            && term <= self.hard.term
        {
            self.leader_lost();
        }
        if trust != Trust::Sound {
            self.vouch(from, trust, nonce);
        }
    }

    /// A term above the own one ends whatever this brick is.
    pub(super) fn see_term(&mut self, term: Term) {
        if term > self.hard.term {
            self.become_follower(term, None);
        }
    }

    fn seat_candidate(&mut self, id: SeatId, class: SeatClass, host: String, up: bool) {
        let now = self.now_us;
        let seat = rfs_model::config::Seat { id, class, host };
        if seat.problem().is_some() {
            return self.refuse(Peer::Seat(id), Lie::Malformed);
        }
        let state = self.seats.entry(id).or_insert_with(|| SeatState {
            seat: seat.clone(),
            up: !up,
            since_us: now,
            heard_us: None,
            releasing: false,
            silent: false,
        });
        if state.up != up {
            (state.up, state.since_us, state.releasing) = (up, now, false);
        }
        state.silent &= !up;
        state.seat = seat;
        if up {
            state.heard_us = Some(now);
        }
        self.review = true;
        // Of one that is gone and has no say nothing need be known.
        if !up && !self.record().configs().flat_map(|config| &config.seat).any(|seat| seat.id == id) {
            self.seats.remove(&id);
        }
        match &self.role {
            Role::Candidate(campaign) if up => {
                let ask = campaign.ask;
                self.ask_seat(id, ask);
            }
            // One that no longer holds the seat learns so, and stands by no brick that does not know it.
            Role::Leader(_) if up && self.marks.committed >= self.entry().at.index => self.tell_config(id),
            Role::Candidate(_) | Role::Follower(_) | Role::Leader(_) => {}
        }
    }

    fn proposed(&mut self, meta: Meta) {
        assert!(self.leading().is_some(), "a proposal to a brick that takes none");
        assert_eq!(
            (meta.term, meta.index),
            (self.hard.term, self.log.last().next()),
            "a proposal out of turn"
        );
        assert!(
            matches!(meta.kind, RecordKind::Op | RecordKind::Volume),
            "{:?} is the core's own",
            meta.kind
        );
        self.grow_log(Position::new(meta.term, meta.index));
    }

    /// Notes a new last record.
    pub(super) fn grow_log(&mut self, at: Position) {
        self.log.append(at);
        self.marks.last = at.index;
    }

    fn journaled(&mut self, upto: Position) {
        if self.log.has(upto) && upto.index > self.marks.journaled {
            self.marks.journaled = upto.index;
            self.ack_soon();
        }
    }

    fn synced(&mut self, upto: Position) {
        if self.log.has(upto) && upto.index > self.marks.synced {
            self.marks.synced = upto.index;
            self.marks.journaled = self.marks.journaled.max(upto.index);
            self.ack_soon();
        }
    }

    fn applied(&mut self, upto: Index) {
        self.marks.applied = self.marks.applied.max(upto);
    }

    fn trimmed(&mut self, base: Position) {
        assert!(base.index <= self.marks.committed, "{base:?} is not committed and was trimmed");
        self.log.trim(base);
    }

    /// The records that are here will be replaced, and none is added to them: an acknowledgement of one would not outlive the
    /// copy. Nor is there a tree to lead with.
    fn copy_begins(&mut self) {
        assert!(!matches!(self.role, Role::Leader(_)), "a leader needs no copy");
        self.copying = true;
        if matches!(self.role, Role::Candidate(_)) {
            self.become_follower(self.hard.term, None);
        }
        self.ack_soon();
    }

    fn installed(&mut self, at: Position, config: ConfigEntry) {
        self.copying = false;
        assert!(!matches!(self.role, Role::Leader(_)), "a leader needs no copy");
        let index = at.index;
        let durable = self.marks.durable.min(index);
        self.log.install(at, config.clone());
        self.marks = super::api::Watermarks {
            last: index,
            journaled: index,
            synced: index,
            committed: index,
            durable,
            applied: index,
        };
        (self.want_sync, self.sync_issued, self.gate) = (index, index, Index::ZERO);
        // As at a start: a final configuration that is known stays known, though the log has still to come to it.
        if self.record().is_joint() || !self.config_is_ahead() {
            self.hard.config = config;
        }
        self.config_changed();
        self.become_follower(self.hard.term.max(at.term), None);
    }

    /// The operator's word: a new lineage, in which this brick is all of S. The lineage is another one for each brick, should
    /// two operators have the same thought. Witnesses are told, so that they help the abandoned lineage no more.
    fn promote(&mut self) {
        let mut config = self.record().target().clone();
        let place = config.bricks.iter().position(|brick| *brick == self.me);
        let (Some(place), Trust::Sound | Trust::Suspect) = (place, self.hard.trust) else { return };
        if matches!(self.role, Role::Leader(_)) || self.copying {
            return;
        }
        let term = Term::new(next_lineage(self.hard.term.lineage(), place, self.me), 1);
        self.become_follower(term, None);
        self.hard.voted_for = Some(self.me);
        (config.in_sync, config.seat) = (vec![self.me], None);
        self.become_leader(Some(ConfigRecord::Final { config }));
    }

    /// Leaving was called off: this brick may enter S again.
    fn rejoin(&mut self) {
        self.leave = None;
        self.ack_soon();
        self.review = true;
    }

    /// Announces that a read can go nowhere.
    pub(super) fn refuse_reads(&mut self, tickets: impl IntoIterator<Item = Ticket>) {
        self.out.extend(tickets.into_iter().map(|ticket| Effect::ReadRefused { ticket }));
    }
}

/// The lineage that a brick begins: above `old`, and never one that another brick begins above `old` or anything before it.
/// The count of promotions in the upper half sorts; below it stand the brick's place in the set, which tells bricks of one
/// configuration apart, and bits of its identity, for bricks that know different ones.
fn next_lineage(old: Lineage, place: usize, me: NodeId) -> Lineage {
    const { assert!(rfs_model::limits::BRICKS <= 4, "two bits hold a place") };
    let hash =
        me.0.iter().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    let count = (old.0 >> 16) + 1;
    assert!(count <= 0xffff, "lineages are used up");
    Lineage(count << 16 | (hash >> 16 & 0xfffc) | place as u32 & 3)
}
