//! What is to be mounted: `server1:/datavol`, `server1,server2:/datavol`.

use std::fmt;

/// Servers to ask, in order, and the volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    pub hosts: Vec<String>,
    pub volume: String,
}

/// Why a text names no volume.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    #[error("'{0}' is not SERVER:/VOLUME")]
    Form(String),
    #[error("'{0}': the server's name is missing")]
    Host(String),
    #[error(
        "'{0}': a volume's name has letters, digits, '-' and '_' only; a directory in it cannot be mounted by itself"
    )]
    Volume(String),
}

impl std::str::FromStr for Source {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        let (hosts, volume) = text.rsplit_once(":/").ok_or_else(|| SourceError::Form(text.into()))?;
        let hosts: Vec<String> = hosts.split(',').map(|host| host.trim().to_owned()).collect();
        if hosts.iter().any(|host| host.is_empty() || host.contains(['/', ' '])) {
            return Err(SourceError::Host(text.into()));
        }
        let volume = volume.trim_end_matches('/');
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if volume.is_empty() || !volume.chars().all(plain) {
            return Err(SourceError::Volume(text.into()));
        }
        Ok(Self { hosts, volume: volume.into() })
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:/{}", self.hosts.join(","), self.volume)
    }
}

/// The volume that a mounted source names, whoever serves it.
#[must_use]
pub fn volume_of(mounted: &str) -> Option<&str> {
    mounted.rsplit_once(":/").map(|(_, volume)| volume)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_read_as_glusterfs_reads_them() {
        let table: [(&str, &[&str], &str); 4] = [
            ("server1:/datavol", &["server1"], "datavol"),
            ("server1,server2:/datavol", &["server1", "server2"], "datavol"),
            ("[fe80::1]:/v-1_b/", &["[fe80::1]"], "v-1_b"),
            ("192.168.1.1:/v", &["192.168.1.1"], "v"),
        ];
        for (text, hosts, volume) in table {
            let source: Source = text.parse().unwrap();
            assert_eq!(
                (source.hosts, source.volume.as_str()),
                (hosts.iter().map(|h| (*h).into()).collect(), volume)
            );
        }
        for wrong in ["", "server1", "server1:vol", ":/vol", "a,:/vol", "a:/", "a:/v/sub", "a:/v w"] {
            assert!(wrong.parse::<Source>().is_err(), "{wrong}");
        }
    }
}
