//! Columns that line up.

/// Titles and rows as text; numbers are set flush right. A row has as many cells as there are titles.
pub fn text<R: AsRef<[String]>>(head: &[(&str, bool)], rows: &[R]) -> String {
    let titles: Vec<String> = head.iter().map(|(title, _)| (*title).to_owned()).collect();
    let all: Vec<&[String]> =
        std::iter::once(titles.as_slice()).chain(rows.iter().map(AsRef::as_ref)).collect();
    let width = |column: usize| all.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    all.iter().map(|row| line(row, head, &widths)).collect()
}

fn line(row: &[String], head: &[(&str, bool)], widths: &[usize]) -> String {
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
