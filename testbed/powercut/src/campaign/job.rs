//! One cut, from its number alone.

use std::io;

use fastrand::Rng;
use serde::Serialize;

use crate::cut::{Builder, Losses, Moment, Tally, moments};
use crate::image::Image;
use crate::record::Record;
use crate::site::Recording;

/// When the power goes, and what each disk loses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cut {
    pub number: u64,
    pub moment: Moment,
    /// Of each server's disk.
    pub losses: Vec<Losses>,
    /// The power goes once more while the bricks recover.
    pub twice: bool,
}

/// One in so many cuts is cut again.
const TWICE: u32 = 4;

/// A cut and its disks.
#[derive(Debug)]
pub struct Job {
    pub cut: Cut,
    pub disks: Vec<Image>,
    pub tally: Tally,
}

impl Cut {
    /// The cut of that number, of a recording; another seed makes other cuts.
    #[must_use]
    pub fn new(recording: &Recording, seed: u64, number: u64) -> Cut {
        let mut rng = rng(seed, number);
        let records: Vec<&Record> = recording.disks.iter().map(|d| &d.record).collect();
        let (from, to) = (recording.about.begun_ns, recording.about.ended_ns);
        let moment = moments(&records, from, to, 1, &mut rng)[0];
        let losses = records.iter().map(|_| Losses::pick(&mut rng)).collect();
        Cut { number, moment, losses, twice: rng.u32(..TWICE) == 0 }
    }

    /// Builds its disks; `builders` are those of the recording's disks, and go forward in time.
    pub fn build(self, seed: u64, builders: &mut [Builder<'_>]) -> io::Result<Job> {
        let mut rng = rng(seed ^ 0x5bd1_e995, self.number);
        let mut tally = Tally::default();
        let mut one = |(builder, losses): (&mut Builder<'_>, &Losses)| {
            let (image, its) = builder.cut(self.moment.at_ns, *losses, &mut rng)?;
            tally += its;
            Ok(image)
        };
        let disks =
            builders.iter_mut().zip(&self.losses).map(&mut one).collect::<io::Result<Vec<Image>>>()?;
        Ok(Job { cut: self, disks, tally })
    }

    /// The same disks once more, after a second cut while they recovered: `records` is what they were told from `from_ns`
    /// on, until they were healthy at `until_ns`.
    pub fn again(
        &self,
        seed: u64,
        initial: Vec<Image>,
        records: &[Record],
        (from_ns, until_ns): (u64, u64),
    ) -> io::Result<Vec<Image>> {
        let mut rng = rng(seed ^ 0x1b87_3593, self.number);
        let all: Vec<&Record> = records.iter().collect();
        let at_ns = moments(&all, from_ns, until_ns, 1, &mut rng)[0].at_ns;
        let disks = records.iter().zip(initial);
        let cut = |(record, initial)| {
            Ok(Builder::new(record, initial).cut(at_ns, Losses::pick(&mut rng), &mut rng)?.0)
        };
        disks.map(cut).collect()
    }
}

fn rng(seed: u64, number: u64) -> Rng {
    Rng::with_seed(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ number.wrapping_mul(0xff51_afd7_ed55_8ccd))
}
