//! Volume options: one table, from which validation, defaults, `volume set help` and the manual come.

mod auth;
mod table;
mod value;

pub use auth::{AddressList, AuthRules};
pub use table::{Kind, OPTIONS, VolumeOption, nearest, option};
pub use value::{parse_bytes, parse_duration_ms};

use crate::volume::VolumeState;

/// When the journal is made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncMode {
    /// Before each acknowledgement.
    Always,
    /// In the background, at least this often, ms.
    Interval(u64),
}

/// Whose journals a write waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AckMode {
    /// A commit quorum's.
    Quorum,
    /// The leader's.
    Leader,
    /// Those of all bricks in sync.
    All,
}

/// A volume's options as typed values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    pub ack: AckMode,
    pub sync: SyncMode,
    pub peer_timeout_ms: u64,
    /// 0: wait for ever.
    pub request_timeout_s: u64,
    pub window_bytes: u64,
    /// 0: no cap. Bytes per second.
    pub heal_rate_bytes: u64,
    /// How long a brick may be behind before it leaves the sync set; `None`: no limit.
    pub max_lag_ms: Option<u64>,
    pub retain_bytes: u64,
    pub retain_age_s: u64,
    /// Whether files' blocks get sums, and reads compare with them.
    pub checksums: bool,
    /// What a scrub may read, bytes per second.
    pub scrub_rate_bytes: u64,
    pub auth: AuthRules,
    /// `auto`, `none`, or a host's name.
    pub witness: String,
}

impl Options {
    /// The options of a volume. Values in the log were validated when they were set; one that is not understood here
    /// (written by a newer version) counts as its default.
    #[must_use]
    pub fn of(state: &VolumeState) -> Self {
        Self::from_pairs(&state.options)
    }

    /// As [`Options::of`], from options that differ from their defaults.
    #[must_use]
    pub fn from_pairs(pairs: &[(String, String)]) -> Self {
        let values = Values(pairs);
        Self {
            ack: match values.text("ack") {
                "leader" => AckMode::Leader,
                "all" => AckMode::All,
                _ => AckMode::Quorum,
            },
            sync: match values.text("sync") {
                "always" => SyncMode::Always,
                _ => SyncMode::Interval(values.duration_ms("sync")),
            },
            peer_timeout_ms: values.duration_ms("peer-timeout"),
            request_timeout_s: values.duration_ms("request-timeout").div_ceil(1000),
            window_bytes: values.bytes("window"),
            heal_rate_bytes: values.bytes("heal-rate"),
            max_lag_ms: match values.text("max-lag") {
                "off" => None,
                _ => Some(values.duration_ms("max-lag")),
            },
            retain_bytes: values.bytes("log.retain-bytes"),
            retain_age_s: values.duration_ms("log.retain-age") / 1000,
            witness: values.text("witness").to_owned(),
            checksums: values.text("checksums") == "on",
            scrub_rate_bytes: values.bytes("scrub-rate"),
            auth: AuthRules::new(values.text("auth.allow"), values.text("auth.reject")),
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::from_pairs(&[])
    }
}

struct Values<'a>(&'a [(String, String)]);

impl<'a> Values<'a> {
    /// The value set, if it is one that this version knows, else the default.
    ///
    /// # Panics
    /// When `key` is not in the table.
    fn text(&self, key: &str) -> &'a str {
        let known = option(key).expect("a key of the table");
        let set = self.0.iter().find(|(k, _)| k == key).map(|(_, value)| value.as_str());
        set.filter(|value| known.kind.problem(value).is_none()).unwrap_or(known.default)
    }

    fn duration_ms(&self, key: &str) -> u64 {
        parse_duration_ms(self.text(key)).unwrap_or_default()
    }

    fn bytes(&self, key: &str) -> u64 {
        parse_bytes(self.text(key)).unwrap_or_default()
    }
}

/// Checks a key and a value as `volume set` was given them.
///
/// # Errors
/// One line that names what is wrong and the nearest right one.
pub fn check(key: &str, value: &str) -> Result<(), String> {
    let known = check_key(key)?;
    known.kind.problem(value).map_or(Ok(()), |why| Err(format!("'{value}' is no value for {key}: {why}")))
}

/// # Errors
/// One line that names the nearest key.
pub fn check_key(key: &str) -> Result<&'static VolumeOption, String> {
    option(key).ok_or_else(|| match nearest(key) {
        Some(near) => format!("unknown option '{key}': did you mean '{near}'?"),
        None => format!("unknown option '{key}': 'rfs-tools volume set help' lists them all"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_a_value_of_its_kind() {
        for o in OPTIONS {
            assert_eq!(check(o.key, o.default), Ok(()), "{}", o.key);
        }
    }

    #[test]
    fn the_defaults_are_those_of_the_contract() {
        let o = Options::default();
        assert_eq!((o.ack, o.sync), (AckMode::Quorum, SyncMode::Interval(100)));
        assert_eq!((o.peer_timeout_ms, o.request_timeout_s), (2000, 60));
        assert_eq!((o.window_bytes, o.heal_rate_bytes, o.max_lag_ms), (64 << 20, 0, None));
        assert_eq!((o.retain_bytes, o.retain_age_s), (4 << 30, 7 * 86400));
        assert!(o.auth.allows("10.0.0.1".parse().unwrap()));
    }

    #[test]
    fn a_wrong_key_is_answered_with_the_nearest() {
        assert_eq!(
            check("auth.alow", "x").unwrap_err(),
            "unknown option 'auth.alow': did you mean 'auth.allow'?"
        );
        assert_eq!(
            check("peer_timeout", "1s").unwrap_err(),
            "unknown option 'peer_timeout': did you mean 'peer-timeout'?"
        );
        assert!(check("performance.cache-size", "1").unwrap_err().contains("volume set help"));
    }

    #[test]
    fn a_value_that_this_version_does_not_know_counts_as_the_default() {
        let pairs = [("sync".to_owned(), "sometimes".to_owned()), ("window".to_owned(), "4MiB".to_owned())];
        let o = Options::from_pairs(&pairs);
        assert_eq!((o.sync, o.window_bytes), (SyncMode::Interval(100), 4 << 20));
    }
}
