//! Keeps the session attached: searches, listens, notices silence, and searches again.

use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rfs_model::client::{ToBrick, ToMount};
use rfs_model::codec::Decode;
use rfs_model::frame::FrameKind;
use rfs_model::{NodeId, Refusal};
use tokio::time::{MissedTickBehavior, interval};
use tracing::{info, warn};

use super::client::{Client, Push};
use super::local;
use super::patience::TICK;
use super::search::search;
use super::state::{Heard, Outlet};
use crate::transport::{Connection, Outbox};

/// A leader that has not been heard for this long is looked for elsewhere. It speaks every 250 ms.
const SILENCE: Duration = Duration::from_millis(1000);
/// A mount says something at least this often.
const BEAT: Duration = Duration::from_millis(250);
/// A brick that takes the session and leaves it within this time has something to sort out: it is given a pause.
const BRIEF: Duration = Duration::from_millis(500);
const PAUSE: Duration = Duration::from_millis(100);
/// When this process itself has not run for this long, others' silence is no evidence.
const STALL: Duration = Duration::from_millis(500);

impl Outlet for Outbox {
    fn send(&mut self, message: &ToBrick) {
        Outbox::send(self, FrameKind::Client, message);
    }

    fn send_later(&mut self, message: &ToBrick) {
        Outbox::send_later(self, FrameKind::Client, message);
    }
}

/// Runs until the session has been finished.
pub async fn drive(client: Rc<Client>) {
    tokio::task::spawn_local(keep_time(client.clone()));
    tokio::task::spawn_local(local::keep(client.clone()));
    while !client.ending.get() {
        let (mut connection, node) = search(&client).await;
        attach(&client, &connection, node);
        info!("attached to node {node}");
        let begun = Instant::now();
        let why = listen(&client, &mut connection).await;
        detach(&client);
        if client.ending.get() {
            return;
        }
        warn!("node {node} is left: {why}");
        if begun.elapsed() < BRIEF {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

fn attach(client: &Client, connection: &Connection, node: NodeId) {
    client.leader.set(Some(node));
    client.set_down(None);
    client.outbox.replace(Some(connection.outbox()));
    (client.pushes)(Push::Attached);
    client.session.borrow_mut().attach(Box::new(connection.outbox()));
    client.nearby.attached();
    client.outlook.send_modify(|outlook| outlook.attached = true);
}

fn detach(client: &Client) {
    client.session.borrow_mut().detach();
    client.outbox.replace(None);
    client.leader.set(None);
    client.nearby.close();
    (client.pushes)(Push::Lost);
    client.outlook.send_modify(|outlook| outlook.attached = false);
}

/// Deadlines, and the clock that they are on.
async fn keep_time(client: Rc<Client>) {
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if !client.outlook.borrow().recovering() {
            client.patience.pass(TICK);
        }
        let now = client.patience.now();
        let mut session = client.session.borrow_mut();
        session.time_out(now);
        session.ask_again();
    }
}

/// Returns why the connection is of no more use.
async fn listen(client: &Client, connection: &mut Connection) -> String {
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut watch = Watch::new();
    loop {
        tokio::select! {
            frame = connection.receive() => match frame {
                None => return "it closed the connection".into(),
                Some(frame) => if let Err(why) = hear_all(client, connection, frame).await {
                    return why;
                },
            },
            _ = tick.tick() => {
                if watch.silent(connection.heard()) {
                    return format!("it has been silent for {} ms", SILENCE.as_millis());
                }
                if watch.beat_is_due() {
                    client.session.borrow_mut().beat();
                }
                connection.send_rest();
            },
        }
    }
}

/// Silence as seen from here, allowing for stalls of this process.
struct Watch {
    looked: Instant,
    excused: Instant,
    beat: Instant,
}

impl Watch {
    fn new() -> Self {
        let now = Instant::now();
        Self { looked: now, excused: now, beat: now }
    }

    fn silent(&mut self, heard: Instant) -> bool {
        let now = Instant::now();
        if now - self.looked > STALL {
            self.excused = now;
        }
        self.looked = now;
        now.saturating_duration_since(heard.max(self.excused)) >= SILENCE
    }

    fn beat_is_due(&mut self) -> bool {
        let due = self.beat.elapsed() + TICK / 2 >= BEAT;
        if due {
            self.beat = Instant::now();
        }
        due
    }
}

/// Handles one frame and all that are here already.
async fn hear_all(
    client: &Client,
    connection: &mut Connection,
    first: (FrameKind, Bytes),
) -> Result<(), String> {
    let mut next = Some(first);
    while let Some((kind, payload)) = next {
        if kind != FrameKind::Client {
            return Err(format!("it sent a frame of kind {kind:?}"));
        }
        let message = ToMount::from_all(&payload).map_err(|error| format!("it sent nonsense: {error}"))?;
        if matches!(message, ToMount::Changes { .. }) {
            // Answers of before the change must have reached the kernel before it is told to drop them.
            tokio::task::yield_now().await;
        }
        hear(client, message)?;
        next = connection.receive_now();
    }
    client.tell_news();
    Ok(())
}

fn hear(client: &Client, message: ToMount) -> Result<(), String> {
    let heard = client.session.borrow_mut().receive(message);
    match heard {
        Heard::Nothing => Ok(()),
        Heard::Changes(changes) => {
            (client.pushes)(Push::Changes(changes));
            Ok(())
        }
        Heard::Recall(dir) => {
            (client.pushes)(Push::Recall(dir));
            Ok(())
        }
        Heard::LockFreed(_) => {
            client.tell_lock_freed();
            Ok(())
        }
        Heard::Leave(None) => Err("it does not lead any more".into()),
        Heard::Leave(Some(why)) => {
            if why == Refusal::NotAllowed {
                super::search::expire(client);
            }
            client.set_down(Some(why));
            Err(why.to_string())
        }
    }
}
