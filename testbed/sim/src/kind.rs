//! The kinds of faults. Each has a planted fault that it catches: `docs/testing/simulator.md`.

/// Declares the kinds with what each is called and what it is.
macro_rules! kinds {
    ($($kind:ident $name:literal $text:literal)*) => {
        /// What can go wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Kind { $(#[doc = $text] $kind),* }

        impl Kind {
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$kind => $name),* }
            }

            /// One sentence, without its end.
            #[must_use]
            pub fn text(self) -> &'static str {
                match self { $(Self::$kind => $text),* }
            }
        }
    };
}

kinds! {
    Crash "crash" "a brick's process dies between two steps of a turn"
    CrashAtStart "crash at start" "it dies before or between its first two writes, or soon after"
    CrashInSave "crash in a save" "it dies while its hard state is written, and comes back at once"
    PowerCut "power cut" "a machine loses what was not synced, but for any beginning of the log"
    PowerCutOfAll "power cut of all" "all machines do at once"
    LostEffects "lost effects" "of the tree's unsynced changes a power cut takes any whose loss the file system allows"
    TornTail "torn tail" "a power cut leaves half a record behind the end of the log"
    Rot "rot" "a synced record can no longer be read"
    Misdirected "misdirected write" "a write goes over an older record instead of to its place"
    DiskSwap "disk swap" "a disk is replaced by an empty one; the brick keeps its name"
    Replace "brick replaced" "a brick gives way to one of another name, with an empty disk"
    Loss "loss" "the network loses datagrams"
    Repetition "repetition" "it delivers some twice, the second one late"
    Delay "delay" "it is slow, and overtakes itself"
    SlowWay "slow way" "what one brick says to another party, or to all, takes up to 0.25 s"
    Partition "partition" "two parties, or one and all others, are cut off from each other without a word"
    OneWay "one-way partition" "one direction between two parties is silent"
    Refusal "refusal" "connections between parties break, and new ones are refused"
    Reset "reset" "a brick's connections break, with what was under way"
    Split "split" "a brick and the others lose sight of each other; all see the witness"
    LeaderAlone "leader alone with mounts" "a leader loses sight of all but the mounts, which go back and forth"
    LearnerAlone "learner alone" "a brick that lacks something loses sight of those that have it"
    Pause "pause" "a process stands still and goes on later"
    ClockJump "clock jump" "the time of day moves by up to an hour"
    ClockDrift "clock drift" "a machine's clock runs fast or slow by up to 10 percent"
    SlowDisk "slow disk" "syncs take up to 0.4 s"
    FullDisk "full disk" "nothing more can be written"
    FullLeader "full disk of a leader" "the same, while it has lost sight of the others"
    SeatCrash "seat crash" "a witness dies, with or without what it was writing"
    SeatLoss "seat loss" "it loses its register too, and comes back as a stranger"
    SeatCrashAfterAnswer "seat crash after an answer" "it dies just after it gave a vote, comes back; who asked is cut off"
    Leave "leave" "a brick is asked to leave in good order"
    Promote "promote" "an operator overrules the votes: a brick goes on alone, in a new lineage"
    MountDisconnects "mount disconnects" "a mount's connection breaks"
    MountDies "mount dies" "a mount is never heard of again"
    CopyCut "copy cut" "the giver or the receiver of a full copy dies in its middle"
}

/// A set of kinds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Kinds(u64);

impl Kinds {
    pub const NONE: Self = Self(0);
    pub const ALL: Self = Self((1 << Kind::ALL.len()) - 1);

    #[must_use]
    pub const fn of(kinds: &[Kind]) -> Self {
        let (mut set, mut i) = (0, 0);
        while i < kinds.len() {
            set |= 1 << kinds[i] as u64;
            i += 1;
        }
        Self(set)
    }

    #[must_use]
    pub fn has(self, kind: Kind) -> bool {
        self.0 & 1 << kind as u64 != 0
    }

    #[must_use]
    pub fn with(self, kind: Kind) -> Self {
        Self(self.0 | 1 << kind as u64)
    }

    #[must_use]
    pub fn without(self, kind: Kind) -> Self {
        Self(self.0 & !(1 << kind as u64))
    }

    /// Those of `mask` only, a bit for each kind.
    #[must_use]
    pub fn masked(self, mask: u64) -> Self {
        Self(self.0 & mask)
    }

    pub fn iter(self) -> impl Iterator<Item = Kind> {
        Kind::ALL.iter().copied().filter(move |kind| self.has(*kind))
    }
}

impl std::fmt::Debug for Kinds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if *self == Self::ALL {
            return f.write_str("all");
        }
        let names: Vec<_> = self.iter().map(Kind::name).collect();
        f.write_str(&names.join(", "))
    }
}
