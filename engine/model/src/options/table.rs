//! The table itself.

use super::auth;
use super::value::{parse_bytes, parse_duration_ms, show_bytes, show_duration};

/// What values an option takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One of these words.
    Word(&'static [&'static str]),
    /// A size such as `64MiB`, between the two, or one of the words.
    Bytes { least: u64, most: u64, words: &'static [&'static str] },
    /// A time such as `100ms`, between the two (ms), or one of the words.
    Duration { least_ms: u64, most_ms: u64, words: &'static [&'static str] },
    /// Addresses, networks, wildcards, `*`; possibly none.
    Addresses,
    /// One of these words, or a host's name.
    Host(&'static [&'static str]),
}

/// One option of a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VolumeOption {
    pub key: &'static str,
    pub default: &'static str,
    pub kind: Kind,
    pub help: &'static str,
}

const SECOND_MS: u64 = 1000;
const DAY_MS: u64 = 86_400 * SECOND_MS;
const MIB: u64 = 1 << 20;
const TIB: u64 = 1 << 40;

/// All options, in the order in which `volume set help` shows them.
pub const OPTIONS: &[VolumeOption] = &[
    VolumeOption {
        key: "auth.allow",
        default: "*",
        kind: Kind::Addresses,
        help: "Who may mount: addresses, networks (192.168.199.0/24, 192.168.*), '*', separated by commas. Holds at once, \
               for running mounts too.",
    },
    VolumeOption {
        key: "auth.reject",
        default: "",
        kind: Kind::Addresses,
        help: "Who may not mount, even if auth.allow names him.",
    },
    VolumeOption {
        key: "ack",
        default: "quorum",
        kind: Kind::Word(&["quorum"]),
        help: "Whose journals a write waits for: a commit quorum's. fsync waits for a quorum's disks.",
    },
    VolumeOption {
        key: "sync",
        default: "100ms",
        kind: Kind::Duration { least_ms: 1, most_ms: 60 * SECOND_MS, words: &["always"] },
        help: "How often journals are written through to the disks in the background; 'always': before each answer.",
    },
    VolumeOption {
        key: "peer-timeout",
        default: "2s",
        kind: Kind::Duration { least_ms: 500, most_ms: 600 * SECOND_MS, words: &[] },
        help: "Silence after which a brick leaves the sync set, so that the others go on without it.",
    },
    VolumeOption {
        key: "request-timeout",
        default: "60s",
        kind: Kind::Duration { least_ms: SECOND_MS, most_ms: DAY_MS, words: &["0"] },
        help: "How long a program waits for an answer before it gets ETIMEDOUT; 0: for ever.",
    },
    VolumeOption {
        key: "window",
        default: "64MiB",
        kind: Kind::Bytes { least: 2 * MIB, most: 4096 * MIB, words: &[] },
        help: "What a mount keeps of its writes, to send it again after a failover, before writers wait.",
    },
    VolumeOption {
        key: "heal-rate",
        default: "0",
        kind: Kind::Bytes { least: MIB, most: TIB, words: &["0"] },
        help: "Most bytes a second that healing one brick may take; 0: no cap.",
    },
    VolumeOption {
        key: "max-lag",
        default: "off",
        kind: Kind::Duration { least_ms: SECOND_MS, most_ms: 600 * SECOND_MS, words: &["off"] },
        help: "How long a brick of the sync set may be behind in writing before it is taken out and heals; off: no limit.",
    },
    VolumeOption {
        key: "log.retain-bytes",
        default: "4GiB",
        kind: Kind::Bytes { least: 256 * MIB, most: 1024 * TIB, words: &[] },
        help: "How much log is kept for bricks that are away: one that missed less is healed from the log.",
    },
    VolumeOption {
        key: "log.retain-age",
        default: "7d",
        kind: Kind::Duration { least_ms: 60 * SECOND_MS, most_ms: 3650 * DAY_MS, words: &[] },
        help: "How long log is kept for bricks that are away.",
    },
    VolumeOption {
        key: "witness",
        default: "auto",
        kind: Kind::Host(&["auto", "none"]),
        help: "Who holds the witness seat of an even number of bricks: the best machine there is, nobody, or this host \
               whenever it offers one. 'rfs-tools volume witness' sets it.",
    },
    VolumeOption {
        key: "checksums",
        default: "on",
        kind: Kind::Word(&["on", "off"]),
        help: "Whether blocks of files get sums some seconds after they were written, and reads compare with them. Works at \
               once.",
    },
    VolumeOption {
        key: "scrub-rate",
        default: "32MiB",
        kind: Kind::Bytes { least: MIB, most: TIB, words: &[] },
        help: "Most bytes a second that a scrub reads of one brick. Works at once.",
    },
    VolumeOption {
        key: "two-node",
        default: "block",
        kind: Kind::Word(&["block"]),
        help: "What the survivor of two bricks does after a crash with no witness anywhere: it waits, until \
               'rfs-tools volume promote' or the other's return.",
    },
];

/// The option of that key.
#[must_use]
pub fn option(key: &str) -> Option<&'static VolumeOption> {
    OPTIONS.iter().find(|o| o.key == key)
}

/// The key that someone who typed `wrong` most likely meant.
#[must_use]
pub fn nearest(wrong: &str) -> Option<&'static str> {
    nearest_of(wrong, OPTIONS.iter().map(|o| o.key))
}

fn nearest_of(wrong: &str, words: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    let limit = (wrong.chars().count() / 3).max(2);
    words.map(|word| (distance(wrong, word), word)).filter(|(d, _)| *d <= limit).min().map(|(_, word)| word)
}

/// Levenshtein's distance, in characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, cb) in b.iter().enumerate() {
            let best = (diagonal + usize::from(ca != *cb)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = std::mem::replace(&mut row[j + 1], best);
        }
    }
    row[b.len()]
}

impl Kind {
    /// Why `value` is none of this kind, with an example or the bounds; `None`: it is one.
    #[must_use]
    pub fn problem(&self, value: &str) -> Option<String> {
        match *self {
            Self::Word(words) => word_problem(value, words),
            Self::Bytes { words, .. } | Self::Duration { words, .. } if words.contains(&value) => None,
            Self::Bytes { least, most, words } => match parse_bytes(value) {
                Some(n) if (least..=most).contains(&n) => None,
                Some(_) => Some(bounds(&show_bytes(least), &show_bytes(most), words)),
                None => Some(format!("give a size such as 64MiB{}", or_words(words))),
            },
            Self::Duration { least_ms, most_ms, words } => match parse_duration_ms(value) {
                Some(n) if (least_ms..=most_ms).contains(&n) => None,
                Some(_) => Some(bounds(&show_duration(least_ms), &show_duration(most_ms), words)),
                None => Some(format!("give a time such as 500ms, 2s or 7d{}", or_words(words))),
            },
            Self::Addresses => auth::problem(value),
            Self::Host(words) => {
                let fits = |c: char| c.is_ascii_alphanumeric() || "-._:".contains(c);
                let host =
                    !value.is_empty() && value.len() <= crate::config::HOST_BYTES && value.chars().all(fits);
                (!host).then(|| format!("give the name of a host{}", or_words(words)))
            }
        }
    }

    /// What may be given, for help texts.
    #[must_use]
    pub fn describe(&self) -> String {
        match *self {
            Self::Word(words) => words.join(" | "),
            Self::Bytes { least, most, words } => {
                format!("{} .. {}{}", show_bytes(least), show_bytes(most), or_words(words))
            }
            Self::Duration { least_ms, most_ms, words } => {
                format!("{} .. {}{}", show_duration(least_ms), show_duration(most_ms), or_words(words))
            }
            Self::Addresses => "addresses, networks, *".to_owned(),
            Self::Host(words) => format!("{} | a host's name", words.join(" | ")),
        }
    }
}

fn word_problem(value: &str, words: &'static [&'static str]) -> Option<String> {
    if words.contains(&value) {
        return None;
    }
    Some(match nearest_of(value, words.iter().copied()) {
        Some(near) => format!("did you mean '{near}'?"),
        None => format!("use {}", words.join(", ")),
    })
}

fn bounds(least: &str, most: &str, words: &[&str]) -> String {
    format!("use {least} to {most}{}", or_words(words))
}

fn or_words(words: &[&str]) -> String {
    if words.is_empty() { String::new() } else { format!(", or {}", words.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (a, b, want) in [("", "abc", 3), ("auth.alow", "auth.allow", 1), ("kitten", "sitting", 3)] {
            assert_eq!((distance(a, b), distance(b, a)), (want, want), "{a} {b}");
        }
    }

    #[test]
    fn wrong_values_say_what_is_right() {
        let table = [
            ("ack", "quorom", "did you mean 'quorum'?"),
            ("ack", "x", "use quorum"),
            ("sync", "soon", "give a time such as 500ms, 2s or 7d, or always"),
            ("peer-timeout", "1ms", "use 500ms to 10m"),
            ("window", "7", "use 2MiB to 4GiB"),
            ("heal-rate", "1KiB", "use 1MiB to 1TiB, or 0"),
            ("auth.allow", "10.0.0.0/40", "'10.0.0.0/40'"),
        ];
        for (key, value, want) in table {
            let why = option(key).unwrap().kind.problem(value).unwrap();
            assert!(why.contains(want), "{key}={value}: {why}");
        }
    }
}
