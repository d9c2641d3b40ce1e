//! What healing a brick may cost: `heal-rate`, for full copies and for the log that a learner catches up with. Bricks in
//! sync are never held back: writes wait for them.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use rfs_model::NodeId;

use super::drive::Ship;
use super::{Event, Inner, Shard};
use crate::clock::boottime_us;

/// With a cap, one frame takes at the most this part of a second's share, so that progress is smooth; but not less than so
/// many bytes.
const FRAMES_PER_S: u64 = 8;
const FRAME_BYTES: u64 = 64 * 1024;

/// When each brick that is healed may be sent more, and what waits for that.
#[derive(Default)]
pub(crate) struct Paces {
    free_us: BTreeMap<NodeId, u64>,
    waiting: BTreeMap<NodeId, Ship>,
}

impl Paces {
    /// How long to wait before more is sent.
    fn pause_us(&self, to: NodeId, now_us: u64) -> u64 {
        self.free_us.get(&to).map_or(0, |free| free.saturating_sub(now_us))
    }

    /// Counts bytes that were sent; `rate` is in bytes a second, 0 for no cap.
    fn spent(&mut self, to: NodeId, rate: u64, bytes: u64, now_us: u64) {
        let free = self.free_us.entry(to).or_insert(now_us);
        let takes_us = bytes.saturating_mul(1_000_000).checked_div(rate).unwrap_or(0);
        *free = (*free).max(now_us).saturating_add(takes_us);
    }
}

/// How much one frame of the log may hold, where `most` is the limit without a cap.
fn frame_bytes(rate: u64, most: usize) -> usize {
    let share = if rate == 0 { u64::MAX } else { (rate / FRAMES_PER_S).max(FRAME_BYTES) };
    most.min(usize::try_from(share).unwrap_or(usize::MAX))
}

impl Inner {
    /// The cap for what is sent to a brick, bytes a second; 0: none.
    fn heal_cap(&self, to: NodeId) -> u64 {
        let learner = !self.core.config().record.configs().any(|config| config.has(to));
        if learner { self.options.heal_rate_bytes } else { 0 }
    }

    /// How much of the log may be sent now; `None`: `ship` waits for its turn, and comes back as an event.
    pub(super) fn heal_share(
        &mut self,
        shard: &Rc<Shard>,
        now_us: u64,
        ship: Ship,
        most: usize,
    ) -> Option<usize> {
        let cap = self.heal_cap(ship.to);
        let pause_us = self.paces.pause_us(ship.to, now_us);
        if cap == 0 || pause_us == 0 {
            return Some(frame_bytes(cap, most));
        }
        if self.paces.waiting.insert(ship.to, ship).is_none() {
            let inbox = Rc::clone(&shard.inbox);
            glommio::spawn_local(async move {
                glommio::timer::sleep(Duration::from_micros(pause_us)).await;
                inbox.push(Event::ShipDue { to: ship.to });
            })
            .detach();
        }
        None
    }

    pub(super) fn ship_due(&mut self, shard: &Rc<Shard>, now_us: u64, to: NodeId) {
        if let Some(ship) = self.paces.waiting.remove(&to) {
            self.ship(shard, now_us, ship);
        }
    }

    /// Counts what was sent to a brick.
    pub(super) fn heal_spent(&mut self, to: NodeId, bytes: u64, now_us: u64) {
        let cap = self.heal_cap(to);
        if cap > 0 {
            self.paces.spent(to, cap, bytes, now_us);
        }
    }
}

impl Shard {
    /// Waits until a part of a copy of so many bytes may be sent to a brick, and counts it.
    pub(super) async fn heal_turn(&self, to: NodeId, bytes: u64) {
        loop {
            let now_us = boottime_us();
            let pause_us = match self.inner.borrow() {
                inner if inner.heal_cap(to) == 0 => 0,
                inner => inner.paces.pause_us(to, now_us),
            };
            if pause_us == 0 {
                return self.inner.borrow_mut().heal_spent(to, bytes, now_us);
            }
            // The cap may be lifted meanwhile.
            glommio::timer::sleep(Duration::from_micros(pause_us.min(200_000))).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const B: NodeId = NodeId([2; 16]);

    #[test]
    fn a_second_sends_what_the_rate_says() {
        let (rate, mut paces, mut now, mut sent) = (1_000_000, Paces::default(), 5_000_000, 0);
        let end = now + 10_000_000;
        while now < end {
            paces.spent(B, rate, 125_000, now);
            sent += 125_000;
            now += paces.pause_us(B, now);
        }
        assert_eq!(sent, 10_000_000);
        assert_eq!(paces.pause_us(NodeId([3; 16]), now), 0, "another brick's own");
    }

    #[test]
    fn an_idle_time_is_not_saved_up() {
        let mut paces = Paces::default();
        paces.spent(B, 1000, 1000, 0);
        assert_eq!(paces.pause_us(B, 9_000_000), 0);
        paces.spent(B, 1000, 1000, 9_000_000);
        assert_eq!(paces.pause_us(B, 9_000_000), 1_000_000);
        paces.spent(B, 0, 1 << 40, 9_000_000);
        assert_eq!(paces.pause_us(B, 9_000_000), 1_000_000, "no cap, no cost");
    }

    #[test]
    fn frames_are_small_where_the_rate_is() {
        const MIB: usize = 1 << 20;
        let table = [(0, MIB), (1 << 30, MIB), (4 << 20, MIB / 2), (1 << 20, MIB / 8), (1, 64 * 1024)];
        for (rate, want) in table {
            assert_eq!(frame_bytes(rate, MIB), want, "{rate}");
        }
    }
}
