//! A brick's start: what is on its disk, judged, and made into a shard.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::rc::Rc;

use bytes::Bytes;
use rfs_core::admit::{Front, Limits};
use rfs_core::consensus::Consensus;
use rfs_core::consensus::api::{LogSummary, Start, Trust};
use rfs_model::codec::Decode;
use rfs_model::config::{ConfigEntry, GENESIS_LAST, Position};
use rfs_model::hard::HardState;
use rfs_model::label::{BrickState, Label};
use rfs_model::options::Options;
use rfs_model::volume::VolumeState;
use rfs_model::{Index, Term, Timestamp, VolumeId};

use super::forks::Forks;
use super::operate::seat_wish;
use super::resync::{forget_origin, noted_origin};
use super::timing::timing;
use super::{Inner, Shard, Surroundings, TreeState, index_check, life, wire};
use crate::clock;
use crate::durable;
use crate::journal::{self, Journal, Recovered};
use crate::pool::auth::random;
use crate::tree::{self, RootAttr, Sink, Tree};

/// What was found in a brick's directory.
struct Found {
    tree: Tree,
    checkpoint: tree::Checkpoint,
    journal: Journal,
    recovered: Recovered,
    hard: HardState,
    start: Start,
    front: Front,
}

/// Opens the brick in `path` and starts its task.
///
/// # Errors
/// [`Unfit`]: one line that names the file. Nothing runs then.
pub(super) async fn open(around: Surroundings, path: &Path, volume: VolumeId) -> Result<Rc<Shard>, Unfit> {
    // A large index takes a while to check: not on the executor, where other bricks run.
    let dir = path.to_owned();
    let open_tree = move || {
        index_check::check(&dir).map_err(|why| Unfit { why, copy_helps: true })?;
        Tree::open(&dir, &tree::Limits::default())
            .map_err(|e| Unfit { copy_helps: matches!(e, tree::Fault::Index { .. }), why: e.to_string() })
    };
    let tree = glommio::executor().spawn_blocking(open_tree).await;
    let found = look(path, tree)?;
    let state = volume_state(&found, path).await?;
    if let Some(damage) = life::volume_damage(path) {
        tracing::warn!("{damage}: it is noted anew");
        life::save_volume(path, &state).map_err(|e| e.to_string())?;
    }
    let label = tree::read_label(path).map_err(|e| e.to_string())?;
    let label = label.ok_or_else(|| format!("{} is no brick: it has no label", path.display()))?;
    let options = Options::of(&state);
    let now_us = clock::boottime_us();
    let summary = summary(&found)?;
    let committed = summary.committed;
    // Alone in S it would take what is left of its log for all that there is.
    let single = found.hard.config.record.configs().all(|config| config.in_sync.len() == 1);
    if let Some(rot) = found.recovered.rot.as_ref().filter(|_| single) {
        return Err(Unfit::of(format!(
            "{}: records {} to {} are damaged at offset {} ({}), and no other brick in sync has them",
            rot.segment.display(),
            rot.from,
            rot.upto,
            rot.offset,
            rot.problem
        )));
    }
    let seed = u64::from_le_bytes(random::<8>().map_err(|e| format!("no randomness: {e}"))?);
    let timing = timing(&options);
    let mut core = Consensus::new(now_us, around.me, found.hard.clone(), summary, found.start, timing, seed);
    core.wish_seat(seat_wish(&options));
    let noted = found.tree.noted_clock().map_err(|e| e.to_string())?;
    let tree = match found.start {
        Start::Clean => {
            let leftovers =
                found.tree.leftovers().map_err(|e| Unfit { copy_helps: true, why: e.to_string() })?;
            leftovers.into_iter().for_each(super::apply::free);
            TreeState::Ready(Box::new(found.tree))
        }
        Start::SameBoot | Start::Suspect | Start::Rotten => TreeState::Torn(Box::new(found.tree)),
    };
    tracing::info!(brick = %path.display(), start = ?found.start, log = %found.recovered.last.index,
        checkpoint = %found.checkpoint.index, "brick opened");
    let inner = Inner {
        me: around.me,
        state,
        options,
        core,
        effects: VecDeque::new(),
        chain: found.journal.last().chain,
        journal: found.journal,
        batch: Vec::new(),
        incoming: Vec::new(),
        tree,
        front: found.front,
        committed: if found.start == Start::Clean { committed } else { Index::ZERO },
        durable: Index::ZERO,
        first: None,
        links: BTreeMap::new(),
        seats: super::seats::Seats::default(),
        complaints: crate::net::Complaints::default(),
        mounts: super::mounts::Mounts::default(),
        opening: super::accept::Openings::default(),
        queries: super::queries::Queries::default(),
        unrecorded: BTreeMap::new(),
        syncing: super::journal::Syncing::default(),
        saving: super::drive::Saving::default(),
        feed: super::apply::Feed::default(),
        checkpoint: super::checkpoint::Checkpoints::at(found.checkpoint.index, now_us, noted),
        infos: super::info::Infos::default(),
        paces: super::heal::Paces::default(),
        resync: super::resync::Resync::default(),
        forks: Forks::load(path)?,
        aside: super::aside::Aside::default(),
        path: path.to_owned(),
        summing: super::sums::Summing::default(),
        rot: super::rot::Rot::default(),
        scrub: super::scrub::Scrub::default(),
        comparing: super::doubts::Comparing::default(),
        converge_when_synced: false,
        brick: label.brick,
        proposals: Vec::new(),
        commands: Vec::new(),
        leaving: false,
        leave_done: None,
        next_ticket: 0,
        hard: found.hard,
        failed: None,
    };
    let shard = Rc::new(Shard {
        volume,
        path: path.to_owned(),
        around,
        inbox: super::queue::Inbox::new(),
        inner: RefCell::new(inner),
        noting: glommio::sync::Semaphore::new(1),
        callers: super::callers::Callers::default(),
        end: RefCell::new(None),
        ended: Cell::new(None),
    });
    shard.inner.borrow_mut().retain_log();
    shard.inner.borrow_mut().start_links(&shard);
    glommio::spawn_local(Rc::clone(&shard).run()).detach();
    Ok(shard)
}

/// Why a brick does not start.
pub(super) struct Unfit {
    pub why: String,
    /// What is damaged can be had from another brick.
    pub copy_helps: bool,
}

impl Unfit {
    fn of(why: String) -> Self {
        Self { why, copy_helps: false }
    }

    fn of_log(e: journal::JournalError) -> Self {
        Self { copy_helps: e.is_damage(), why: e.to_string() }
    }
}

impl From<String> for Unfit {
    fn from(why: String) -> Self {
        Self::of(why)
    }
}

fn look(path: &Path, tree: Result<Tree, Unfit>) -> Result<Found, Unfit> {
    let one_line = |e: &dyn std::fmt::Display| e.to_string();
    let mut hard = read_hard(path)?;
    let mut tree = tree?;
    let checkpoint = tree.checkpoint().map_err(|e| Unfit { copy_helps: true, why: e.to_string() })?;
    let options = journal::Options { trusted_upto: checkpoint.index, ..journal::Options::default() };
    let (mut journal, mut recovered) =
        Journal::open(&path.join(".rfs/log"), options.clone()).map_err(Unfit::of_log)?;
    if let Some(origin) = noted_origin(path)? {
        // A copy was finished, and the crash came before its log was begun.
        if origin.at.index == checkpoint.index {
            journal.set_base(origin.at.index, origin.at.term, origin.chain).map_err(|e| one_line(&e))?;
            drop(journal);
            (journal, recovered) = Journal::open(&path.join(".rfs/log"), options).map_err(Unfit::of_log)?;
        }
        life::adopt_config(path, &mut hard, origin.at, origin.config).map_err(|e| one_line(&e))?;
        forget_origin(path)?;
    }
    tell_damage(&recovered);
    check_reach(path, &recovered, checkpoint.index)?;
    // The new life begins only now: a brick that does not open has not lived.
    let judged = life::judge(path).map_err(|e| one_line(&e))?;
    let damaged = recovered.rot.is_some() || judged == Start::Clean && recovered.torn.is_some();
    let start = if damaged { Start::Rotten } else { judged };
    if start.is_suspect() {
        // Before this boot is noted: a later start in it knows nothing of the power.
        tree.power_was_lost().map_err(|e| one_line(&e))?;
    }
    life::begin(path, &mut hard, start).map_err(|e| one_line(&e))?;
    let front = if checkpoint.state.is_empty() {
        Front::new(Limits::default())
    } else {
        Front::restore(Limits::default(), &checkpoint.state)
            .map_err(|e| format!("the index's state of sessions and locks cannot be read: {e}"))
            .map_err(|why| Unfit { why, copy_helps: true })?
    };
    Ok(Found { tree, checkpoint, journal, recovered, hard, start, front })
}

/// The log must hold the tree's checkpoint, or end there.
fn check_reach(path: &Path, recovered: &Recovered, checkpoint: Index) -> Result<(), Unfit> {
    let (base, last) = (recovered.base.index, recovered.last.index);
    let log = path.join(".rfs/log");
    let why = if last < checkpoint {
        format!("{}: ends at record {last}, before the tree's checkpoint {checkpoint}", log.display())
    } else if base > checkpoint {
        format!("{}: begins behind record {base}, after the tree's checkpoint {checkpoint}", log.display())
    } else {
        return Ok(());
    };
    Err(Unfit { why, copy_helps: true })
}

fn tell_damage(recovered: &Recovered) {
    if let Some(rot) = &recovered.rot {
        tracing::error!(
            "{}: damaged at offset {} ({}): records {} to {} must come from another brick",
            rot.segment.display(),
            rot.offset,
            rot.problem,
            rot.from,
            rot.upto
        );
    }
    if let Some(torn) = &recovered.torn {
        let (file, at) = (torn.segment.display(), torn.offset);
        tracing::warn!(
            "{file}: ends torn at offset {at} ({}): dropped from record {} on",
            torn.problem,
            torn.index
        );
    }
}

fn read_hard(path: &Path) -> Result<HardState, String> {
    let file = life::hard_state_path(path);
    let bytes = std::fs::read(&file).map_err(|e| format!("{}: {e}", file.display()))?;
    HardState::from_file(&bytes)
        .map_err(|e| format!("{}: {e}: a brick that forgot its vote must not vote", file.display()))
}

/// The newest volume state before the log is applied: of the checkpoint, or the record that `volume create` wrote, or what
/// was noted when a copy wiped both.
async fn volume_state(found: &Found, path: &Path) -> Result<VolumeState, String> {
    let payload = match found.front.state().volume() {
        Some(payload) => payload.clone(),
        None if found.recovered.last.index >= GENESIS_LAST => {
            let read = found.journal.read(GENESIS_LAST, GENESIS_LAST, 1).await.map_err(|e| e.to_string())?;
            read.first().ok_or("the log lacks its first records")?.payload.clone()
        }
        None => {
            let noted = life::load_volume(path);
            return noted.ok_or_else(|| format!("{}: nothing says what volume this was", path.display()));
        }
    };
    VolumeState::from_all(&payload).map_err(|e| format!("the volume's state cannot be read: {e}"))
}

/// A copy into this brick broke off: what there is of it means nothing. The brick begins again like one whose disk was
/// replaced, without a vote until the others have gone on without it. Blocks; durable on return.
///
/// # Errors
/// One line.
pub(super) fn begin_blank(path: &Path, label: Label) -> Result<(), String> {
    let one_line = |e: tree::Fault| e.to_string();
    let hard = HardState { trust: Trust::Blank, ..read_hard(path)? };
    durable::replace(&life::hard_state_path(path), &hard.to_file()).map_err(|e| e.to_string())?;
    let mut wipe = Sink::begin(path, label).map_err(one_line)?;
    while wipe.step().map_err(one_line)? {}
    let log = path.join(".rfs/log");
    match std::fs::remove_dir_all(&log) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(format!("{}: {e}", log.display())),
        _ => {}
    }
    forget_origin(path)?;
    Tree::create(path, &tree::Limits::default(), ROOT, Bytes::new()).map_err(one_line)?;
    tree::write_label(path, &Label { state: BrickState::Live, ..label }).map_err(one_line)
}

/// The root directory of a volume before its first change: the same on every brick.
pub(super) const ROOT: RootAttr =
    RootAttr { mode: 0o755, uid: 0, gid: 0, time: Timestamp { secs: 0, nanos: 0 } };

fn summary(found: &Found) -> Result<LogSummary, String> {
    let recovered = &found.recovered;
    if recovered.last.index == Index::ZERO {
        return Ok(LogSummary::empty());
    }
    let mut configs = Vec::<ConfigEntry>::new();
    for record in &recovered.configs {
        let entry = wire::config_entry(record).map_err(|e| format!("record {}: {e}", record.meta.index))?;
        configs.extend(entry);
    }
    // The newest one before the log, where the log has none any more.
    if found.hard.config.at.index <= recovered.base.index {
        configs.insert(0, found.hard.config.clone());
    }
    let genesis = if recovered.base.index == Index::ZERO {
        GENESIS_LAST.min(recovered.last.index)
    } else {
        Index::ZERO
    };
    Ok(LogSummary {
        base: Position::new(recovered.base.term, recovered.base.index),
        runs: runs_after(recovered.base.index, recovered.runs.as_slice(), recovered.last.index),
        last: recovered.last.index,
        configs,
        synced: recovered.synced.max(genesis),
        committed: found.checkpoint.index.max(genesis),
    })
}

/// The runs of records behind `base`; the one that the base is in begins after it.
fn runs_after(base: Index, runs: &[(Index, Term)], last: Index) -> Vec<(Index, Term)> {
    let at = runs.partition_point(|(first, _)| *first <= base.next());
    let mut out = runs[at.saturating_sub(1)..].to_vec();
    if let Some(first) = out.first_mut() {
        first.0 = first.0.max(base.next());
    }
    out.retain(|(first, _)| *first <= last);
    out
}

impl Inner {
    /// How far the tree *and* the sessions are.
    pub(crate) fn applied(&self) -> Index {
        self.front.state().applied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_begin_behind_the_base() {
        let run = |index, term| (Index(index), Term(term));
        let table = [
            (0, vec![run(0, 0), run(1, 1), run(5, 2)], 9, vec![run(1, 1), run(5, 2)]),
            (0, vec![run(0, 0)], 0, vec![]),
            (3, vec![run(3, 1), run(5, 2)], 9, vec![run(4, 1), run(5, 2)]),
            (4, vec![run(4, 1), run(5, 2)], 9, vec![run(5, 2)]),
            (9, vec![run(9, 2)], 9, vec![]),
        ];
        for (base, runs, last, want) in table {
            assert_eq!(runs_after(Index(base), &runs, Index(last)), want, "base {base}, {runs:?}");
        }
    }
}
