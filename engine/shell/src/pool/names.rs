//! Names as people type them: hosts, bricks, volumes.

use rfs_model::admin::PORT;

/// Longest volume name, bytes.
const VOLUME_NAME_BYTES: usize = 200;

/// A host and the port of its daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    pub host: String,
    pub port: u16,
}

impl HostPort {
    /// `host`, `host:port`, `[v6]:port` or a bare v6 address.
    ///
    /// # Errors
    /// One line.
    pub fn parse(text: &str) -> Result<Self, String> {
        let whole = |host: &str| Self { host: host.to_owned(), port: PORT };
        let parsed = if text.parse::<std::net::Ipv6Addr>().is_ok() {
            whole(text)
        } else {
            match text.rsplit_once(':') {
                Some((host, port)) if !port.ends_with(']') => {
                    let port =
                        port.parse().map_err(|_| format!("'{text}' is no host: '{port}' is no port"))?;
                    Self { host: unbracketed(host).to_owned(), port }
                }
                _ => whole(unbracketed(text)),
            }
        };
        let odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | '[' | ']');
        // With a colon it is an address, perhaps with its zone.
        let address = parsed.host.split('%').next().unwrap_or_default();
        let v6 = !parsed.host.contains(':') || address.parse::<std::net::Ipv6Addr>().is_ok();
        if parsed.host.is_empty() || parsed.host.contains(odd) || !v6 {
            return Err(format!("'{text}' is no host name"));
        }
        Ok(parsed)
    }

    /// `host:port`, as resolvers take it.
    #[must_use]
    pub fn address(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

fn unbracketed(host: &str) -> &str {
    host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host)
}

/// `host:/path`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrickName {
    /// As typed, perhaps with a port.
    pub host: String,
    /// Absolute, without `.`, `..`, doubled slashes or one at the end.
    pub path: String,
}

impl BrickName {
    /// # Errors
    /// One line.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("'{text}' is no brick: write HOST:/PATH, such as server1:/data");
        let colon = text.find(":/").ok_or_else(wrong)?;
        let (host, path) = (&text[..colon], &text[colon + 1..]);
        HostPort::parse(host)?;
        if path.contains('\0') || path.contains('\n') {
            return Err(wrong());
        }
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        if parts.contains(&"..") {
            return Err(format!("'{text}': a brick's path has no '..' in it"));
        }
        Ok(Self { host: host.to_owned(), path: format!("/{}", parts.join("/")) })
    }
}

impl std::fmt::Display for BrickName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.host, self.path)
    }
}

/// # Errors
/// Why it is no name for a volume, in one line.
pub fn check_volume_name(name: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if name.is_empty() || name.starts_with('-') || !name.chars().all(plain) {
        let shown: String = name.chars().filter(|c| !c.is_control()).take(40).collect();
        return Err(format!("'{shown}' is no volume name: use letters, digits, '_' and '-', not '-' first"));
    }
    if name.len() > VOLUME_NAME_BYTES {
        return Err(format!("the volume name is longer than {VOLUME_NAME_BYTES} characters"));
    }
    if matches!(name, "all" | "help") {
        return Err(format!(
            "'{name}' means something else on the command line: give the volume another name"
        ));
    }
    Ok(())
}

/// True for names that mean another machine on each machine.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    let host = HostPort::parse(host).map_or_else(|_| host.to_owned(), |h| h.host);
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        let table = [
            ("server2", "server2:24007"),
            ("server2:7", "server2:7"),
            ("10.0.0.1", "10.0.0.1:24007"),
            ("::1", "[::1]:24007"),
            ("[fe80::1]", "[fe80::1]:24007"),
            ("[fe80::1]:7", "[fe80::1]:7"),
            ("[fe80::1%eth0]:7", "[fe80::1%eth0]:7"),
        ];
        for (text, want) in table {
            assert_eq!(HostPort::parse(text).unwrap().address(), want);
        }
        for wrong in ["[[]]", "[::1", "a:b:7", "", ":7", "a b", "server2:x", "server2:99999", "a/b"] {
            HostPort::parse(wrong).unwrap_err();
        }
    }

    #[test]
    fn bricks() {
        let table = [
            ("server1:/data", "server1", "/data"),
            ("server1:/data/", "server1", "/data"),
            ("server1://data//./x", "server1", "/data/x"),
            ("server1:7:/data", "server1:7", "/data"),
            ("[::1]:/data", "[::1]", "/data"),
            ("server1:/", "server1", "/"),
            ("server1:/a:/b", "server1", "/a:/b"),
        ];
        for (text, host, path) in table {
            let want = BrickName { host: host.into(), path: path.into() };
            assert_eq!(BrickName::parse(text), Ok(want), "{text}");
        }
        for wrong in ["server1", "/data", ":/data", "server1:data", "server1:/a/../b", "server1:/a\0b"] {
            BrickName::parse(wrong).unwrap_err();
        }
    }

    #[test]
    fn volume_names() {
        for good in ["datavol", "a", "A_b-9", "0"] {
            check_volume_name(good).unwrap();
        }
        for wrong in ["", "a/b", "-a", "a b", "ä", "a.b", "all", "help", "a\nb", &"x".repeat(201)] {
            let why = check_volume_name(wrong).unwrap_err();
            assert!(!why.contains('\n') && why.contains("name"), "{why}");
        }
    }

    #[test]
    fn loopback() {
        assert!(is_loopback("localhost") && is_loopback("127.0.0.2:7") && is_loopback("::1"));
        assert!(!is_loopback("server1") && !is_loopback("10.0.0.1"));
    }
}
