//! Numbers as people read them.

/// `184,223`
#[must_use]
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `48 MiB`: the largest unit that leaves at least one, rounded down.
#[must_use]
pub fn bytes(n: u64) -> String {
    let units = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    let unit = units.iter().find(|(_, shift)| n >> shift > 0);
    unit.map_or_else(|| format!("{n} B"), |(name, shift)| format!("{} {name}", n >> shift))
}

/// `1 s`, `2 min 5 s`, `3 h 20 min`, `2 d 4 h`
#[must_use]
pub fn duration(s: u64) -> String {
    let two = |a: u64, unit_a: &str, b: u64, unit_b: &str| match b {
        0 => format!("{a} {unit_a}"),
        _ => format!("{a} {unit_a} {b} {unit_b}"),
    };
    match s {
        0..60 => format!("{s} s"),
        60..3600 => two(s / 60, "min", s % 60, "s"),
        3600..86_400 => two(s / 3600, "h", s % 3600 / 60, "min"),
        _ => two(s / 86_400, "d", s % 86_400 / 3600, "h"),
    }
}

/// `2026-07-04 12:30:05 UTC` of milliseconds since 1970. The calendar is Howard Hinnant's `civil_from_days`.
#[must_use]
pub fn date_utc(ms: u64) -> String {
    let (days, second) = (ms / 86_400_000, ms / 1000 % 86_400);
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (h, m, s) = (second / 3600, second % 3600 / 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {h:02}:{m:02}:{s:02} UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_separated() {
        for (n, want) in
            [(0, "0"), (999, "999"), (1000, "1,000"), (184_223, "184,223"), (1_234_567, "1,234,567")]
        {
            assert_eq!(grouped(n), want);
        }
    }

    #[test]
    fn sizes_and_times() {
        let sizes = [(0, "0 B"), (1023, "1023 B"), (1024, "1 KiB"), (48 << 20, "48 MiB"), (3 << 40, "3 TiB")];
        for (n, want) in sizes {
            assert_eq!(bytes(n), want);
        }
        let times =
            [(1, "1 s"), (60, "1 min"), (125, "2 min 5 s"), (12_000, "3 h 20 min"), (187_200, "2 d 4 h")];
        for (n, want) in times {
            assert_eq!(duration(n), want);
        }
    }

    #[test]
    fn dates() {
        let table = [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_400_000, "2000-02-29 00:00:00 UTC"),
            (1_783_168_205_999, "2026-07-04 12:30:05 UTC"),
            (4_102_444_799_000, "2099-12-31 23:59:59 UTC"),
        ];
        for (ms, want) in table {
            assert_eq!(date_utc(ms), want);
        }
    }
}
