//! File names: a slot's number, and what the file is. A slot is used again and again; the header says what is in it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// What a file in the journal's directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Segment,
    /// A segment with a damaged record. It is read as far as it is good, never written again, and removed in the end.
    Rotten,
    Copy,
}

impl Kind {
    const ALL: [(Self, &str); 3] =
        [(Self::Segment, ".seg"), (Self::Rotten, ".seg.rot"), (Self::Copy, ".hdr")];

    fn suffix(self) -> &'static str {
        match self {
            Self::Segment => ".seg",
            Self::Rotten => ".seg.rot",
            Self::Copy => ".hdr",
        }
    }

    pub(super) fn path(self, dir: &Path, slot: u32) -> PathBuf {
        dir.join(format!("{slot:06}{}", self.suffix()))
    }
}

/// The slot and kind of a file of this name; nothing for a file that is not the journal's.
pub(super) fn parse(name: &OsStr) -> Option<(u32, Kind)> {
    let name = name.to_str()?;
    // Slots are counted on from the highest: nine digits leave room.
    let digits = name.find('.').filter(|at| (6..=9).contains(at))?;
    let (slot, suffix) = name.split_at(digits);
    let slot = slot.bytes().all(|b| b.is_ascii_digit()).then(|| slot.parse().ok())??;
    Kind::ALL.iter().find(|(_, s)| *s == suffix).map(|(kind, _)| (slot, *kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_written() {
        for (kind, _) in Kind::ALL {
            for slot in [1, 999_999, 1_234_567] {
                let path = kind.path(Path::new("/x"), slot);
                assert_eq!(parse(path.file_name().unwrap()), Some((slot, kind)));
            }
        }
        for foreign in ["seg", "1.seg", "000001.tmp", "00000a.seg", "000001", "+00001.seg", "4294967295.seg"]
        {
            assert_eq!(parse(OsStr::new(foreign)), None, "{foreign}");
        }
    }
}
