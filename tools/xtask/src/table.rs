//! Figures in aligned columns.

/// Rows under a heading: the first column to the left, numbers to the right.
pub fn print(heading: &[&str], rows: &[Vec<String>]) {
    for line in lines(heading, rows) {
        println!("{line}");
    }
}

fn lines(heading: &[&str], rows: &[Vec<String>]) -> Vec<String> {
    let head: Vec<String> = heading.iter().map(|h| (*h).to_owned()).collect();
    let all: Vec<&Vec<String>> = std::iter::once(&head).chain(rows).collect();
    let width = |column: usize| all.iter().filter_map(|r| r.get(column)).map(|c| c.chars().count()).max();
    let widths: Vec<usize> = (0..head.len()).map(|column| width(column).unwrap_or(0)).collect();
    all.into_iter().map(|row| line(row, &widths)).collect()
}

fn line(row: &[String], widths: &[usize]) -> String {
    let cells = row.iter().zip(widths).enumerate().map(|(n, (cell, &width))| {
        if n == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
    });
    cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let rows = [vec!["kill".to_owned(), "7".to_owned()], vec!["x".to_owned(), "1234".to_owned()]];
        assert_eq!(lines(&["fault", "ms"], &rows), ["fault    ms", "kill      7", "x      1234"]);
    }
}
