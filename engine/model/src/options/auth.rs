//! Who may mount a volume.

use std::net::{IpAddr, Ipv4Addr};

/// One entry of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    Everybody,
    /// All addresses whose first `bits` bits are those of `net`.
    Network {
        net: IpAddr,
        bits: u8,
    },
}

/// A list of addresses, networks and wildcards.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressList(Vec<Rule>);

impl AddressList {
    /// # Errors
    /// The first entry that is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        entries
            .map(|entry| parse_rule(entry).ok_or_else(|| entry.to_owned()))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|rule| match *rule {
            Rule::Everybody => true,
            Rule::Network { net, bits } => same_prefix(net, address, bits),
        })
    }
}

/// `auth.allow` and `auth.reject` of a volume. Rejection wins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuthRules {
    allow: AddressList,
    reject: AddressList,
}

impl AuthRules {
    /// Lists that cannot be read count as empty: they let nobody in.
    #[must_use]
    pub fn new(allow: &str, reject: &str) -> Self {
        let list = |text| AddressList::parse(text).unwrap_or_default();
        Self { allow: list(allow), reject: list(reject) }
    }

    /// Whether a mount from that address may come in.
    #[must_use]
    pub fn allows(&self, address: IpAddr) -> bool {
        self.allow.contains(address) && !self.reject.contains(address)
    }
}

/// Why `text` is no list of addresses.
pub(super) fn problem(text: &str) -> Option<String> {
    let wrong = AddressList::parse(text).err()?;
    Some(format!(
        "'{wrong}' is no address; use 192.168.199.102, 192.168.199.0/24, 192.168.* or *, separated by commas"
    ))
}

fn parse_rule(text: &str) -> Option<Rule> {
    if text == "*" {
        return Some(Rule::Everybody);
    }
    if let Some(prefix) = text.strip_suffix(".*") {
        return parse_wildcard(prefix);
    }
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits.parse::<u8>().ok()?)),
        None => (text, None),
    };
    let net: IpAddr = address.parse().ok()?;
    let most = if net.is_ipv4() { 32 } else { 128 };
    let bits = bits.unwrap_or(most);
    (bits <= most).then_some(Rule::Network { net, bits })
}

/// `192.168` of `192.168.*`; further stars may stand for the octets behind.
fn parse_wildcard(prefix: &str) -> Option<Rule> {
    let prefix = prefix.trim_end_matches(".*");
    let given: Vec<u8> = prefix.split('.').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    if given.is_empty() || given.len() > 3 {
        return None;
    }
    let mut octets = [0; 4];
    octets[..given.len()].copy_from_slice(&given);
    Some(Rule::Network { net: IpAddr::V4(Ipv4Addr::from(octets)), bits: given.len() as u8 * 8 })
}

fn same_prefix(net: IpAddr, address: IpAddr, bits: u8) -> bool {
    let (net, address, width) = match (net, address) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (u128::from(a.to_bits()), u128::from(b.to_bits()), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits(), b.to_bits(), 128),
        _ => return false,
    };
    let differing = net ^ address;
    bits == 0 || differing >> (width - u32::from(bits)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_and_addresses() {
        let table = [
            // (allow, reject, address, may come in)
            ("*", "", "10.1.2.3", true),
            ("", "", "10.1.2.3", false),
            ("192.168.199.102", "", "192.168.199.102", true),
            ("192.168.199.102", "", "192.168.199.101", false),
            ("192.168.199.102,192.168.199.104", "", "192.168.199.104", true),
            ("10.0.0.1, 192.168.199.0/24", "", "192.168.199.7", true),
            ("192.168.199.0/25", "", "192.168.199.128", false),
            ("192.168.*", "", "192.168.44.5", true),
            ("192.168.*.*", "", "192.168.44.5", true),
            ("192.168.*", "", "192.169.0.1", false),
            ("*", "192.168.199.102", "192.168.199.102", false),
            ("0.0.0.0/0", "", "8.8.8.8", true),
            ("0.0.0.0/0", "", "2001:db8::1", false),
            ("2001:db8::/32", "", "2001:db8:1::1", true),
            ("::1", "", "::1", true),
            ("192.168.199.102", "", "::ffff:192.168.199.102", true),
        ];
        for (allow, reject, address, want) in table {
            assert_eq!(
                AuthRules::new(allow, reject).allows(address.parse().unwrap()),
                want,
                "{allow} {address}"
            );
        }
    }

    #[test]
    fn what_is_no_address_is_named() {
        for wrong in ["x", "10.0.0", "10.0.0.0/33", "300.*", "1.2.3.4.*", "a.*", "2001:db8::/129"] {
            let why = problem(&format!("10.0.0.1,{wrong}")).unwrap();
            assert!(why.contains(&format!("'{wrong}'")), "{why}");
        }
    }
}
