//! The world as one party sees it: time, the network, and who else is there.

use std::collections::BTreeMap;

use rfs_core::consensus::api::{DownCause, Ticket};
use rfs_model::client::{ToBrick, ToMount};
use rfs_model::peer::{AppendHeader, PeerMessage, WitnessReply, WitnessRequest};
use rfs_model::{Index, InodeId, Lineage, NodeId, Record, SeatId};

use crate::births::Births;
use crate::clock::Clock;
use crate::conns::Conn;
use crate::disk::{Checkpoint, Copy};
use crate::history::History;
use crate::kind::Kind;
use crate::net::{Net, SEATS};
use crate::oracle::Oracle;
use crate::queue::Queue;
use crate::rng::Rng;
use crate::setup::Setup;
use crate::stats::Stats;

/// What lies in a brick's inbox until its next turn. Small: it is moved often.
#[derive(Clone, Debug)]
pub enum Item {
    Tick,
    Link {
        peer: usize,
        down: Option<DownCause>,
    },
    Peer {
        sent: u64,
        /// The sender's name, the message, and the records that come with it.
        frame: Box<(NodeId, PeerMessage, Vec<Record>)>,
    },
    SeatUp {
        seat: usize,
    },
    SeatDown {
        seat: usize,
    },
    Seat {
        id: SeatId,
        reply: Box<WitnessReply>,
    },
    Hello {
        client: usize,
        conn: u64,
        resumed: bool,
    },
    Client {
        conn: u64,
        message: Box<ToBrick>,
    },
    Synced,
    SyncedTooEarly {
        upto: Index,
    },
    StateSaved {
        ticket: Ticket,
    },
    ShipLoaded {
        ship: Box<Ship>,
    },
    /// `copies`: how many the brick had received when it began.
    Checkpointed {
        checkpoint: Box<Checkpoint>,
        copies: u64,
    },
    /// A read.
    Read {
        wish: Wish,
    },
    /// A mount's read of this brick's own tree, on the leader's word that `need` is enough.
    LocalRead {
        need: Index,
        wish: Wish,
    },
    /// The first or the next part of a full copy.
    CopyPart {
        from: usize,
        number: u64,
        part: u64,
    },
    CopyEnd {
        number: u64,
        copy: Box<Copy>,
    },
    Members {
        bricks: Vec<NodeId>,
    },
    Leave,
}

/// What a read must see.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    /// Of records.
    pub promised: Index,
    /// The newest lineage when it began.
    pub lineage: Lineage,
    /// Of a client's file: so many bytes.
    pub file: Option<(InodeId, u64)>,
    /// Of the leader only the index is wanted; the read goes to this brick then.
    pub at: Option<usize>,
}

/// An append that was asked for.
#[derive(Clone, Copy, Debug)]
pub struct Ship {
    pub to: NodeId,
    pub header: AppendHeader,
    pub from: Index,
    pub upto: Index,
    /// The number of the link that it is for.
    pub link: u64,
}

/// What a client hears.
#[derive(Clone, Debug)]
pub enum Heard {
    Welcome,
    /// Not here; perhaps there.
    Elsewhere(Option<usize>),
    Expired,
    Message(Box<ToMount>),
    Closed,
}

impl Heard {
    #[must_use]
    pub fn message(message: ToMount) -> Self {
        Self::Message(Box::new(message))
    }
}

#[derive(Clone, Debug)]
pub enum Event {
    Turn { brick: usize, life: u64 },
    Tick { brick: usize, life: u64 },
    Item { brick: usize, life: u64, item: Item },
    Dial { brick: usize, life: u64, peer: usize },
    Copy { brick: usize, life: u64, to: usize },
    CopyStep { brick: usize, life: u64, number: u64 },
    ToSeat { seat: usize, life: u64, from: usize, request: Box<WitnessRequest> },
    SeatSaved { seat: usize, life: u64 },
    SeatDial { seat: usize, life: u64, brick: usize },
    Heard { client: usize, conn: u64, heard: Heard },
    Wake { client: usize },
    Fault,
    Step(Step),
}

/// What an ambush has planned.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    Heal,
    /// Starts a brick that is down; with `steps`, it dies again after so many.
    Return {
        brick: usize,
        steps: Option<u64>,
    },
    /// All mounts try this brick next.
    Visit {
        brick: usize,
    },
    /// Once all is well.
    PowerCut {
        brick: usize,
    },
    SeatDies {
        seat: usize,
        asker: usize,
    },
    SeatReturns {
        seat: usize,
    },
    DiesInSave {
        brick: usize,
        life: u64,
    },
    /// Connections to a leader break, and new ones are refused.
    RefuseLeader {
        brick: usize,
    },
    /// A disk fails while another brick lacks what was written last.
    SwapWithOneBehind {
        brick: usize,
        behind: usize,
    },
}

/// How a process, and its machine, are.
#[derive(Clone, Copy, Debug, Default)]
pub struct Standing {
    /// Counts the lives of the process.
    pub life: u64,
    pub runs: bool,
    pub powered: bool,
}

pub struct Outside {
    pub now: u64,
    queue: Queue,
    pub rng: Rng,
    pub net: Net,
    pub oracle: Oracle,
    pub births: Births,
    pub history: History,
    pub stats: Stats,
    pub setup: Setup,
    pub bricks: Vec<Standing>,
    /// The bricks' present names: another one after a replacement.
    pub names: Vec<NodeId>,
    pub seats: Vec<Standing>,
    /// A mount has died.
    pub mounts_died: bool,
    /// The seat's present name.
    pub seat_ids: Vec<SeatId>,
    /// When the connection between two bricks broke last: what was under way is lost.
    pub resets: BTreeMap<(usize, usize), u64>,
    /// Latest arrivals between bricks.
    arrivals: BTreeMap<(usize, usize), u64>,
    pub(crate) conns: BTreeMap<u64, Conn>,
    pub(crate) next_conn: u64,
}

/// The brick's place.
#[must_use]
pub fn number(node: NodeId) -> usize {
    usize::from(node.0[0]) - 1
}

impl Outside {
    #[must_use]
    pub fn new(setup: Setup, print: bool) -> Self {
        let off = Standing { life: 0, runs: false, powered: true };
        Self {
            now: 1_000_000,
            queue: Queue::default(),
            rng: Rng::new(setup.seed),
            net: Net::default(),
            oracle: Oracle::new(),
            births: Births::default(),
            history: History::new(print),
            stats: Stats::default(),
            bricks: vec![off; setup.bricks],
            names: (0..setup.bricks).map(|brick| NodeId([brick as u8 + 1; 16])).collect(),
            seats: vec![off; setup.seats.len()],
            mounts_died: false,
            seat_ids: (0..setup.seats.len()).map(|seat| SeatId([0xf0 + seat as u8; 16])).collect(),
            resets: BTreeMap::new(),
            arrivals: BTreeMap::new(),
            conns: BTreeMap::new(),
            next_conn: 0,
            setup,
        }
    }

    pub fn after(&mut self, delay_us: u64, event: Event) {
        self.queue.push(self.now + delay_us, event);
    }

    /// The next event up to `until`; time goes on to it.
    pub fn next(&mut self, until: u64) -> Option<Event> {
        let (at, event) = self.queue.pop(until)?;
        self.now = at;
        self.stats.events += 1;
        Some(event)
    }

    pub fn item(&mut self, delay_us: u64, brick: usize, item: Item) {
        let life = self.bricks[brick].life;
        self.after(delay_us, Event::Item { brick, life, item });
    }

    /// The brick's present name.
    #[must_use]
    pub fn node(&self, brick: usize) -> NodeId {
        self.names[brick]
    }

    /// Who is called so now.
    #[must_use]
    pub fn brick(&self, name: NodeId) -> Option<usize> {
        Some(number(name)).filter(|n| self.names[*n] == name)
    }

    /// Whether such a fault happens; it is counted.
    pub fn strikes(&mut self, kind: Kind) -> bool {
        let does = self.setup.kinds.has(kind);
        if does {
            self.stats.fault(kind);
        }
        does
    }

    /// The clock of a machine that has booted now.
    pub fn new_clock(&mut self) -> Clock {
        let (shown, drift) = (self.rng.within(1_000_000, 1_000_000_000), self.drift());
        Clock::new(self.now, shown, drift)
    }

    /// What programs were told, while that is promised.
    pub fn births(&mut self) -> &mut Births {
        self.births.lossy = self.oracle.lossy || self.oracle.was_overruled();
        &mut self.births
    }

    /// That of a new client's machine; only leases go by it.
    pub fn client_clock(&mut self) -> Clock {
        if self.setup.leases { self.new_clock() } else { Clock::new(self.now, 0, 0) }
    }

    pub fn drift(&mut self) -> i64 {
        let most = crate::clock::DRIFT_PPM;
        let drift = *self.rng.pick(&[-most, -most / 10, 0, most / 1000, most]);
        if self.setup.kinds.has(Kind::ClockDrift) { drift } else { 0 }
    }

    pub fn say(&mut self, text: std::fmt::Arguments<'_>) {
        let now = self.now;
        self.history.line(now, text);
    }

    /// From brick to brick, on a link to this life of the other one. False: that life is over, and the sender hears so.
    pub fn send_peer(
        &mut self,
        from: usize,
        (to, life): (usize, u64),
        message: PeerMessage,
        records: Vec<Record>,
    ) -> bool {
        let there = self.bricks[to];
        if there.life != life || !there.runs {
            return !there.powered || self.net.both(from, to).is_some();
        }
        let copies = self.net.carry(&mut self.rng, from, to);
        for delay in copies {
            let latest = self.arrivals.entry((from, to)).or_default();
            let in_order = if self.net.is_orderly() { latest.saturating_sub(self.now) } else { 0 };
            let delay = delay.max(in_order);
            *latest = (*latest).max(self.now + delay);
            let item = Item::Peer {
                sent: self.now,
                frame: Box::new((self.node(from), message.clone(), records.clone())),
            };
            self.item(delay, to, item);
        }
        true
    }

    pub fn send_seat(&mut self, from: usize, seat: usize, request: WitnessRequest) {
        let life = self.seats[seat].life;
        for delay in self.net.carry(&mut self.rng, from, SEATS + seat) {
            self.after(delay, Event::ToSeat { seat, life, from, request: Box::new(request.clone()) });
        }
    }

    pub fn answer_seat(&mut self, seat: usize, to: usize, reply: WitnessReply) {
        let id = self.seat_ids[seat];
        for delay in self.net.carry(&mut self.rng, SEATS + seat, to) {
            self.item(delay, to, Item::Seat { id, reply: Box::new(reply.clone()) });
        }
    }
}
