//! Building a disk out of a record.

use std::io;
use std::ops::AddAssign;

use fastrand::Rng;

use super::Losses;
use crate::image::Image;
use crate::record::{Event, Kind, Record};

/// Bytes that a disk writes whole or not at all.
const SECTOR: u64 = 512;
/// The same, under xfs: it looks at the number in the head of a block to know whether its log has newer changes of it, so one
/// that is torn is taken for new, and a file system that is torn in smaller pieces does not always mount again.
const XFS_SECTOR: u64 = 4096;

/// Builds one cut after the other, forward in time, from one record: the state as of the last flush is carried along.
#[derive(Debug)]
pub struct Builder<'a> {
    record: &'a Record,
    /// The disk after the first `applied` events.
    base: Image,
    applied: usize,
    sector: u64,
}

/// How a cut came out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Writes that no flush had covered.
    pub unflushed: usize,
    /// Of these, writes that did not reach the disk.
    pub lost: usize,
    /// Of these, writes that reached the disk in part.
    pub torn: usize,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Tally) {
        self.unflushed += other.unflushed;
        self.lost += other.lost;
        self.torn += other.torn;
    }
}

impl<'a> Builder<'a> {
    /// `initial` is the disk before the first event.
    #[must_use]
    pub fn new(record: &'a Record, initial: Image) -> Builder<'a> {
        let mut magic = [0; 4];
        let xfs = initial.read(0, &mut magic).is_ok() && &magic == b"XFSB";
        Builder { record, base: initial, applied: 0, sector: if xfs { XFS_SECTOR } else { SECTOR } }
    }

    /// The disk after a cut at that time, which is not before that of an earlier call.
    pub fn cut(&mut self, at_ns: u64, losses: Losses, rng: &mut Rng) -> io::Result<(Image, Tally)> {
        let end = self.record.position(at_ns);
        let flushed = match losses {
            Losses::Flushed => {
                self.applied.max(self.record.flushed(self.record.position(at_ns.saturating_sub(LIES_NS))))
            }
            _ => self.record.flushed(end),
        };
        self.forward(flushed)?;
        let image = self.base.copy()?;
        let later = self.record.events().get(flushed..end).unwrap_or_default();
        let writes: Vec<&Event> = later.iter().filter(|e| e.kind != Kind::Flush).collect();
        let mut tally = Tally { unflushed: writes.len(), ..Tally::default() };
        match losses {
            Losses::All | Losses::Flushed => tally.lost = writes.len(),
            Losses::Nothing => self.whole(&writes, &image)?,
            Losses::Suffix => {
                let kept = rng.usize(..=writes.len());
                self.whole(writes.get(..kept).unwrap_or_default(), &image)?;
                tally.lost = writes.len() - kept;
                if let Some(last) = writes.get(kept) {
                    self.part(last, &image, rng)?;
                    (tally.lost, tally.torn) = (tally.lost - 1, 1);
                }
            }
            Losses::Random => self.random(writes, &image, rng, &mut tally)?,
        }
        Ok((image, tally))
    }

    fn forward(&mut self, to: usize) -> io::Result<()> {
        assert!(to >= self.applied, "cuts are built forward in time");
        for event in self.record.events().get(self.applied..to).unwrap_or_default() {
            self.record.apply(event, &self.base)?;
        }
        self.applied = to;
        Ok(())
    }

    fn whole(&self, writes: &[&Event], image: &Image) -> io::Result<()> {
        writes.iter().try_for_each(|event| self.record.apply(event, image))
    }

    /// Each write survives, is torn, or is lost, and they come in any order. Which share survives differs from cut to
    /// cut. Where two writes meet, the older one may win: as if the newer one had not reached that sector.
    fn random(
        &self,
        mut writes: Vec<&Event>,
        image: &Image,
        rng: &mut Rng,
        tally: &mut Tally,
    ) -> io::Result<()> {
        rng.shuffle(&mut writes);
        let (kept, torn) = (rng.f64(), rng.f64());
        for event in writes {
            if rng.f64() >= kept {
                tally.lost += 1;
            } else if rng.f64() < torn {
                tally.torn += 1;
                self.part(event, image, rng)?;
            } else {
                self.record.apply(event, image)?;
            }
        }
        Ok(())
    }

    /// Some sectors of a write: a beginning of it, or any.
    fn part(&self, event: &Event, image: &Image, rng: &mut Rng) -> io::Result<()> {
        let (offset, length) = match event.kind {
            Kind::Write { offset, length, .. } | Kind::Zero { offset, length } => (offset, length),
            Kind::Flush => return Ok(()),
        };
        let data = match event.kind {
            Kind::Write { .. } => self.record.data(event)?,
            _ => Vec::new(),
        };
        let (first, last) = (offset / self.sector, (offset + length).div_ceil(self.sector));
        let beginning = rng.bool().then(|| rng.u64(first..last.max(first + 1)));
        for sector in first..last {
            if !beginning.map_or_else(|| rng.bool(), |end| sector < end) {
                continue;
            }
            let from = (sector * self.sector).max(offset);
            let size = ((sector + 1) * self.sector).min(offset + length) - from;
            let at = usize::try_from(from - offset).map_err(io::Error::other)?;
            match data.get(at..data.len().min(at + size as usize)) {
                Some(bytes) if !bytes.is_empty() => image.write(from, bytes)?,
                _ => image.zero(from, size)?,
            }
        }
        Ok(())
    }
}

/// For how long before a cut a lying disk had kept nothing.
const LIES_NS: u64 = 2_000_000_000;

#[cfg(test)]
mod tests {
    use std::fs::File;

    use rustix::fs::{MemfdFlags, memfd_create};

    use super::*;
    use crate::clock::now_ns;
    use crate::record::Writer;

    /// Three writes of a sector each: the first flushed.
    fn record() -> Record {
        let file = File::from(memfd_create("record", MemfdFlags::CLOEXEC).unwrap());
        let mut writer = Writer::new(file.try_clone().unwrap()).unwrap();
        writer.write(0, &[1; 512]).unwrap();
        writer.flush().unwrap();
        writer.write(512, &[2; 1024]).unwrap();
        writer.write(0, &[3; 512]).unwrap();
        Record::read(file).unwrap()
    }

    fn sectors(image: &Image) -> [u8; 3] {
        [0, 512, 1024].map(|at| {
            let mut sector = [0; 512];
            image.read(at, &mut sector).unwrap();
            assert!(sector.iter().all(|b| *b == sector[0]), "a sector is whole");
            sector[0]
        })
    }

    fn built(losses: Losses, seed: u64) -> [u8; 3] {
        let record = record();
        let mut builder = Builder::new(&record, Image::new(4096).unwrap());
        sectors(&builder.cut(now_ns(), losses, &mut Rng::with_seed(seed)).unwrap().0)
    }

    #[test]
    fn what_was_flushed_stays_and_the_rest_may_go() {
        assert_eq!(built(Losses::All, 0), [1, 0, 0]);
        assert_eq!(built(Losses::Nothing, 0), [3, 2, 2]);
        assert_eq!(built(Losses::Flushed, 0), [0, 0, 0]);
        let seen: std::collections::BTreeSet<[u8; 3]> =
            (0..3000).map(|seed| built(Losses::Random, seed)).collect();
        let all = [1, 3].into_iter().flat_map(|a| [0, 2].map(|b| [0, 2].map(|c| [a, b, c]))).flatten();
        assert_eq!(seen, all.collect(), "every subset, and nothing else");
    }

    #[test]
    fn a_suffix_is_lost_in_order() {
        let seen: std::collections::BTreeSet<[u8; 3]> =
            (0..400).map(|seed| built(Losses::Suffix, seed)).collect();
        assert!(seen.iter().all(|s| s[0] == 1 || *s == [3, 2, 2]), "{seen:?}");
        assert!(seen.len() >= 4, "{seen:?}");
    }

    #[test]
    fn cuts_go_on_from_each_other() {
        let record = record();
        let mut builder = Builder::new(&record, Image::new(4096).unwrap());
        let mut rng = Rng::with_seed(1);
        let first = record.events()[0].at_ns;
        assert_eq!(sectors(&builder.cut(first, Losses::Nothing, &mut rng).unwrap().0)[0], 1);
        assert_eq!(sectors(&builder.cut(first, Losses::All, &mut rng).unwrap().0)[0], 0);
        assert_eq!(sectors(&builder.cut(u64::MAX, Losses::Nothing, &mut rng).unwrap().0), [3, 2, 2]);
    }
}
