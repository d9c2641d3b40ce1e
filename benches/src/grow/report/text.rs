//! Tables that line up.

use super::{Column, Grown, Point};
use crate::table;

impl Grown {
    pub fn text(&self) -> String {
        let head: Vec<_> = self.columns.iter().map(|column| (column.title, true)).collect();
        let rows: Vec<Vec<String>> = self.points.iter().map(|point| cells(point, &self.columns)).collect();
        let mut out = format!("{}: {}\n\n{}\n", self.axis, self.what, table::text(&head, &rows));
        self.gates.iter().for_each(|gate| out += &format!("{}\n", gate.line()));
        self.notes.iter().for_each(|note| out += &format!("{note}\n"));
        out
    }
}

fn cells(point: &Point, columns: &[Column]) -> Vec<String> {
    let cell = |column: &Column| {
        point.get(column.key).map_or_else(|| "-".to_owned(), |value| format!("{value:.*}", column.digits))
    };
    columns.iter().map(cell).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Gate;
    use super::*;

    #[test]
    fn a_table_with_its_gates() {
        let grown = Grown {
            axis: "size",
            what: "files".into(),
            points: vec![Point::default().with("n", 4.0).with("ms", 0.25), Point::default().with("n", 16.0)],
            gates: vec![Gate::at_most("ms", 0.25, 1.0)],
            notes: vec!["That is all.".into()],
            columns: vec![Column::new("n", "FILES", 0), Column::new("ms", "MS", 2)],
            panels: Vec::new(),
        };
        let want = "size: files\n\nFILES    MS\n    4  0.25\n   16     -\n\nmet    ms: 0.25, at most 1\nThat is all.\n";
        assert_eq!(grown.text(), want);
    }
}
