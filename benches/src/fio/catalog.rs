//! The jobs: files of `benches/jobs`, whose first lines say what they do and what they wait for.

use std::collections::BTreeSet;

/// One job file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Job {
    pub name: &'static str,
    /// For fio. `${DIR}`, `${SIZE}` and `${RUNTIME}` are filled in by fio, from its environment.
    pub text: &'static str,
    pub what: &'static str,
    /// What is known to be safe, by the file system's word, when an operation counts as done.
    pub durability: &'static str,
    /// Its operations are whole files, which have no size.
    pub counts_files: bool,
}

#[derive(Debug, thiserror::Error)]
#[error("no job is called '{wanted}'; there are: {known}")]
pub struct Unknown {
    wanted: String,
    known: String,
}

macro_rules! jobs {
    ($($name:literal),* $(,)?) => { &[$(($name, include_str!(concat!("../../jobs/", $name, ".fio")))),*] };
}

/// In the order in which they run.
const FILES: &[(&str, &str)] = jobs![
    "seq-write-1m",
    "seq-write-4k",
    "rand-write-1m",
    "rand-write-4k",
    "rand-write-4k-direct",
    "rand-write-4k-osync",
    "rand-write-4k-fsync",
    "rand-write-4k-fsync-4jobs",
    "seq-write-1m-fsync",
    "seq-read-1m",
    "seq-read-4k",
    "rand-read-1m",
    "rand-read-4k",
    "create-close",
    "card-rand-write-4k",
    "card-write-1m",
    "card-uring-rand-write-16k",
    "card-uring-direct-rand-rw-4k",
    "card-mmap-rand-write-4k",
    "card-rand-write-4k-fsync8",
];

/// All jobs.
fn all() -> Vec<Job> {
    FILES.iter().map(|&(name, text)| job(name, text)).collect()
}

fn job(name: &'static str, text: &'static str) -> Job {
    let head =
        |key: &str| text.lines().find_map(|l| l.strip_prefix("; ")?.strip_prefix(key)?.strip_prefix(": "));
    Job {
        name,
        text,
        what: head("what").unwrap_or_default(),
        durability: head("durability").unwrap_or_default(),
        counts_files: head("counts") == Some("files"),
    }
}

/// Those whose names begin with one of the wanted words; all, where there are none.
pub fn chosen(wanted: &[String]) -> Result<Vec<Job>, Unknown> {
    let all = all();
    let known: BTreeSet<&str> = all.iter().map(|j| j.name).collect();
    for word in wanted {
        if !known.iter().any(|name| name.starts_with(word.as_str())) {
            let known = known.into_iter().collect::<Vec<_>>().join(", ");
            return Err(Unknown { wanted: word.clone(), known });
        }
    }
    let fits = |job: &Job| wanted.is_empty() || wanted.iter().any(|word| job.name.starts_with(word.as_str()));
    Ok(all.into_iter().filter(fits).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_job_says_what_it_does_and_waits_for() {
        for job in all() {
            assert!(!job.what.is_empty() && !job.durability.is_empty(), "{}", job.name);
            assert!(
                job.text.contains(&format!("[{}]", job.name)),
                "{}: its section has another name",
                job.name
            );
            assert!(job.text.contains("${DIR}"), "{}", job.name);
        }
    }

    #[test]
    fn every_job_file_is_in_the_list() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("jobs");
        let files: BTreeSet<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        assert_eq!(files, FILES.iter().map(|(name, _)| format!("{name}.fio")).collect());
    }

    #[test]
    fn jobs_are_chosen_by_their_beginnings() {
        let names = |wanted: &[&str]| {
            let wanted: Vec<String> = wanted.iter().map(|w| (*w).to_owned()).collect();
            chosen(&wanted).map(|jobs| jobs.iter().map(|j| j.name).collect::<Vec<_>>())
        };
        assert_eq!(names(&[]).unwrap().len(), FILES.len());
        assert_eq!(names(&["seq-read", "create"]).unwrap(), ["seq-read-1m", "seq-read-4k", "create-close"]);
        assert!(names(&["seq", "nonsense"]).unwrap_err().to_string().contains("'nonsense'"));
    }
}
