//! Witnesses that are connected to this brick.

use std::collections::BTreeMap;
use std::rc::Rc;

use rfs_core::consensus::api::{Input, Received};
use rfs_model::SeatId;
use rfs_model::codec::{Decode, Encode};
use rfs_model::config::Seat;
use rfs_model::frame::{FrameKind, frame, put_frame};
use rfs_model::hello::{Denial, SeatClass, Standing};
use rfs_model::peer::{WitnessReply, WitnessRequest};

use super::queue::Outbox;
use super::{Event, Inner, Shard};
use crate::net::{Connection, NetError};

/// What a witness said of itself when it came.
#[derive(Clone, Debug)]
pub struct WitnessHello {
    pub seat: SeatId,
    pub class: SeatClass,
    pub host: String,
    /// It has proved to be a node of the pool.
    pub proven: bool,
}

/// Witnesses that may be connected at once: each is a machine that mounts, or a node of the pool.
const WITNESSES: usize = rfs_model::limits::SESSIONS;

/// Connected witnesses; the newest connection of each counts.
#[derive(Default)]
pub(crate) struct Seats(BTreeMap<SeatId, Rc<Outbox>>);

impl Seats {
    pub fn send(&self, to: SeatId, message: &WitnessRequest) {
        if let Some(outbox) = self.0.get(&to) {
            outbox.put(|out| put_frame(out, FrameKind::Witness, |out| message.encode(out)));
        }
    }

    pub fn close(&self, seat: SeatId) {
        if let Some(outbox) = self.0.get(&seat) {
            outbox.close();
        }
    }

    pub fn is_up(&self, seat: SeatId) -> bool {
        self.0.contains_key(&seat)
    }

    pub fn close_all(&mut self) {
        std::mem::take(&mut self.0).values().for_each(|outbox| outbox.close());
    }
}

impl Shard {
    /// Serves a witness's connection until it ends: the brick asks, the other side answers.
    ///
    /// # Errors
    /// [`NetError`].
    pub async fn accept_witness(
        self: Rc<Self>,
        mut connection: Connection,
        hello: WitnessHello,
    ) -> Result<(), NetError> {
        if self.end().is_some() {
            return Err(crate::net::handshake::refuse(&mut connection, Denial::NoVolume).await);
        }
        let denial = self.inner.borrow().seat_denial(&hello, connection.peer());
        if let Some(why) = denial {
            return Err(crate::net::handshake::refuse(&mut connection, why).await);
        }
        // A seat that is dead must not look like one to move to.
        connection.notice_death();
        let welcome = self.inner.borrow().welcome(Standing::Ready);
        connection.send(frame(FrameKind::Hello, &welcome)).await?;
        let (mut source, sink, hangup) = connection.split();
        let outbox = Outbox::new(hangup);
        glommio::spawn_local(Rc::clone(&outbox).drain(sink)).detach();
        let WitnessHello { seat, class, host, .. } = hello;
        self.inbox.push(Event::SeatUp { seat, class, host, outbox: Rc::clone(&outbox) });
        let allowance = Rc::new(super::callers::Allowance::default());
        let ended = loop {
            let payload = match source.recv().await {
                Ok((FrameKind::Witness, payload)) => payload,
                Ok((other, _)) => {
                    break NetError::Unexpected(format!("a frame of kind {other:?} from a witness"));
                }
                Err(e) => break e,
            };
            match WitnessReply::from_all(&payload) {
                Ok(reply) => {
                    let part = allowance.take(payload.len()).await;
                    self.inbox.push(Event::Seat { seat, reply, part });
                }
                Err(e) => break e.into(),
            }
        };
        self.inbox.push(Event::SeatDown { seat, outbox });
        Err(ended)
    }
}

impl Inner {
    /// Why a machine may not offer its vote. One that is no node of the pool must be allowed to mount the volume.
    fn seat_denial(&self, hello: &WitnessHello, peer: &str) -> Option<Denial> {
        let seat = Seat { id: hello.seat, class: hello.class, host: hello.host.clone() };
        if seat.problem().is_some() {
            return Some(Denial::Nonsense);
        }
        if !hello.proven && !super::accept::allowed(&self.options.auth, peer) {
            return Some(Denial::NotAllowed);
        }
        (self.seats.0.len() >= WITNESSES && !self.seats.is_up(hello.seat)).then_some(Denial::Full)
    }

    pub(super) fn seat_up(
        &mut self,
        shard: &Rc<Shard>,
        now_us: u64,
        seat: SeatId,
        class: SeatClass,
        host: String,
        outbox: Rc<Outbox>,
    ) {
        if let Some(old) = self.seats.0.insert(seat, outbox) {
            old.close();
        }
        tracing::info!(%seat, host, "a witness is here");
        self.step(shard, now_us, Input::SeatCandidate { seat, class, host, up: true });
    }

    pub(super) fn seat_reply(&mut self, shard: &Rc<Shard>, now_us: u64, seat: SeatId, reply: WitnessReply) {
        self.step(shard, now_us, Input::Message(Received::Seat { from: seat, message: reply }));
    }

    pub(super) fn seat_down(&mut self, shard: &Rc<Shard>, now_us: u64, seat: SeatId, outbox: &Rc<Outbox>) {
        outbox.close();
        if self.seats.0.get(&seat).is_some_and(|now| Rc::ptr_eq(now, outbox)) {
            self.seats.0.remove(&seat);
            let (class, host) = (SeatClass::Mount, String::new());
            self.step(shard, now_us, Input::SeatCandidate { seat, class, host, up: false });
        }
    }

    pub(crate) fn is_seat_up(&self, seat: SeatId) -> bool {
        self.seats.is_up(seat)
    }
}
