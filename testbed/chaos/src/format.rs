//! What clients write into files: text that says what it is, with a checksum, so that a reader needs to know nothing.

use std::collections::BTreeMap;

/// Slots of a client's key-value file.
pub const SLOTS: usize = 32;

/// Bytes of one.
pub const SLOT: usize = 512;

/// `WRITER:N:FILLING:CHECKSUM`, a line.
#[must_use]
pub fn line(writer: &str, n: u64, filling: usize) -> String {
    let text = format!("{writer}:{n}:{}", "x".repeat(filling));
    format!("{text}:{:08x}\n", crc32fast::hash(text.as_bytes()))
}

/// How far each writer got, in a file of lines; an error names the first line that cannot be there: a torn one, one
/// twice, one out of order.
///
/// # Errors
/// What is wrong.
pub fn lines(bytes: &[u8]) -> Result<BTreeMap<String, Vec<u64>>, String> {
    let mut all: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    let mut at = 0;
    for line in bytes.split_inclusive(|b| *b == b'\n') {
        let (writer, n) =
            parse_line(line).ok_or_else(|| format!("torn line at byte {at}: {}", show(line)))?;
        let numbers = all.entry(writer.clone()).or_default();
        match numbers.last() {
            Some(last) if *last == n => return Err(format!("line {n} of {writer} twice, at byte {at}")),
            Some(last) if *last > n => {
                return Err(format!("line {n} of {writer} after its line {last}, at byte {at}"));
            }
            _ => numbers.push(n),
        }
        at += line.len();
    }
    Ok(all)
}

fn parse_line(line: &[u8]) -> Option<(String, u64)> {
    let line = std::str::from_utf8(line).ok()?.strip_suffix('\n')?;
    let (text, sum) = line.rsplit_once(':')?;
    let good = u32::from_str_radix(sum, 16).ok()? == crc32fast::hash(text.as_bytes());
    let mut words = text.split(':');
    let (writer, n) = (words.next()?, words.next()?.parse().ok()?);
    good.then(|| (writer.to_owned(), n))
}

/// `FILE:SLOT:VERSION:CHECKSUM`, filled up with dots and ended by a line feed: [`SLOT`] bytes.
#[must_use]
pub fn slot(file: &str, slot: usize, version: u64) -> Vec<u8> {
    let text = format!("{file}:{slot}:{version}");
    let mut bytes = format!("{text}:{:08x}:", crc32fast::hash(text.as_bytes())).into_bytes();
    bytes.resize(SLOT - 1, b'.');
    bytes.push(b'\n');
    bytes
}

/// The versions in a file of slots; what was never written is version 0.
///
/// # Errors
/// The first slot that holds no version.
pub fn slots(file: &str, bytes: &[u8]) -> Result<Vec<u64>, String> {
    let mut versions = vec![0; SLOTS];
    for (number, (version, bytes)) in versions.iter_mut().zip(bytes.chunks(SLOT)).enumerate() {
        if bytes.iter().all(|b| *b == 0) {
            continue;
        }
        *version =
            parse_slot(file, number, bytes).ok_or_else(|| format!("slot {number}: {}", show(bytes)))?;
    }
    Ok(versions)
}

fn parse_slot(file: &str, number: usize, bytes: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(bytes).ok()?;
    let version = text.split(':').nth(2)?.parse().ok()?;
    (bytes == slot(file, number, version)).then_some(version)
}

/// A complete version of a name: `NAME:VERSION:CHECKSUM` and a body that the version decides.
#[must_use]
pub fn whole(name: &str, version: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(version);
    let length = if random.u8(..16) == 0 { random.usize(..200_000) } else { random.usize(..20_000) };
    let body: Vec<u8> = (0..length).map(|_| random.lowercase() as u8).collect();
    let mut bytes = format!("{name}:{version}:{:08x}\n", crc32fast::hash(&body)).into_bytes();
    bytes.extend(body);
    bytes
}

/// The version of a name.
///
/// # Errors
/// It is not complete.
pub fn version(name: &str, bytes: &[u8]) -> Result<u64, String> {
    if bytes.is_empty() {
        return Err("empty".into());
    }
    let head = bytes.split(|b| *b == b'\n').next().unwrap_or_default();
    let found = std::str::from_utf8(head).ok().and_then(|head| head.split(':').nth(1)?.parse().ok());
    let found: u64 = found.ok_or_else(|| format!("no version: {}", show(bytes)))?;
    let want = whole(name, found);
    if want == bytes {
        return Ok(found);
    }
    let at = want.iter().zip(bytes).take_while(|(w, b)| w == b).count();
    Err(format!("version {found} is not whole: {} bytes of {}, wrong from {at} on", bytes.len(), want.len()))
}

fn show(bytes: &[u8]) -> String {
    format!("{:?}", String::from_utf8_lossy(bytes.get(..bytes.len().min(60)).unwrap_or(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole_once_and_in_order() {
        let text = |order: &[u64]| order.iter().map(|n| line("a", *n, 3)).collect::<String>();
        assert_eq!(lines(text(&[1, 2, 4]).as_bytes()).unwrap()["a"], [1, 2, 4]);
        assert!(lines(text(&[1, 1]).as_bytes()).unwrap_err().contains("twice"));
        assert!(lines(text(&[2, 1]).as_bytes()).unwrap_err().contains("after"));
        let torn = text(&[1, 2]).replacen("x", "", 1);
        assert!(lines(torn.as_bytes()).unwrap_err().contains("torn"));
        assert!(lines(&text(&[1]).as_bytes()[..5]).unwrap_err().contains("torn"));
    }

    #[test]
    fn slots_know_their_place() {
        let mut bytes = vec![0; SLOT];
        bytes.extend(slot("f", 1, 7));
        assert_eq!(slots("f", &bytes).unwrap()[..3], [0, 7, 0]);
        assert!(slots("g", &bytes).is_err(), "another file's");
        bytes.rotate_left(SLOT);
        assert!(slots("f", &bytes).is_err(), "another slot's");
        bytes.truncate(100);
        assert!(slots("f", &bytes).is_err(), "half a slot");
    }

    #[test]
    fn a_version_is_complete_or_wrong() {
        let mut bytes = whole("r", 3);
        assert_eq!(version("r", &bytes), Ok(3));
        assert!(version("r", b"").is_err());
        assert!(version("r", &bytes[..bytes.len() - 1]).is_err());
        assert!(version("s", &bytes).is_err());
        *bytes.last_mut().unwrap() = b'!';
        assert!(version("r", &bytes).unwrap_err().contains("not whole"));
    }
}
