//! Faults planted on purpose, for each kind of fault one that it catches: with the kind it is seen, and in the same histories
//! without that kind it is not.

use rfs_core::consensus::api::Mutations;
use rfs_model::hello::SeatClass;

use crate::kind::{Kind, Kinds};
use crate::setup::{DriverMutants, Mutants, Setup, Weather};
use crate::sweep::sweep;

/// A planted fault, the kind that catches it, and where.
#[derive(Clone, Copy, Debug)]
pub struct Planted {
    pub kind: Kind,
    pub name: &'static str,
    pub mutants: Mutants,
    pub weather: Weather,
    pub bricks: usize,
    pub seats: &'static [SeatClass],
    /// Kinds that it takes besides.
    pub with: &'static [Kind],
    /// Clients have leases.
    pub leases: bool,
    /// The first seed that catches it.
    pub seed: u64,
}

impl Planted {
    /// The same place, with nothing planted.
    #[must_use]
    pub fn without_fault(&self) -> Self {
        Self { mutants: Mutants::default(), ..*self }
    }
}

const NONE: &[SeatClass] = &[];
const ONE: &[SeatClass] = &[SeatClass::PoolNode];

type Place = (Weather, usize, &'static [SeatClass], &'static [Kind]);

/// Declares the rows: the kind, the planted fault and whose it is, where, and the first seed.
macro_rules! planted {
    ($($kind:ident $whose:ident $name:ident $place:expr, $seed:literal;)*) => {
        vec![$({
            let mut mutants = Mutants::default();
            mutants.$whose.$name = true;
            row(Kind::$kind, stringify!($name), mutants, $place, $seed)
        }),*]
    };
}

fn row(kind: Kind, name: &'static str, mutants: Mutants, place: Place, seed: u64) -> Planted {
    let (weather, bricks, seats, with) = place;
    let _: (Mutations, DriverMutants) = (mutants.core, mutants.driver);
    Planted { kind, name, mutants, weather, bricks, seats, with, leases: false, seed }
}

/// All of them.
#[must_use]
pub fn all() -> Vec<Planted> {
    let leases = of_leases().into_iter().map(|planted| Planted { leases: true, ..planted });
    of_replication().into_iter().chain(leases).collect()
}

/// Faults of leases on directories, by kind; in histories with such leases.
fn of_leases() -> Vec<Planted> {
    use Weather::Crashes;
    planted! {
        LeaderAlone driver next_leader_ends_leases (Crashes, 3, NONE, &[]), 8;
        Crash driver next_leader_ends_leases (Crashes, 2, ONE, &[]), 12;
        MountDisconnects driver old_directory_is_empty (Crashes, 2, ONE, &[]), 89;
        OneWay driver revokes_soon (Crashes, 2, ONE, &[]), 91;
        Pause driver believes_while_connected (Crashes, 2, ONE, &[]), 2551;
    }
}

/// Faults of everything else, by kind.
fn of_replication() -> Vec<Planted> {
    use Kind::{Crash, CrashAtStart, Partition, PowerCut, PowerCutOfAll, Refusal, SeatCrash, Split};
    use Weather::{Crashes, OnePowerCut, PowerCuts};
    planted! {
        Crash core count_before_journaled (Crashes, 1, NONE, &[]), 1;
        Crash driver only_noop_begins (Crashes, 2, ONE, &[Split]), 13;
        Crash core commit_old_terms (Crashes, 4, NONE, &[Partition, Split]), 11;
        CrashAtStart driver suspicion_unsaved (OnePowerCut, 2, ONE, &[PowerCut]), 1;
        CrashInSave core speak_before_saved (Crashes, 3, NONE, &[Split]), 138;
        PowerCut core no_suspect_rule (OnePowerCut, 2, ONE, &[CrashAtStart, Crash]), 17;
        PowerCut driver power_cut_unnoticed (OnePowerCut, 2, ONE, &[CrashAtStart, Crash]), 15;
        PowerCutOfAll core durable_before_synced (PowerCuts, 2, ONE, &[]), 1;
        PowerCutOfAll driver synced_too_early (PowerCuts, 2, NONE, &[]), 126;
        LostEffects driver redo_instead_of_converge (OnePowerCut, 2, ONE, &[PowerCut]), 1;
        TornTail driver trusts_bytes (PowerCuts, 2, NONE, &[PowerCut]), 1;
        Rot driver rot_is_torn (Crashes, 2, ONE, &[Crash]), 22;
        Misdirected driver trusts_places (Crashes, 2, ONE, &[Crash]), 28;
        DiskSwap driver swap_unnoticed (Crashes, 3, NONE, &[]), 1;
        Replace driver members_not_told (Crashes, 3, NONE, &[]), 0;
        Loss driver never_resends (Crashes, 2, ONE, &[]), 0;
        Repetition core cuts_behind_append (Crashes, 3, NONE, &[]), 0;
        Delay core cuts_behind_append (Crashes, 3, NONE, &[]), 0;
        SlowWay core lease_from_answer (Crashes, 3, NONE, &[Refusal]), 50;
        Partition core lease_never_ends (Crashes, 3, NONE, &[]), 15;
        Partition core witness_commits (Crashes, 2, ONE, &[]), 3;
        OneWay core joint_by_new_alone (Crashes, 2, ONE, &[]), 1874;
        Refusal core lease_ignores_hold (Crashes, 3, ONE, &[]), 7;
        Reset core ship_outlives_link (Crashes, 2, ONE, &[]), 0;
        Split core lease_never_ends (Crashes, 3, NONE, &[]), 1;
        LeaderAlone driver refuses_without_lease (Crashes, 3, NONE, &[]), 2;
        LearnerAlone core demoted_serves (Crashes, 2, ONE, &[Crash]), 9;
        Pause driver clock_of_last_turn (Crashes, 3, NONE, &[Split, Partition]), 450;
        ClockJump driver wall_clock (Crashes, 2, ONE, &[]), 17;
        ClockDrift driver lease_as_long_as_hold (Crashes, 3, NONE, &[Refusal]), 694;
        SlowDisk driver impatient_sync (PowerCuts, 2, NONE, &[PowerCutOfAll]), 65;
        FullDisk driver cut_forgets_batch (Crashes, 3, NONE, &[Partition, Split]), 833;
        FullLeader driver cut_forgets_batch (Crashes, 3, NONE, &[]), 0;
        SeatCrash core witness_forgets (Crashes, 2, ONE, &[Crash]), 3;
        SeatLoss driver lost_seat_same_name (Crashes, 2, ONE, &[Crash, Partition]), 23;
        SeatCrashAfterAnswer driver witness_answers_unsaved (Crashes, 2, ONE, &[Split]), 3;
        Leave driver clean_unsynced (Crashes, 2, ONE, &[]), 0;
        Promote driver abandoned_dropped (Crashes, 2, ONE, &[Crash, SeatCrash]), 22;
        Promote core abandoned_stands (Crashes, 2, ONE, &[Crash, SeatCrash]), 70;
        MountDisconnects driver window_not_resent (Crashes, 2, ONE, &[]), 0;
        MountDies driver waits_for_the_dead (Crashes, 2, ONE, &[]), 0;
        CopyCut driver copy_whole_too_early (Crashes, 3, NONE, &[Split]), 0;
    }
}

/// Planted faults that are seen while nothing else goes wrong: the name, what is planted, and whether it takes leases on directories.
#[must_use]
pub fn needing_no_fault() -> Vec<(&'static str, Mutants, bool)> {
    let driver = |driver| Mutants { driver, ..Mutants::default() };
    let none = DriverMutants::default();
    vec![
        ("reply_when_proposed", driver(DriverMutants { reply_when_proposed: true, ..none }), false),
        ("reads_here_at_once", driver(DriverMutants { reads_here_at_once: true, ..none }), false),
        ("revokes_at_once", driver(DriverMutants { revokes_at_once: true, ..none }), true),
        ("gives_back_first", driver(DriverMutants { gives_back_first: true, ..none }), true),
    ]
}

/// The history of a seed without any fault, with two bricks and a witness.
#[must_use]
pub fn calm(seed: u64, mutants: Mutants, leases: bool) -> Setup {
    let (weather, bricks, seats) = (Weather::Crashes, 2, ONE.to_vec());
    Setup {
        weather,
        bricks,
        seats,
        kinds: Kinds::NONE,
        pace_us: 12_000,
        trims: None,
        leases,
        ..Setup::of(seed, mutants)
    }
}

/// The history of a seed in which this fault is looked for; without the kind that catches it, one in which it is not seen.
#[must_use]
pub fn place(planted: &Planted, seed: u64, with_kind: bool) -> Setup {
    let kinds = Kinds::of(planted.with);
    Setup {
        weather: planted.weather,
        bricks: planted.bricks,
        seats: planted.seats.to_vec(),
        kinds: if with_kind { kinds.with(planted.kind) } else { kinds },
        pace_us: 12_000,
        trims: if planted.kind == Kind::CopyCut { Some((60, 200)) } else { None },
        pause_us: 100_000,
        leases: planted.leases,
        ..Setup::of(seed, planted.mutants)
    }
}

/// The first seed from `from` on that catches a mutant, and what it says.
#[must_use]
pub fn hunt(planted: &Planted, from: u64, limit: u64, with_kind: bool) -> Option<(u64, String)> {
    let mut first: Option<(u64, String)> = None;
    sweep(
        from..from + limit,
        |seed| place(planted, seed, with_kind),
        |seed, outcome| {
            if let Some(why) = outcome.failure
                && first.as_ref().is_none_or(|(first, _)| seed < *first)
            {
                first = Some((seed, why));
            }
            // Others that run now may be of a lower seed; none begins.
            first.is_none()
        },
    );
    first
}
