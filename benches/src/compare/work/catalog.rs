//! All rows, in the order in which they run.

use std::collections::BTreeSet;

use super::fio::{Fio, Pattern};
use super::{Call, Missed, Script, Stream, Unit, What, Work};

const WRITE: &str = "write() returned, at last close()";
const READ: &str = "read() returned";
const CLOSE: &str = "close() returned";
const CALL: &str = "the call returned";
const END: &str = "the command ended";

const fn work(name: &'static str, what: What, unit: Unit, done: &'static str) -> Work {
    Work { name, what, unit, done, cold: false, gate: None, aim: None }
}

const fn fio(name: &'static str, fio: Fio, unit: Unit, done: &'static str) -> Work {
    work(name, What::Fio(fio), unit, done)
}

const fn stream(name: &'static str, stream: Stream, done: &'static str) -> Work {
    work(name, What::Stream(stream), Unit::MiB, done)
}

const fn call(name: &'static str, call: Call, done: &'static str) -> Work {
    work(name, What::Calls(call), Unit::Ops, done)
}

const fn script(name: &'static str, script: Script) -> Work {
    work(name, What::Script(script), Unit::Whole, END)
}

impl Work {
    const fn cold(self) -> Work {
        Work { cold: true, ..self }
    }

    const fn gate(self, times: f64) -> Work {
        Work { gate: Some(times), ..self }
    }

    const fn aim(self, times: f64) -> Work {
        Work { aim: Some(times), ..self }
    }

    fn is_called(&self, word: &str) -> bool {
        word.strip_prefix('=').map_or_else(|| self.name.starts_with(word), |whole| self.name == whole)
    }
}

const fn jobs(pattern: Pattern, jobs: u32) -> Fio {
    Fio { jobs, ..Fio::of(pattern) }
}

const fn synced(jobs: u32) -> Fio {
    Fio { jobs, fsync: 1, ..Fio::of(Pattern::Write) }
}

const ALL: &[Work] = &[
    stream("seq-write", Stream::Write, "close() returned").gate(2.5).aim(4.0),
    stream("seq-write-fsync", Stream::WriteSync, "fsync() and close() returned").gate(2.0).aim(3.0),
    stream("seq-read-cold", Stream::Read, READ).cold().gate(3.0),
    stream("seq-read-warm", Stream::Read, READ),
    fio("rand-write", Fio::of(Pattern::Write), Unit::Ops, WRITE).gate(8.0),
    fio("rand-write-4jobs", jobs(Pattern::Write, 4), Unit::Ops, WRITE).gate(10.0),
    fio(
        "rand-write-direct",
        Fio { direct: true, ..Fio::of(Pattern::Write) },
        Unit::Ops,
        "O_DIRECT write() returned",
    )
    .gate(4.0),
    fio("rand-write-fsync", synced(1), Unit::Ops, "fsync() after each").gate(4.0),
    fio("rand-write-fsync-8jobs", synced(8), Unit::Ops, "fsync() after each").gate(8.0),
    fio("rand-read-cold", Fio::of(Pattern::Read), Unit::Ops, READ).cold().gate(5.0),
    fio("rand-read-warm", Fio::of(Pattern::Read), Unit::Ops, READ),
    fio("mix-70-30", Fio::of(Pattern::Mix), Unit::Ops, "read(), write() returned").cold().gate(6.0),
    call("create-4k", Call::Create, CLOSE).gate(8.0).aim(12.0),
    call("stat", Call::Stat, CALL).cold().gate(10.0),
    call("open-read-close", Call::Read, CLOSE).cold().gate(10.0),
    call("chmod", Call::Chmod, CALL).gate(8.0),
    call("rename", Call::Rename, CALL).gate(8.0),
    call("unlink", Call::Unlink, CALL).gate(8.0),
    call("mkdir", Call::Mkdir, CALL).gate(8.0),
    call("rmdir", Call::Rmdir, CALL),
    script("tar-x", Script::Untar).gate(6.0).aim(10.0),
    script("ls-lR", Script::List).cold(),
    script("cp-a", Script::Copy),
    script("rm-rf", Script::Remove).gate(6.0).aim(10.0),
    script("git-clone", Script::Clone).gate(6.0).aim(10.0),
    script("git-status", Script::Status).cold(),
    work("heal-2048-files", What::Heal(Missed::Files), Unit::Whole, "both bricks are whole"),
    work("heal-1000-pages", What::Heal(Missed::Pages), Unit::Whole, "both bricks are whole"),
];

#[derive(Debug, thiserror::Error)]
#[error("no work is called '{wanted}'; there are: {known}")]
pub struct Unknown {
    wanted: String,
    known: String,
}

/// Those whose names begin with one of the wanted words, or are what stands behind its `=`; all, where there are none.
pub fn chosen(wanted: &[String]) -> Result<Vec<Work>, Unknown> {
    for word in wanted {
        if !ALL.iter().any(|work| work.is_called(word)) {
            let known = ALL.iter().map(|w| w.name).collect::<BTreeSet<_>>();
            let known = known.into_iter().collect::<Vec<_>>().join(", ");
            return Err(Unknown { wanted: word.clone(), known });
        }
    }
    let fits = |work: &&Work| wanted.is_empty() || wanted.iter().any(|word| work.is_called(word));
    Ok(ALL.iter().filter(fits).copied().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_there_once_and_chosen_by_their_beginnings() {
        let names: BTreeSet<_> = ALL.iter().map(|w| w.name).collect();
        assert_eq!(names.len(), ALL.len());
        let chosen_names = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
            chosen(&words).map(|all| all.iter().map(|w| w.name).collect::<Vec<_>>())
        };
        assert_eq!(chosen_names(&["stat", "git"]).unwrap(), ["stat", "git-clone", "git-status"]);
        assert_eq!(chosen_names(&["=seq-write"]).unwrap(), ["seq-write"]);
        assert!(chosen_names(&["=seq"]).is_err());
        assert!(chosen_names(&["nonsense"]).unwrap_err().to_string().contains("'nonsense'"));
    }

    #[test]
    fn an_aim_is_beyond_its_gate() {
        for work in ALL {
            assert!(work.aim.is_none_or(|aim| work.gate.is_some_and(|gate| aim > gate)), "{}", work.name);
        }
    }
}
