//! What a power cut may leave of the files: of each sector, any version since it was last made durable.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex};
use std::thread::ThreadId;

use super::random::Random;
use crate::journal::{Call, Watch};

const SECTOR: usize = 512;
type Bytes = Box<[u8; SECTOR]>;
type Names = BTreeMap<String, u64>;

/// The versions of a sector: the durable one first, then later ones with the time of their write.
struct Sector {
    durable: Bytes,
    later: Vec<(u64, Bytes)>,
}

impl Default for Sector {
    fn default() -> Self {
        Self { durable: Box::new([0; SECTOR]), later: Vec::new() }
    }
}

impl Sector {
    fn newest(&self) -> &Bytes {
        self.later.last().map_or(&self.durable, |(_, bytes)| bytes)
    }

    fn settle(&mut self, upto: u64) {
        let done = self.later.partition_point(|(time, _)| *time <= upto);
        if let Some((_, bytes)) = self.later.drain(..done).next_back() {
            self.durable = bytes;
        }
    }
}

#[derive(Default)]
struct Content {
    durable_len: u64,
    len: u64,
    sectors: BTreeMap<u64, Sector>,
}

#[derive(Default)]
struct State {
    time: u64,
    /// By a number of our own, since the file system uses inode numbers again.
    files: BTreeMap<u64, Content>,
    numbers: BTreeMap<u64, u64>,
    /// The directory's entries as they are on the disk, and after each change since; and how many came before those.
    names: Vec<Names>,
    forgotten: usize,
    /// Syncs that have begun: by whom, of which file, when.
    begun: Vec<(ThreadId, u64, u64)>,
    dir_syncs: Vec<(ThreadId, usize)>,
}

/// Watches one journal's directory.
#[derive(Default)]
pub(super) struct Shadow {
    state: Mutex<State>,
    /// Held while a thread changes the directory: an inode number that is freed and given out again in between would be
    /// taken for the old file.
    renaming: Mutex<bool>,
    renamed: Condvar,
    armed: Mutex<Option<Armed>>,
}

/// A power cut that is to come after some more calls.
struct Armed {
    calls: u64,
    to: PathBuf,
    random: Random,
}

/// Names and inode numbers.
fn listing(dir: &Path) -> Names {
    let entries = fs::read_dir(dir).expect("the directory is there");
    let name =
        |e: fs::DirEntry| (e.file_name().into_string().expect("ascii"), e.metadata().expect("stat").ino());
    entries.map(|e| name(e.expect("an entry"))).collect()
}

fn changes_names(call: Call) -> bool {
    matches!(call, Call::Create | Call::Remove | Call::Rename)
}

impl Shadow {
    fn change_begins(&self) {
        let mut busy = self.renaming.lock().expect("no panic while it was held");
        while *busy {
            busy = self.renamed.wait(busy).expect("no panic while it was held");
        }
        *busy = true;
    }

    fn change_ended(&self) {
        *self.renaming.lock().expect("no panic while it was held") = false;
        self.renamed.notify_one();
    }

    /// After so many more calls, from whatever thread, `to` becomes what a power cut leaves just then.
    pub(super) fn arm(&self, calls: u64, to: &Path, random: Random) {
        let armed = Armed { calls, to: to.to_owned(), random };
        *self.armed.lock().expect("no panic while it was held") = Some(armed);
    }

    /// Whether that has not happened; it will not any more.
    pub(super) fn disarm(&self) -> bool {
        self.armed.lock().expect("no panic while it was held").take().is_some()
    }

    fn count_down(&self) {
        let mut armed = self.armed.lock().expect("no panic while it was held");
        if let Some(cut) = &mut *armed {
            cut.calls -= 1;
            if cut.calls == 0 {
                self.cut(&cut.to, &mut cut.random);
                *armed = None;
            }
        }
    }

    /// Everything in the directory is durable now.
    pub(super) fn of(dir: &Path) -> Self {
        let mut state = State::default();
        for (name, ino) in listing(dir) {
            let number = state.create(ino);
            let bytes = fs::read(dir.join(name)).expect("a file");
            let mut content =
                Content { durable_len: bytes.len() as u64, len: bytes.len() as u64, ..Content::default() };
            for (at, part) in bytes.chunks(SECTOR).enumerate().filter(|(_, p)| p.iter().any(|b| *b != 0)) {
                content.sectors.entry(at as u64).or_default().durable[..part.len()].copy_from_slice(part);
            }
            state.files.insert(number, content);
        }
        state.listed(dir);
        Self { state: Mutex::new(state), ..Self::default() }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no panic while it was held")
    }

    /// Writes into `to` what a power cut now might leave.
    pub(super) fn cut(&self, to: &Path, random: &mut Random) {
        let odds = random.below(5);
        self.cut_at(to, odds, random);
    }

    /// `odds` says how much of what was not synced arrived: nothing (0), something (1 to 3), all (4).
    pub(super) fn cut_at(&self, to: &Path, odds: u64, random: &mut Random) {
        let state = self.lock();
        let names = &state.names[random.below(state.names.len() as u64) as usize];
        for (name, number) in names {
            let content = &state.files[number];
            let len = if random.below(4) < odds { content.len } else { content.durable_len };
            let mut bytes = vec![0; len as usize];
            for (at, sector) in &content.sectors {
                let version = pick(sector, odds, random);
                let start = (*at as usize * SECTOR).min(bytes.len());
                let end = (start + SECTOR).min(bytes.len());
                bytes[start..end].copy_from_slice(&version[..end - start]);
            }
            fs::write(to.join(name), bytes).expect("written");
        }
    }
}

fn pick<'a>(sector: &'a Sector, odds: u64, random: &mut Random) -> &'a Bytes {
    let some = match odds {
        0 => 0,
        4 => sector.later.len() as u64,
        odds if random.below(4) < odds => random.below(sector.later.len() as u64 + 1),
        _ => 0,
    };
    some.checked_sub(1).map_or(&sector.durable, |at| &sector.later[at as usize].1)
}

impl State {
    fn create(&mut self, ino: u64) -> u64 {
        let number = self.files.len() as u64;
        self.files.insert(number, Content::default());
        self.numbers.insert(ino, number);
        number
    }

    /// Nothing for a file that was removed while somebody had it open.
    fn number(&self, path: &Path) -> Option<u64> {
        self.numbers.get(&fs::metadata(path).ok()?.ino()).copied()
    }

    fn wrote(&mut self, path: &Path, offset: u64, len: usize, durable: bool) {
        let file = File::open(path).expect("it was just written");
        let meta = file.metadata().expect("stat");
        self.time += 1;
        let time = self.time;
        let content = self.files.get_mut(&self.numbers[&meta.ino()]).expect("known");
        content.len = meta.len();
        if durable {
            content.durable_len = content.durable_len.max(offset + len as u64);
        }
        for at in offset / SECTOR as u64..(offset + len as u64).div_ceil(SECTOR as u64) {
            let mut bytes = Box::new([0; SECTOR]);
            let mut filled = 0;
            while let Ok(n @ 1..) = file.read_at(&mut bytes[filled..], at * SECTOR as u64 + filled as u64) {
                filled += n;
            }
            let sector = content.sectors.entry(at).or_default();
            if durable {
                sector.later.clear();
                sector.durable = bytes;
            } else if **sector.newest() != *bytes {
                sector.later.push((time, bytes));
            }
        }
    }

    fn listed(&mut self, dir: &Path) {
        // A file not known yet has just been made by another thread, which will say so.
        let known = |(name, ino): (String, u64)| Some((name, *self.numbers.get(&ino)?));
        let now: Names = listing(dir).into_iter().filter_map(known).collect();
        if self.names.last() != Some(&now) {
            self.names.push(now);
        }
    }
}

impl Watch for Shadow {
    fn before(&self, call: Call, path: &Path) -> io::Result<()> {
        if changes_names(call) {
            self.change_begins();
        }
        let mut state = self.lock();
        let who = std::thread::current().id();
        match call {
            Call::Sync => {
                let time = state.time;
                if let Some(number) = state.number(path) {
                    state.begun.push((who, number, time));
                }
            }
            Call::SyncDir => {
                let known = state.forgotten + state.names.len();
                state.dir_syncs.push((who, known));
            }
            _ => {}
        }
        Ok(())
    }

    fn after(&self, call: Call, path: &Path) {
        let mut state = self.lock();
        let who = std::thread::current().id();
        match call {
            Call::Write { offset, len } => state.wrote(path, offset, len, false),
            Call::WriteDurable { offset, len } => state.wrote(path, offset, len, true),
            Call::Create => {
                state.create(fs::metadata(path).expect("stat").ino());
                state.listed(path.parent().expect("a directory"));
            }
            Call::Remove | Call::Rename => state.listed(path.parent().expect("a directory")),
            Call::Allocate => {
                let len = fs::metadata(path).expect("stat").len();
                let number = state.number(path).expect("known");
                state.files.get_mut(&number).expect("known").len = len;
            }
            Call::Sync => {
                if let Some(number) = state.number(path) {
                    let at = state.begun.iter().position(|b| (b.0, b.1) == (who, number)).expect("it began");
                    let (_, _, time) = state.begun.remove(at);
                    let content = state.files.get_mut(&number).expect("known");
                    content.durable_len = content.len;
                    content.sectors.values_mut().for_each(|s| s.settle(time));
                }
            }
            Call::SyncDir => {
                let at = state.dir_syncs.iter().position(|b| b.0 == who).expect("it began");
                let (_, known) = state.dir_syncs.remove(at);
                let gone = known.saturating_sub(state.forgotten + 1).min(state.names.len() - 1);
                state.names.drain(..gone);
                state.forgotten += gone;
            }
        }
        drop(state);
        self.count_down();
        if changes_names(call) {
            self.change_ended();
        }
    }
}
