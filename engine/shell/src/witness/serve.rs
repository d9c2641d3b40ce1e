//! The seats that a daemon lends: one for each volume of the pool that its node has no brick of. It dials all bricks; they
//! ask, and what is to be remembered is fsynced before it answers.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;

use glommio::sync::Semaphore;
use glommio::timer::sleep;
use rfs_core::witness::Answer;
use rfs_model::admin::VolumeEntry;
use rfs_model::frame::{FrameKind, put_frame};
use rfs_model::hello::{Hello, SeatClass, VERSIONS};
use rfs_model::peer::{WitnessReply, WitnessRequest};
use rfs_model::{Decode, Encode, NodeId, VolumeId};

use super::{CALL_AGAIN, CONNECT_PATIENCE, Holder, LEAVE_PATIENCE, LOOK_AGAIN, LOOK_RELEASED, registers};
use crate::clock::boottime_us;
use crate::net::framed::within;
use crate::net::handshake::offer_seat;
use crate::net::{Connection, FrameSource, NetError, connect};
use crate::pool::Pool;
use crate::shard::Outbox;

/// All seats of a daemon.
pub struct Seats {
    pool: Rc<Pool>,
    registers: PathBuf,
    /// Volumes whose seat is lent or about to be.
    kept: RefCell<BTreeSet<VolumeId>>,
    lent: RefCell<BTreeMap<VolumeId, Rc<Seat>>>,
    leaving: Cell<bool>,
}

/// One seat while this process serves it.
struct Seat {
    pool: Rc<Pool>,
    volume: VolumeId,
    holder: RefCell<Holder>,
    hello: Hello,
    /// One request at a time: the next one is judged by what is on the disk.
    turn: Semaphore,
    /// No answer leaves any more: the register could not be saved, or the seat is another's.
    over: Cell<bool>,
    outboxes: RefCell<BTreeMap<NodeId, Rc<Outbox>>>,
}

/// Whether this node lends a seat to a volume: an even number of bricks in sync needs one, and a single brick never does.
fn wants(entry: &VolumeEntry, me: NodeId) -> bool {
    entry.bricks.len() > 1 && entry.bricks.iter().all(|brick| brick.node != me)
}

impl Seats {
    #[must_use]
    pub fn new(pool: Rc<Pool>) -> Rc<Self> {
        let registers = registers(pool.state_dir());
        let (kept, lent, leaving) = (RefCell::default(), RefCell::default(), Cell::new(false));
        Rc::new(Self { pool, registers, kept, lent, leaving })
    }

    /// Lends whatever seat is wanted, until [`Seats::leave_all`].
    pub async fn serve(self: Rc<Self>) {
        while !self.leaving.get() {
            for (volume, entry) in self.pool.volumes() {
                if wants(&entry, self.pool.node()) && self.kept.borrow_mut().insert(volume) {
                    glommio::spawn_local(Rc::clone(&self).keep(volume)).detach();
                }
            }
            sleep(LOOK_AGAIN).await;
        }
    }

    /// Asks for all seats to be moved to other machines, and waits for that for at most [`LEAVE_PATIENCE`].
    pub async fn leave_all(&self) {
        self.leaving.set(true);
        let seats: Vec<Rc<Seat>> = self.lent.borrow().values().cloned().collect();
        let leaves: Vec<_> =
            seats.into_iter().map(|seat| glommio::spawn_local(async move { seat.leave().await })).collect();
        for leave in leaves {
            leave.await;
        }
    }

    fn is_wanted(&self, volume: VolumeId) -> bool {
        let me = self.pool.node();
        !self.leaving.get() && self.pool.volumes().iter().any(|(id, entry)| *id == volume && wants(entry, me))
    }

    async fn keep(self: Rc<Self>, volume: VolumeId) {
        while self.is_wanted(volume) {
            match self.begin(volume).await {
                Ok(Some(seat)) => self.lend(&Rc::new(seat)).await,
                Ok(None) => tracing::debug!(%volume, "another process of this machine serves its seat"),
                Err(e) => tracing::error!("this node cannot be a witness: {}: {e}", self.registers.display()),
            }
            sleep(LOOK_AGAIN).await;
        }
        self.kept.borrow_mut().remove(&volume);
    }

    async fn begin(&self, volume: VolumeId) -> io::Result<Option<Seat>> {
        let (dir, now_us) = (self.registers.clone(), boottime_us());
        let take = move || Holder::take(&dir, volume, now_us);
        let Some(holder) = glommio::executor().spawn_blocking(take).await? else { return Ok(None) };
        let (seat, host) = (holder.seat(), self.pool.name());
        tracing::info!(%volume, %seat, "this node has no brick of the volume and is its witness");
        let versions = VERSIONS.to_vec();
        Ok(Some(Seat {
            pool: Rc::clone(&self.pool),
            volume,
            holder: RefCell::new(holder),
            hello: Hello::Witness { versions, volume, seat, class: SeatClass::PoolNode, host },
            turn: Semaphore::new(1),
            over: Cell::new(false),
            outboxes: RefCell::default(),
        }))
    }

    /// Serves all bricks until the register breaks or the seat is wanted no more.
    async fn lend(&self, seat: &Rc<Seat>) {
        self.lent.borrow_mut().insert(seat.volume, Rc::clone(seat));
        let mut called = BTreeSet::new();
        while !seat.over.get() && self.is_wanted(seat.volume) {
            for node in seat.bricks() {
                if called.insert(node) {
                    glommio::spawn_local(Rc::clone(seat).keep_calling(node)).detach();
                }
            }
            sleep(LOOK_AGAIN).await;
        }
        // When the daemon goes, it is asked for all seats at once, by `leave_all`.
        if !seat.over.get() && !self.leaving.get() {
            seat.leave().await;
        }
        self.lent.borrow_mut().remove(&seat.volume);
        if !self.leaving.get() {
            seat.end();
        }
    }
}

impl Seat {
    fn bricks(&self) -> Vec<NodeId> {
        let volumes = self.pool.volumes();
        let entry = volumes.into_iter().find(|(id, _)| *id == self.volume);
        entry.map_or_else(Vec::new, |(_, entry)| entry.bricks.iter().map(|b| b.node).collect())
    }

    async fn keep_calling(self: Rc<Self>, node: NodeId) {
        while !self.over.get() {
            for address in self.pool.addresses(node) {
                if let Ok(connection) = connect(&address, CONNECT_PATIENCE).await {
                    let Err(e) = self.converse(node, connection).await;
                    tracing::debug!(%address, "the brick asks this witness no more: {e}");
                    break;
                }
            }
            sleep(CALL_AGAIN).await;
        }
    }

    /// Answers one brick until the connection ends.
    async fn converse(&self, node: NodeId, mut connection: Connection) -> Result<Infallible, NetError> {
        connection.notice_death();
        let secret = self.pool.secret();
        within(CONNECT_PATIENCE, offer_seat(&mut connection, &self.hello, &secret)).await?;
        let (source, sink, hangup) = connection.split();
        let outbox = Outbox::new(hangup);
        glommio::spawn_local(Rc::clone(&outbox).drain(sink)).detach();
        self.outboxes.borrow_mut().insert(node, Rc::clone(&outbox));
        let ended = self.answer_all(source, &outbox).await;
        outbox.close();
        self.outboxes.borrow_mut().remove(&node);
        Err(ended)
    }

    async fn answer_all(&self, mut source: FrameSource, outbox: &Outbox) -> NetError {
        loop {
            let request = match source.recv().await {
                Ok((FrameKind::Witness, payload)) => WitnessRequest::from_all(&payload),
                Ok(_) => return NetError::Unexpected("it sends what is not for a witness".into()),
                Err(e) => return e,
            };
            let reply = match request {
                Ok(request) => self.answer(request).await,
                Err(e) => return e.into(),
            };
            match reply {
                Ok(reply) => reply.iter().for_each(|reply| put(outbox, reply)),
                Err(e) => return e,
            }
        }
    }

    /// What is to be remembered is durable when this returns.
    async fn answer(&self, request: WitnessRequest) -> Result<Option<WitnessReply>, NetError> {
        let _turn = self.turn.acquire_permit(1).await.map_err(|_| NetError::Closed)?;
        if self.over.get() {
            return Err(NetError::Closed);
        }
        let Answer { save, reply } = self.holder.borrow_mut().step(boottime_us(), request);
        if let Some(register) = save {
            let save = self.holder.borrow().held().saver(&register);
            if let Err(e) = glommio::executor().spawn_blocking(save).await {
                tracing::error!("the witness's register cannot be saved: {e}");
                self.end();
                return Err(e.into());
            }
        }
        Ok(reply)
    }

    fn end(&self) {
        self.over.set(true);
        self.outboxes.borrow().values().for_each(|outbox| outbox.close());
    }

    async fn leave(&self) {
        if !self.holder.borrow().is_taken() {
            return;
        }
        self.outboxes.borrow().values().for_each(|outbox| put(outbox, &WitnessReply::Release {}));
        let released = async {
            while !self.holder.borrow().is_released() && !self.over.get() {
                sleep(LOOK_RELEASED).await;
            }
            Ok(())
        };
        // Without an answer in time the machine goes all the same, as if it had died.
        let _ = within(LEAVE_PATIENCE, released).await;
    }
}

fn put(outbox: &Outbox, reply: &WitnessReply) {
    outbox.put(|out| put_frame(out, FrameKind::Witness, |out| reply.encode(out)));
}

#[cfg(test)]
mod tests {
    use rfs_model::hello::BrickPlace;

    use super::*;

    #[test]
    fn a_node_lends_a_seat_where_it_has_no_brick_and_votes_are_counted() {
        let node = |n: u8| NodeId([n; 16]);
        let place = |n| BrickPlace {
            node: node(n),
            host: format!("server{n}"),
            addresses: vec![],
            path: "/data".into(),
        };
        let table: [(&[u8], bool); 5] =
            [(&[1, 2], true), (&[1, 3], false), (&[1, 2, 4], true), (&[1], false), (&[3], false)];
        for (bricks, wanted) in table {
            let bricks = bricks.iter().map(|n| place(*n)).collect();
            let entry = VolumeEntry { version: 1, removed: false, name: "v".into(), bricks };
            assert_eq!(wants(&entry, node(3)), wanted, "{:?}", entry.bricks);
        }
    }
}
