//! Columns that line up.

/// Titles and rows as text; numbers are set flush right.
pub fn text<const N: usize>(head: &[(&str, bool); N], rows: &[[String; N]]) -> String {
    let titles = head.map(|(title, _)| title.to_owned());
    let all: Vec<&[String; N]> = std::iter::once(&titles).chain(rows).collect();
    let widths: [usize; N] =
        std::array::from_fn(|column| all.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
    all.iter().map(|row| line(row, head, &widths)).collect()
}

fn line<const N: usize>(row: &[String; N], head: &[(&str, bool); N], widths: &[usize; N]) -> String {
    let cells = row.iter().zip(head).zip(widths).map(|((cell, (_, number)), width)| {
        if *number { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
    });
    let line = cells.collect::<Vec<_>>().join("  ");
    format!("{}\n", line.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [["a".to_owned(), "5".to_owned()], ["long".to_owned(), "1234".to_owned()]];
        assert_eq!(text(&[("JOB", false), ("N", true)], &rows), "JOB      N\na        5\nlong  1234\n");
    }
}
