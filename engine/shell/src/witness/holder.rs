//! A seat while this process serves it.

use std::io;
use std::path::Path;

use rfs_core::consensus::api::Timing;
use rfs_core::witness::{Answer, Witness};
use rfs_model::peer::WitnessRequest;
use rfs_model::{SeatId, VolumeId};

use super::register::Held;

/// The witness's logic and its register. Whoever has it sees to it that what [`Holder::step`] wants saved is durable before
/// the reply leaves and before the next step; when it cannot be saved, the holder is of no use any more: what counts is on
/// the disk, and it is read again by the next one.
#[derive(Debug)]
pub struct Holder {
    held: Held,
    witness: Witness,
}

impl Holder {
    /// Takes the register of a volume in the directory `registers`, or makes one. `None`: another process of this machine
    /// serves it. Blocks.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn take(registers: &Path, volume: VolumeId, now_us: u64) -> io::Result<Option<Self>> {
        let Some(held) = Held::take(registers, volume)? else { return Ok(None) };
        let witness = Witness::new(held.load()?, Timing::default().hold_us, now_us);
        Ok(Some(Self { held, witness }))
    }

    #[must_use]
    pub fn seat(&self) -> SeatId {
        self.witness.seat()
    }

    /// Where [`Answer::save`] goes.
    #[must_use]
    pub fn held(&self) -> &Held {
        &self.held
    }

    pub fn step(&mut self, now_us: u64, request: WitnessRequest) -> Answer {
        self.witness.step(now_us, request)
    }

    /// Whether the newest configuration heard of names this seat.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        let entry = self.witness.register().config.as_ref();
        let mut seats =
            entry.into_iter().flat_map(|entry| entry.record.configs()).filter_map(|c| c.seat.as_ref());
        seats.any(|seat| seat.id == self.seat())
    }

    /// Whether a leader has said that the seat is another's now.
    #[must_use]
    pub fn is_released(&self) -> bool {
        self.witness.is_released()
    }
}

#[cfg(test)]
mod tests {
    use rfs_model::config::{Config, ConfigEntry, ConfigRecord, Seat};
    use rfs_model::hello::SeatClass;
    use rfs_model::{NodeId, Term};

    use super::*;

    #[test]
    fn the_next_holder_goes_on_from_what_was_saved() {
        let dir = tempfile::tempdir().unwrap();
        let take = || Holder::take(dir.path(), VolumeId([3; 16]), 0).unwrap();
        let mut holder = take().unwrap();
        assert!(take().is_none() && !holder.is_taken());
        let genesis = ConfigEntry::genesis(&[NodeId([1; 16]), NodeId([2; 16])]);
        let seat = Seat { id: holder.seat(), class: SeatClass::PoolNode, host: "server3".into() };
        let config = Config { seat: Some(seat), ..genesis.record.target().clone() };
        let entry = ConfigEntry { record: ConfigRecord::Final { config }, ..genesis };
        let store = WitnessRequest::Store { term: Term(4), leader: NodeId([1; 16]), entry };
        let save = holder.step(0, store).save.expect("a configuration is remembered");
        holder.held().save(&save).unwrap();
        assert!(holder.is_taken());
        let seat = holder.seat();
        drop(holder);
        let next = take().unwrap();
        assert_eq!((next.seat(), next.is_taken(), next.is_released()), (seat, true, false));
    }
}
