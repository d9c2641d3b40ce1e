//! Connections to all bricks, which ask; this side answers.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::mpsc;

use rfs_core::witness::Answer;
use rfs_engine::clock::boottime_us;
use rfs_engine::witness::{
    CALL_AGAIN, CONNECT_PATIENCE, Holder, LEAVE_PATIENCE, LOOK_AGAIN, LOOK_RELEASED, is_welcome,
};
use rfs_model::codec::Decode;
use rfs_model::frame::FrameKind;
use rfs_model::hello::{BrickPlace, Hello, SeatClass, VERSIONS};
use rfs_model::peer::{WitnessReply, WitnessRequest};
use rfs_model::{NodeId, VolumeId};
use tokio::sync::mpsc::UnboundedReceiver;
use tracing::{debug, error, info};

use super::class::class;
use crate::fs::Fs;
use crate::fuse::Net;
use crate::session::ready::Contact;
use crate::transport::{Connection, Outbox, Uring};

/// A witness whose register could not be saved: it must begin anew from what is on disk.
struct Broken;

/// The seat while this process serves it.
struct Seat {
    holder: RefCell<Holder>,
    broken: Cell<bool>,
    hello: Hello,
    /// Bricks that are connected.
    outboxes: RefCell<BTreeMap<NodeId, Outbox>>,
}

/// Runs for the process's life.
pub async fn serve(net: Net, host: String, dir: PathBuf, mut leaving: UnboundedReceiver<mpsc::Sender<()>>) {
    let Some(Contact { volume, .. }) = on_network(&net, async |fs| fs.client().contact().await).await else {
        return;
    };
    loop {
        match begin(&net, &host, &dir, volume).await {
            Ok(Some(seat)) => lend(&net, &Rc::new(seat), &mut leaving).await,
            Ok(None) => debug!("another process of this machine serves its seat"),
            Err(error) => error!("this machine cannot serve a seat: {}: {error}", dir.display()),
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_AGAIN) => {}
            Some(done) = leaving.recv() => drop(done.send(())),
        }
    }
}

/// Asks the network thread; `None` when it has ended.
async fn on_network<T, F, A>(net: &Net, job: F) -> Option<A>
where
    F: FnOnce(Rc<Fs>) -> T + Send + 'static,
    T: Future<Output = A> + 'static,
    A: Send + 'static,
{
    let (tell, told) = tokio::sync::oneshot::channel();
    net.run(move |fs| {
        let answer = job(fs);
        async move {
            let _ = tell.send(answer.await);
        }
    });
    told.await.ok()
}

async fn begin(net: &Net, host: &str, dir: &std::path::Path, volume: VolumeId) -> io::Result<Option<Seat>> {
    let Some(holder) = Holder::take(dir, volume, boottime_us())? else { return Ok(None) };
    let class = match places(net).await {
        Some((bricks, local)) => class(&bricks, local),
        None => SeatClass::Mount,
    };
    info!("serving seat {} ({class:?}) for volume {volume}", holder.seat());
    let (seat, host) = (holder.seat(), host.to_owned());
    let hello = Hello::Witness { versions: VERSIONS.to_vec(), volume, seat, class, host };
    let holder = RefCell::new(holder);
    Ok(Some(Seat { holder, broken: Cell::new(false), hello, outboxes: RefCell::default() }))
}

/// The volume's bricks, and the node of this machine's daemon.
async fn places(net: &Net) -> Option<(Vec<BrickPlace>, Option<NodeId>)> {
    on_network(net, async |fs| fs.client().bricks()).await
}

/// Serves all bricks until the register breaks or the mount ends.
async fn lend(net: &Net, seat: &Rc<Seat>, leaving: &mut UnboundedReceiver<mpsc::Sender<()>>) {
    let mut called = BTreeSet::new();
    let over = Rc::new(Cell::new(false));
    while !seat.broken.get() {
        let bricks = places(net).await.map(|(bricks, _)| bricks).unwrap_or_default();
        for brick in bricks {
            if called.insert((brick.node, brick.addresses.clone())) {
                tokio::task::spawn_local(keep_calling(seat.clone(), brick, over.clone()));
            }
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_AGAIN) => {}
            Some(done) = leaving.recv() => {
                seat.leave().await;
                let _ = done.send(());
            }
        }
    }
    over.set(true);
    seat.outboxes.borrow_mut().values().for_each(Outbox::close);
}

async fn keep_calling(seat: Rc<Seat>, brick: BrickPlace, over: Rc<Cell<bool>>) {
    while !over.get() {
        for address in &brick.addresses {
            if let Ok(connection) = Uring.connect_watched(address, CONNECT_PATIENCE).await {
                seat.converse(&brick, connection).await;
                break;
            }
        }
        tokio::time::sleep(CALL_AGAIN).await;
    }
}

impl Seat {
    /// Answers one brick until the connection ends.
    async fn converse(&self, brick: &BrickPlace, mut connection: Connection) {
        connection.send(FrameKind::Hello, &self.hello);
        // Who takes the connection and says nothing would keep the seat from being offered for ever.
        match tokio::time::timeout(CONNECT_PATIENCE, connection.receive()).await {
            Ok(Some((FrameKind::Hello, payload))) if is_welcome(&payload) => {}
            _ => return,
        }
        debug!("brick {}:{} takes this seat", brick.host, brick.path);
        self.outboxes.borrow_mut().insert(brick.node, connection.outbox());
        while let Some((FrameKind::Witness, payload)) = connection.receive().await {
            let Ok(request) = WitnessRequest::from_all(&payload) else { break };
            match self.answer(request) {
                Ok(Some(reply)) => connection.send(FrameKind::Witness, &reply),
                Ok(None) => {}
                Err(Broken) => break,
            }
        }
        self.outboxes.borrow_mut().remove(&brick.node);
    }

    /// What is to be remembered is durable when this returns.
    fn answer(&self, request: WitnessRequest) -> Result<Option<WitnessReply>, Broken> {
        if self.broken.get() {
            return Err(Broken);
        }
        let mut holder = self.holder.borrow_mut();
        let Answer { save, reply } = holder.step(boottime_us(), request);
        if let Some(register) = save
            && let Err(error) = holder.held().save(&register)
        {
            error!("the witness's register cannot be saved: {error}");
            self.broken.set(true);
            return Err(Broken);
        }
        Ok(reply)
    }

    /// Asks for the seat to be moved, and waits for that, or [`LEAVE_PATIENCE`].
    async fn leave(&self) {
        let begun = tokio::time::Instant::now();
        if !self.holder.borrow().is_taken() {
            return;
        }
        for outbox in self.outboxes.borrow().values() {
            outbox.send(FrameKind::Witness, &WitnessReply::Release {});
        }
        while !self.holder.borrow().is_released() && begun.elapsed() < LEAVE_PATIENCE {
            tokio::time::sleep(LOOK_RELEASED).await;
        }
    }
}
