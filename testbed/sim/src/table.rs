//! The kinds of faults and the planted faults that they catch, as a table for a reader.

use std::fmt::Write;

use crate::kind::Kind;
use crate::mutants;

/// A row for each kind, and for each planted fault that it catches.
#[must_use]
pub fn markdown() -> String {
    let mut text = String::from(
        "| kind | what happens | planted fault that it catches | seed | with |\n|---|---|---|---|---|\n",
    );
    let planted = mutants::all();
    for kind in Kind::ALL {
        let mut name = kind.name();
        let mut what = kind.text();
        let mut rows = planted.iter().filter(|planted| planted.kind == *kind).peekable();
        if rows.peek().is_none() {
            let _ = writeln!(text, "| {name} | {what} | none yet | | |");
        }
        for row in rows {
            let with: Vec<_> = row.with.iter().map(|kind| kind.name()).collect();
            let _ =
                writeln!(text, "| {name} | {what} | `{}` | {} | {} |", row.name, row.seed, with.join(", "));
            (name, what) = ("", "");
        }
    }
    text
}
