//! `-o`: one table, from which parsing and the help text come.

use std::path::PathBuf;
use std::time::Duration;

use rfs_model::admin::PORT;
use rfs_model::options::{parse_bytes, parse_duration_ms};
use rustix::mount::MountFlags;

use crate::fs::INODES;

/// What `-o` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountOptions {
    /// Flags for mount(2).
    pub flags: MountFlags,
    pub log_file: Option<PathBuf>,
    pub log_level: String,
    pub attr_ttl: Duration,
    pub entry_ttl: Duration,
    pub absent_ttl: Duration,
    pub cache_listings: bool,
    pub leases: bool,
    pub direct_io: bool,
    /// Of more inodes than these the kernel is asked to forget some; 0: of none.
    pub inodes: usize,
    /// Zero: wait for ever; `None`: as the volume says.
    pub request_timeout: Option<Duration>,
    /// Data of retained writes at the most, bytes; `None`: as the volume says.
    pub window_bytes: Option<usize>,
    /// Servers to ask when the named ones do not answer.
    pub backups: Vec<String>,
    /// Where the named servers listen.
    pub port: u16,
}

/// As long as NFS clients believe at most. Pushes come long before.
const BELIEVED: Duration = Duration::from_secs(60);

impl Default for MountOptions {
    fn default() -> Self {
        Self {
            flags: MountFlags::empty(),
            log_file: None,
            log_level: "info".into(),
            attr_ttl: BELIEVED,
            entry_ttl: BELIEVED,
            absent_ttl: Duration::ZERO,
            cache_listings: false,
            leases: true,
            direct_io: false,
            inodes: INODES,
            request_timeout: None,
            window_bytes: None,
            backups: Vec::new(),
            port: PORT,
        }
    }
}

/// What a word does.
enum Meaning {
    /// A flag of mount(2), set or cleared.
    Set(MountFlags),
    Clear(MountFlags),
    /// For others than us: mount(8), systemd, the init scripts.
    Ignored,
    /// `name=value`.
    Value(&'static str, fn(&mut MountOptions, &str) -> Result<(), String>),
}
use Meaning::{Clear, Ignored, Set, Value};

/// Every word that is understood, with a line of help for our own.
const TABLE: &[(&str, Meaning, &str)] = &[
    ("backupvolfile-server", Value("HOST", backups), "ask this server when SERVER does not answer"),
    (
        "backup-volfile-servers",
        Value("HOST:HOST...", backups),
        "ask these servers when SERVER does not answer",
    ),
    ("port", Value("N", port), "port of the named servers (24007)"),
    ("log-file", Value("PATH", log_file), "log there instead of /var/log/rfs/<mount-point>.log"),
    ("log-level", Value("LEVEL", log_level), "error, warn, info, debug or trace (info)"),
    ("attribute-timeout", Value("SECONDS", attr_ttl), "how long the kernel may believe attributes (60)"),
    ("entry-timeout", Value("SECONDS", entry_ttl), "how long the kernel may believe names (60)"),
    (
        "negative-timeout",
        Value("SECONDS", absent_ttl),
        "how long it may believe that a name is not there (0: it asks)",
    ),
    (
        "cache-listings",
        Value("enable|disable", cache_listings),
        "let it keep directories' listings until told of a change (disable)",
    ),
    (
        "leases",
        Value("enable|disable", leases),
        "make files at once in directories that only this mount changes; their close waits (enable)",
    ),
    ("direct-io-mode", Value("enable|disable", direct_io), "bypass the page cache (disable)"),
    (
        "inodes",
        Value("N", inodes),
        "of more than these the kernel is asked to forget some; 0: never (200000)",
    ),
    (
        "request-timeout",
        Value("SECONDS", request_timeout),
        "when a request gives up; 0: never (the volume's option: 60)",
    ),
    (
        "window",
        Value("SIZE", window),
        "written data that is kept until it is durable (the volume's option: 64MiB)",
    ),
    ("ro", Set(MountFlags::RDONLY), ""),
    ("rw", Clear(MountFlags::RDONLY), ""),
    ("nodev", Set(MountFlags::NODEV), ""),
    ("dev", Clear(MountFlags::NODEV), ""),
    ("nosuid", Set(MountFlags::NOSUID), ""),
    ("suid", Clear(MountFlags::NOSUID), ""),
    ("noexec", Set(MountFlags::NOEXEC), ""),
    ("exec", Clear(MountFlags::NOEXEC), ""),
    ("noatime", Set(MountFlags::NOATIME), ""),
    ("atime", Clear(MountFlags::NOATIME), ""),
    ("nodiratime", Set(MountFlags::NODIRATIME), ""),
    ("diratime", Clear(MountFlags::NODIRATIME), ""),
    ("relatime", Set(MountFlags::RELATIME), ""),
    ("norelatime", Clear(MountFlags::RELATIME), ""),
    ("strictatime", Set(MountFlags::STRICTATIME), ""),
    ("nostrictatime", Clear(MountFlags::STRICTATIME), ""),
    ("sync", Set(MountFlags::SYNCHRONOUS), ""),
    ("async", Clear(MountFlags::SYNCHRONOUS), ""),
    ("dirsync", Set(MountFlags::DIRSYNC), ""),
    ("silent", Set(MountFlags::SILENT), ""),
    ("loud", Clear(MountFlags::SILENT), ""),
    ("lazytime", Ignored, ""),
    ("nolazytime", Ignored, ""),
    ("defaults", Ignored, ""),
    ("auto", Ignored, ""),
    ("noauto", Ignored, ""),
    ("user", Ignored, ""),
    ("nouser", Ignored, ""),
    ("users", Ignored, ""),
    ("nousers", Ignored, ""),
    ("owner", Ignored, ""),
    ("noowner", Ignored, ""),
    ("group", Ignored, ""),
    ("nogroup", Ignored, ""),
    ("nofail", Ignored, ""),
    ("_netdev", Ignored, ""),
    ("acl", Ignored, ""),
    ("allow_other", Ignored, ""),
    ("default_permissions", Ignored, ""),
    // Of the mount table, whose words mount(8) repeats at a remount.
    ("user_id", Ignored, ""),
    ("group_id", Ignored, ""),
    ("max_read", Ignored, ""),
    (REMOUNT, Ignored, ""),
];

const REMOUNT: &str = "remount";

/// Whether mount(8) asks for a remount.
#[must_use]
pub fn remount(options: &[String]) -> bool {
    options.iter().flat_map(|words| words.split(',')).any(|word| word == REMOUNT)
}

impl MountOptions {
    /// Words as given to `-o`, in order; a later one overrules an earlier one.
    ///
    /// # Errors
    /// One line that names the word that is wrong.
    pub fn parse<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let mut options = Self::default();
        for word in words.into_iter().flat_map(|words| words.split(',')).map(str::trim) {
            if !word.is_empty() {
                options.take(word)?;
            }
        }
        Ok(options)
    }

    fn take(&mut self, word: &str) -> Result<(), String> {
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (word, None),
        };
        let for_others = name.starts_with("x-") || name.starts_with("X-") || name == "comment";
        let Some((_, meaning, _)) = TABLE.iter().find(|(known, ..)| *known == name) else {
            return if for_others { Ok(()) } else { Err(format!("unknown mount option '{name}'")) };
        };
        match (meaning, value) {
            (Set(flag), None) => self.flags |= *flag,
            (Clear(flag), None) => self.flags -= *flag,
            (Ignored, _) => {}
            (Value(_, set), Some(value)) => {
                set(self, value).map_err(|why| format!("mount option {name}={value}: {why}"))?
            }
            (Value(what, _), None) => {
                return Err(format!("mount option '{name}' needs a value: {name}={what}"));
            }
            (Set(_) | Clear(_), Some(_)) => return Err(format!("mount option '{name}' takes no value")),
        }
        Ok(())
    }

    #[must_use]
    pub fn read_only(&self) -> bool {
        self.flags.contains(MountFlags::RDONLY)
    }
}

/// Help for our own options, one a line.
#[must_use]
pub fn help() -> String {
    let own = TABLE.iter().filter_map(|(name, meaning, help)| match meaning {
        Value(what, _) => Some(format!("  {:<38} {help}\n", format!("{name}={what}"))),
        _ => None,
    });
    format!("Options after -o, beside those of mount(8):\n{}", own.collect::<String>())
}

fn backups(options: &mut MountOptions, value: &str) -> Result<(), String> {
    let hosts: Vec<String> = value.split(':').filter(|host| !host.is_empty()).map(str::to_owned).collect();
    if hosts.is_empty() {
        return Err("a host name is missing".into());
    }
    options.backups.extend(hosts);
    Ok(())
}

fn port(options: &mut MountOptions, value: &str) -> Result<(), String> {
    options.port = value.parse().map_err(|_| "not a port number".to_owned())?;
    Ok(())
}

fn log_file(options: &mut MountOptions, value: &str) -> Result<(), String> {
    options.log_file = Some(value.into());
    Ok(())
}

fn log_level(options: &mut MountOptions, value: &str) -> Result<(), String> {
    let level = value.to_ascii_lowercase();
    let level = if level == "warning" { "warn".to_owned() } else { level };
    if !["error", "warn", "info", "debug", "trace"].contains(&level.as_str()) {
        return Err("must be error, warn, info, debug or trace".into());
    }
    options.log_level = level;
    Ok(())
}

fn seconds(value: &str) -> Result<Duration, String> {
    let seconds: f64 = value.parse().map_err(|_| "not a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|_| "not a number of seconds".to_owned())
}

fn attr_ttl(options: &mut MountOptions, value: &str) -> Result<(), String> {
    options.attr_ttl = seconds(value)?;
    Ok(())
}

fn entry_ttl(options: &mut MountOptions, value: &str) -> Result<(), String> {
    options.entry_ttl = seconds(value)?;
    Ok(())
}

fn absent_ttl(options: &mut MountOptions, value: &str) -> Result<(), String> {
    options.absent_ttl = seconds(value)?;
    Ok(())
}

fn switch(value: &str) -> Result<bool, String> {
    match value {
        "enable" | "on" | "yes" | "true" => Ok(true),
        "disable" | "off" | "no" | "false" => Ok(false),
        _ => Err("must be enable or disable".into()),
    }
}

fn leases(options: &mut MountOptions, value: &str) -> Result<(), String> {
    options.leases = switch(value)?;
    Ok(())
}

fn cache_listings(options: &mut MountOptions, value: &str) -> Result<(), String> {
    options.cache_listings = switch(value)?;
    Ok(())
}

fn direct_io(options: &mut MountOptions, value: &str) -> Result<(), String> {
    options.direct_io = switch(value)?;
    Ok(())
}

fn inodes(options: &mut MountOptions, value: &str) -> Result<(), String> {
    options.inodes = value.parse().map_err(|_| "not a number of inodes".to_owned())?;
    Ok(())
}

/// As the volume's option of that name; a bare number is one of seconds.
fn request_timeout(options: &mut MountOptions, value: &str) -> Result<(), String> {
    let bare = value.bytes().all(|byte| byte.is_ascii_digit()) && value != "0";
    let value = if bare { format!("{value}s") } else { value.to_owned() };
    check("request-timeout", &value)?;
    options.request_timeout = parse_duration_ms(&value).map(Duration::from_millis);
    Ok(())
}

/// As the volume's option of that name.
fn window(options: &mut MountOptions, value: &str) -> Result<(), String> {
    check("window", value)?;
    options.window_bytes = parse_bytes(value).and_then(|bytes| usize::try_from(bytes).ok());
    Ok(())
}

fn check(key: &str, value: &str) -> Result<(), String> {
    rfs_model::options::option(key).and_then(|option| option.kind.problem(value)).map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &str) -> Result<MountOptions, String> {
        MountOptions::parse([words])
    }

    #[test]
    fn what_mount_passes_is_understood() {
        let defaults = MountOptions::default();
        let table = [
            ("", defaults.clone()),
            ("rw", defaults.clone()),
            ("defaults,_netdev,noauto,x-systemd.automount,comment=hello,nofail", defaults.clone()),
            ("ro", MountOptions { flags: MountFlags::RDONLY, ..defaults.clone() }),
            ("ro,rw", defaults.clone()),
            (
                "rw,nosuid,nodev",
                MountOptions { flags: MountFlags::NOSUID | MountFlags::NODEV, ..defaults.clone() },
            ),
            (
                "backupvolfile-server=server2",
                MountOptions { backups: vec!["server2".into()], ..defaults.clone() },
            ),
            (
                "backup-volfile-servers=b:c",
                MountOptions { backups: vec!["b".into(), "c".into()], ..defaults.clone() },
            ),
            (
                "attribute-timeout=0.5",
                MountOptions { attr_ttl: Duration::from_millis(500), ..defaults.clone() },
            ),
            ("entry-timeout=600", MountOptions { entry_ttl: Duration::from_secs(600), ..defaults.clone() }),
            ("negative-timeout=2", MountOptions { absent_ttl: Duration::from_secs(2), ..defaults.clone() }),
            ("cache-listings=on", MountOptions { cache_listings: true, ..defaults.clone() }),
            ("leases=off", MountOptions { leases: false, ..defaults.clone() }),
            ("direct-io-mode=enable", MountOptions { direct_io: true, ..defaults.clone() }),
            ("inodes=50000", MountOptions { inodes: 50_000, ..defaults.clone() }),
            ("request-timeout=0", MountOptions { request_timeout: Some(Duration::ZERO), ..defaults.clone() }),
            (
                "request-timeout=5s",
                MountOptions { request_timeout: Some(Duration::from_secs(5)), ..defaults.clone() },
            ),
            ("window=128MiB", MountOptions { window_bytes: Some(128 << 20), ..defaults.clone() }),
            (
                "log-file=/tmp/l,log-level=WARNING",
                MountOptions {
                    log_file: Some("/tmp/l".into()),
                    log_level: "warn".into(),
                    ..defaults.clone()
                },
            ),
        ];
        for (words, want) in table {
            assert_eq!(parse(words), Ok(want), "{words}");
        }
    }

    #[test]
    fn what_is_wrong_is_refused_by_name() {
        let table = [
            ("frobnicate", "unknown mount option 'frobnicate'"),
            ("rw,backup=server2", "unknown mount option 'backup'"),
            ("log-level", "mount option 'log-level' needs a value: log-level=LEVEL"),
            ("ro=1", "mount option 'ro' takes no value"),
            ("window=1MiB", "mount option window=1MiB: use 2MiB to 4GiB"),
            ("window=many", "mount option window=many: give a size such as 64MiB"),
            ("attribute-timeout=-1", "mount option attribute-timeout=-1: not a number of seconds"),
            ("inodes=many", "mount option inodes=many: not a number of inodes"),
            ("direct-io-mode=maybe", "mount option direct-io-mode=maybe: must be enable or disable"),
        ];
        for (words, want) in table {
            assert_eq!(parse(words), Err(want.into()), "{words}");
        }
    }
}
