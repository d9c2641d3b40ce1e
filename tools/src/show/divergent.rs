//! `heal-status divergent`.

use rfs_model::admin::DivergentRow;

use super::number::{bytes, date_utc};
use super::table::{Align, table};

/// What abandoned lineages left, a path a line.
#[must_use]
pub fn divergent(rows: &[DivergentRow]) -> String {
    if rows.is_empty() {
        return "none\n".to_owned();
    }
    let head = [
        ("BRICK", Align::Left),
        ("PATH", Align::Left),
        ("DID", Align::Left),
        ("SIZE", Align::Right),
        ("MODIFIED", Align::Left),
        ("SET ASIDE", Align::Left),
        ("COPY", Align::Left),
    ];
    let cells: Vec<[String; 7]> = rows
        .iter()
        .map(|row| {
            let dash = || "-".to_owned();
            let size = if row.copy.is_some() { bytes(row.size) } else { dash() };
            [
                row.brick.clone(),
                row.path.clone(),
                row.did.clone(),
                size,
                row.mtime_ms.map_or_else(dash, date_utc),
                date_utc(row.set_aside_ms),
                row.copy.clone().unwrap_or_else(dash),
            ]
        })
        .collect();
    table("", head, &cells)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_and_what_is_gone() {
        assert_eq!(divergent(&[]), "none\n");
        let row = |path: &str, did: &str, copy: Option<&str>| DivergentRow {
            brick: "s:/b".into(),
            path: path.into(),
            did: did.into(),
            size: 5,
            mtime_ms: copy.map(|_| 0),
            set_aside_ms: 0,
            copy: copy.map(str::to_owned),
        };
        let text = divergent(&[row("/a", "changed", Some("/b/a")), row("/b", "removed", None)]);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[1].starts_with("s:/b   /a    changed") && lines[1].ends_with("/b/a"), "{text}");
        assert!(lines[2].contains("removed") && lines[2].ends_with('-'), "{text}");
    }
}
