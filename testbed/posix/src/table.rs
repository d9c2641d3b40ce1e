//! The figures at the end.

use serde::Serialize;

/// What one part did.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    pub what: String,
    pub done: u64,
    /// Of what.
    pub unit: String,
    /// Cases that are on the list of what cannot be.
    pub listed: u64,
    pub seconds: f64,
    /// What must not be.
    pub wrong: Vec<String>,
}

/// A line for each part, as README.md has them.
#[must_use]
pub fn table(rows: &[Row]) -> String {
    let mut out = format!("{HEAD}\n|---|---|---|---|---|\n");
    for row in rows {
        let Row { what, done, unit, listed, seconds, wrong } = row;
        out += &format!("| {what} | {done} {unit} | {listed} | {} | {seconds:.0} |\n", wrong.len());
    }
    out
}

const HEAD: &str = "| part | done | listed | wrong | seconds |";

#[cfg(test)]
mod tests {
    use super::*;

    /// Figures in the documentation are pasted, not made up: at least they have the form of this table, and nothing was wrong.
    #[test]
    fn the_readme_has_such_a_table_in_which_nothing_is_wrong() {
        let readme = include_str!("../../../README.md");
        let rows = readme.split(HEAD).nth(1).expect("README.md has the table").lines().skip(2);
        let rows: Vec<Vec<&str>> = rows
            .take_while(|line| line.starts_with('|'))
            .map(|line| line.split('|').map(str::trim).collect())
            .collect();
        for part in
            ["pjdfstest on ext4", "pjdfstest", "fsx", "fsx-mapped", "fsx-killed", "model on ext4", "model"]
        {
            let row = rows.iter().find(|row| row.get(1) == Some(&part));
            let row = row.unwrap_or_else(|| panic!("README.md says nothing of {part}"));
            assert_eq!(row.get(4), Some(&"0"), "{row:?}");
        }
    }
}
