//! Columns that line up.

/// Which side of its column a cell keeps to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    Left,
    Right,
}

/// Lays rows out under their head, columns as wide as their widest cell and two blanks apart, each line indented.
#[must_use]
pub fn table<const N: usize>(indent: &str, head: [(&str, Align); N], rows: &[[String; N]]) -> String {
    let mut widths = head.map(|(title, _)| title.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: [&str; N]| {
        let mut out = indent.to_owned();
        for ((cell, width), (_, align)) in cells.iter().zip(widths).zip(head) {
            match align {
                Align::Left => out += &format!("{cell:<width$}  "),
                Align::Right => out += &format!("{cell:>width$}  "),
            }
        }
        out.truncate(out.trim_end().len());
        out + "\n"
    };
    let mut out = line(head.map(|(title, _)| title));
    for row in rows {
        out += &line(row.each_ref().map(String::as_str));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_nothing_trails() {
        let rows = [["a".to_owned(), "1,000".to_owned()], ["longer".to_owned(), "-".to_owned()]];
        let got = table("  ", [("NAME", Align::Left), ("N", Align::Right)], &rows);
        assert_eq!(got, "  NAME        N\n  a       1,000\n  longer      -\n");
    }
}
