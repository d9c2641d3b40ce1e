//! Connections of clients to bricks.

use crate::net::{CLIENTS, Party};
use crate::outside::{Event, Heard, Item, Outside};

/// A connection of a client: in order, and dead once anything was lost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Conn {
    client: usize,
    brick: usize,
    life: u64,
    broken: bool,
    /// Latest arrivals, to the brick and to the client.
    arrivals: [u64; 2],
}

impl Outside {
    /// Dials a brick; `None` when it refuses at once.
    pub fn connect(&mut self, client: usize, brick: usize) -> Option<u64> {
        let there = self.bricks[brick];
        let cut = self.net.both(CLIENTS + client, brick);
        if there.powered && !there.runs || cut == Some(crate::net::Cut::Reject) {
            return None;
        }
        self.next_conn += 1;
        let broken = !there.powered || cut.is_some();
        let conn = Conn { client, brick, life: there.life, broken, arrivals: [0, 0] };
        self.conns.insert(self.next_conn, conn);
        Some(self.next_conn)
    }

    /// When the next message on this connection arrives; `None` when it does not.
    fn carry(&mut self, conn: u64, from: Party, to: Party, way: usize) -> Option<u64> {
        let delay = self.net.delay(&mut self.rng, from, to);
        let passes = self.net.passes(from, to);
        let state = self.conns.get_mut(&conn)?;
        state.broken |= !passes;
        if state.broken {
            return None;
        }
        let at = (self.now + delay).max(state.arrivals[way]);
        state.arrivals[way] = at;
        Some(at - self.now)
    }

    pub fn to_brick(&mut self, conn: u64, item: Item) {
        let Some(state) = self.conns.get(&conn).copied() else { return };
        let Some(delay) = self.carry(conn, CLIENTS + state.client, state.brick, 0) else { return };
        self.after(delay, Event::Item { brick: state.brick, life: state.life, item });
    }

    pub fn to_client(&mut self, conn: u64, heard: Heard) {
        let Some(state) = self.conns.get(&conn).copied() else { return };
        let Some(delay) = self.carry(conn, state.brick, CLIENTS + state.client, 1) else { return };
        self.after(delay, Event::Heard { client: state.client, conn, heard });
    }

    /// One side closed it.
    pub fn hang_up(&mut self, conn: u64) {
        self.to_client(conn, Heard::Closed);
        self.conns.remove(&conn);
    }

    /// All connections with this life of a brick end.
    pub fn hang_up_all(&mut self, brick: usize) {
        let ended: Vec<u64> =
            self.conns.iter().filter(|(_, c)| c.brick == brick).map(|(id, _)| *id).collect();
        for conn in ended {
            self.hang_up(conn);
        }
    }

    /// They end without a word.
    pub fn fall_silent(&mut self, brick: usize) {
        self.conns.retain(|_, conn| conn.brick != brick);
    }

    #[must_use]
    pub fn client_of(&self, conn: u64) -> Option<usize> {
        self.conns.get(&conn).map(|state| state.client)
    }
}
