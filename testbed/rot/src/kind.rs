//! What is damaged, and how it may be noticed.

use serde::Serialize;

/// A kind of file, and of damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A bit of a file's data, while the brick runs.
    Data,
    /// The same, while it is stopped.
    DataAtRest,
    /// A file is cut short.
    Cut,
    /// A file is cut short before it has sums.
    CutFresh,
    Mode,
    Owner,
    Mtime,
    Xattr,
    /// The xattr that says who an inode is.
    Identity,
    /// A name is another one.
    Name,
    /// A name, and so a file, is gone.
    Gone,
    SegmentHeader,
    SegmentRecord,
    SegmentPayload,
    SegmentTail,
    HeaderCopy,
    Index,
    Label,
    Vote,
    Life,
    Volume,
    Pool,
    /// The register of the witness.
    Register,
}

/// What brings the damage to light.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Light {
    /// A mount reads the file.
    Read,
    /// A scrub.
    Scrub,
    /// The daemon is started: it was stopped for the damage.
    Start,
    /// The client's mount is made again.
    Mount,
}

impl Kind {
    /// What brings the damage to light.
    #[must_use]
    pub fn light(self) -> Light {
        match self {
            Self::Data | Self::DataAtRest | Self::Cut | Self::CutFresh => Light::Read,
            Self::Mode
            | Self::Owner
            | Self::Mtime
            | Self::Xattr
            | Self::Identity
            | Self::Name
            | Self::Gone => Light::Scrub,
            Self::Register => Light::Mount,
            _ => Light::Start,
        }
    }

    /// Whether the daemon must be stopped for the damage.
    #[must_use]
    pub fn stops(self) -> bool {
        self.light() == Light::Start || self == Self::DataAtRest
    }

    /// Whether a flipped bit may hit what nobody uses, or what means the same: then nobody needs to notice.
    #[must_use]
    pub fn may_be_harmless(self) -> bool {
        matches!(self, Self::Index | Self::SegmentHeader | Self::HeaderCopy | Self::SegmentTail)
    }

    /// Whether a file may be missing until a scrub has come by: names have no sums.
    #[must_use]
    pub fn may_be_missing(self) -> bool {
        matches!(self, Self::Identity | Self::Name | Self::Gone)
    }

    /// Whether the brick may stay out until somebody puts the file right.
    #[must_use]
    pub fn may_stay_out(self) -> bool {
        matches!(self, Self::Label | Self::Vote | Self::Pool | Self::Identity)
    }
}
