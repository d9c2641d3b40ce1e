//! What a seed stands for: the replica set's shape, the faults it may meet, the mutants planted.

use rfs_core::consensus::api::Mutations;
use rfs_model::hello::SeatClass;

use crate::kind::Kinds;
use crate::rng::Rng;

/// Which faults a history may have, hence what it must keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weather {
    /// Processes die, links fail, disks are slow or full: everything acknowledged is kept.
    Crashes,
    /// The same, and one machine at a time loses power while all is well: everything acknowledged is kept.
    OnePowerCut,
    /// Machines lose power at any time, all at once too: everything durable is kept.
    PowerCuts,
}

/// Faults planted on purpose, to prove that the oracles see them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mutants {
    pub core: Mutations,
    pub driver: DriverMutants,
}

/// Faults of whoever carries the core's effects out.
#[derive(Clone, Copy, Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is one switch of a test")]
pub struct DriverMutants {
    /// A witness answers before its register is saved, and a crash takes the register back.
    pub witness_answers_unsaved: bool,
    /// The journal is reported as synced when the sync begins.
    pub synced_too_early: bool,
    /// A brick that lost power counts as one whose process died.
    pub power_cut_unnoticed: bool,
    /// A brick that lost power counts as one that runs before it has stored that it is suspect.
    pub suspicion_unsaved: bool,
    /// A reply leaves when the record is proposed.
    pub reply_when_proposed: bool,
    /// A leader whose first record is a configuration never begins to admit.
    pub only_noop_begins: bool,
    /// A leader refuses without a lease.
    pub refuses_without_lease: bool,
    /// A cut of the log leaves what a full disk kept waiting.
    pub cut_forgets_batch: bool,
    /// A turn goes by the clock as the turn before found it.
    pub clock_of_last_turn: bool,
    /// Leases go by the time of day.
    pub wall_clock: bool,
    /// A witness that lost its register comes back under its old name.
    pub lost_seat_same_name: bool,
    /// A lease lasts as long as a hold.
    pub lease_as_long_as_hold: bool,
    /// An append that got no answer is never sent again.
    pub never_resends: bool,
    /// A sync that takes long counts as done.
    pub impatient_sync: bool,
    /// A record's checksum is not looked at when the log is read back.
    pub trusts_bytes: bool,
    /// Nor whether it is the one that belongs there.
    pub trusts_places: bool,
    /// Rot counts as a torn tail.
    pub rot_is_torn: bool,
    /// A brick with an empty disk does not know that it is one.
    pub swap_unnoticed: bool,
    /// A tree is brought up to date by doing everything again, whatever fails.
    pub redo_instead_of_converge: bool,
    /// What another lineage abandoned is dropped.
    pub abandoned_dropped: bool,
    /// A copy is taken for whole when it begins.
    pub copy_whole_too_early: bool,
    /// A client does not send again what it has sent over another connection.
    pub window_not_resent: bool,
    /// A leader admits nothing while a mount that it knew is gone.
    pub waits_for_the_dead: bool,
    /// Nobody tells the leader which bricks there are after a replacement.
    pub members_not_told: bool,
    /// A brick that leaves marks itself clean before everything is synced.
    pub clean_unsynced: bool,
    /// A follower answers a mount's read as its tree is.
    pub reads_here_at_once: bool,
    /// A mount believes in a lease since the answer to its question.
    pub believes_from_answer: bool,
    /// A mount believes in a lease for as long as it is connected.
    pub believes_while_connected: bool,
    /// A mount gives a lease back before it has asked for all that it has told its programs.
    pub gives_back_first: bool,
    /// A mount takes a directory for empty that it made a while ago.
    pub old_directory_is_empty: bool,
    /// A brick answers that there is a leader without looking whether it still is one.
    pub renews_unsure: bool,
    /// A leader that wants a lease back takes it away at once.
    pub revokes_at_once: bool,
    /// It takes it away when its holder believes in it no more, though what that has told its programs is not in doubt yet.
    pub revokes_soon: bool,
    /// A new leader ends all leases.
    pub next_leader_ends_leases: bool,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Setup {
    pub seed: u64,
    pub bricks: usize,
    /// One machine with a witness each; `BrickMachine` is brick 0's.
    pub seats: Vec<SeatClass>,
    pub weather: Weather,
    pub clients: usize,
    /// They have leases on directories.
    pub leases: bool,
    /// Mean pause between two thoughts of a client, microseconds.
    pub pace_us: u64,
    /// Logs are cut short so many records behind checkpoints, at least and at most, so that full copies are needed.
    pub trims: Option<(u64, u64)>,
    /// Faults begin and end, microseconds.
    pub faults_us: (u64, u64),
    /// Mean pause between two faults, microseconds.
    pub pause_us: u64,
    /// What may go wrong.
    pub kinds: Kinds,
    pub mutants: Mutants,
}

impl Setup {
    /// The history of a seed, with planted faults.
    #[must_use]
    pub fn of(seed: u64, mutants: Mutants) -> Self {
        let mut rng = Rng::new(seed ^ 0x5e7_0000);
        let shapes: &[(usize, &[SeatClass])] = &[
            (1, &[]),
            (2, &[]),
            (2, &[SeatClass::PoolNode]),
            (2, &[SeatClass::Mount]),
            (2, &[SeatClass::Mount, SeatClass::BrickMachine]),
            (2, &[SeatClass::PoolNode, SeatClass::Mount]),
            (3, &[]),
            (3, &[SeatClass::PoolNode]),
            (4, &[]),
            (4, &[SeatClass::PoolNode]),
        ];
        let (bricks, seats) = *rng.pick(shapes);
        let weather = *rng.pick(&[Weather::Crashes, Weather::OnePowerCut, Weather::PowerCuts]);
        // Half of the histories have all kinds, the others three quarters of them.
        let kinds = if rng.one_in(2) { Kinds::ALL } else { Kinds::ALL.masked(rng.draw() | rng.draw()) };
        Self {
            seed,
            bricks,
            seats: seats.to_vec(),
            weather,
            clients: rng.within(1, 3) as usize,
            // A draw of its own: the others are those of a history without leases.
            leases: Rng::new(seed ^ 0x1ea_5e00).one_in(2),
            pace_us: *rng.pick(&[12_000, 25_000, 80_000, 250_000]),
            trims: *rng.pick(&[None, None, Some((400, 900)), Some((60, 200))]),
            faults_us: (2_500_000, rng.within(6_000_000, 16_000_000)),
            pause_us: *rng.pick(&[30_000, 100_000, 300_000, 800_000]),
            kinds,
            mutants,
        }
    }
}
