//! Sizes and times as people write them.

const SIZES: &[(&str, u64)] = &[
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("T", 1 << 40),
    ("G", 1 << 30),
    ("M", 1 << 20),
    ("K", 1 << 10),
    ("B", 1),
    ("", 1),
];

const TIMES: &[(&str, u64)] =
    &[("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000), ("w", 7 * 86_400_000)];

/// `64MiB`, `64M`, `512` (bytes), powers of 1024 throughout. `None`: not a size, or more than 2^64.
#[must_use]
pub fn parse_bytes(text: &str) -> Option<u64> {
    parse(text, SIZES)
}

/// `100ms`, `2s`, `5m`, `1h`, `7d`, `1w`, in milliseconds; a bare number has no unit and is none, but for `0`.
#[must_use]
pub fn parse_duration_ms(text: &str) -> Option<u64> {
    if text == "0" { Some(0) } else { parse(text, TIMES) }
}

fn parse(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = unit.strip_prefix(' ').unwrap_or(unit);
    let (_, scale) = units.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
    number.parse::<u64>().ok()?.checked_mul(*scale)
}

/// The shortest way to write a size that [`parse_bytes`] reads back.
#[must_use]
pub fn show_bytes(bytes: u64) -> String {
    let fits = |scale: u64| bytes >= scale && bytes.is_multiple_of(scale);
    let unit = SIZES.iter().take(4).find(|(_, scale)| fits(*scale));
    unit.map_or_else(|| bytes.to_string(), |(name, scale)| format!("{}{name}", bytes / scale))
}

/// The shortest way to write a time that [`parse_duration_ms`] reads back; weeks as days.
#[must_use]
pub fn show_duration(ms: u64) -> String {
    let fits = |scale: u64| ms >= scale && ms.is_multiple_of(scale);
    let unit = TIMES.iter().take(5).rev().find(|(_, scale)| fits(*scale));
    unit.map_or_else(|| "0".to_owned(), |(name, scale)| format!("{}{name}", ms / scale))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_written() {
        let table = [
            ("0", 0),
            ("512", 512),
            ("64MiB", 64 << 20),
            ("4GiB", 4 << 30),
            ("1K", 1024),
            ("3 gib", 3 << 30),
        ];
        for (text, want) in table {
            assert_eq!(parse_bytes(text), Some(want), "{text}");
            assert_eq!(parse_bytes(&show_bytes(want)), Some(want), "{text}");
        }
        for wrong in ["", "MiB", "-1", "1.5GiB", "64MB5", "99999999999TiB", "0x10"] {
            assert_eq!(parse_bytes(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn times_are_read_and_written() {
        let table =
            [("0", 0), ("100ms", 100), ("2s", 2000), ("5m", 300_000), ("7d", 604_800_000), ("90s", 90_000)];
        for (text, want) in table {
            assert_eq!(parse_duration_ms(text), Some(want), "{text}");
            assert_eq!(parse_duration_ms(&show_duration(want)), Some(want), "{text}");
        }
        for wrong in ["", "5", "s", "2 minutes", "-1s", "1e3ms"] {
            assert_eq!(parse_duration_ms(wrong), None, "{wrong}");
        }
        assert_eq!(show_duration(600_000), "10m");
    }
}
