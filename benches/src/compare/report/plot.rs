//! The same, to look at: how many times as fast as GlusterFS each of the others is.

use anyhow::anyhow;
use plotters::prelude::*;

use super::{Report, Row};
use crate::compare::systems::{Kind, Seat};

const WIDTH: u32 = 1000;
const ROW: u32 = 26;
const COLOURS: [(Kind, RGBColor); 3] = [
    (Kind::Rfs, RGBColor(27, 120, 55)),
    (Kind::Plain, RGBColor(150, 150, 150)),
    (Kind::Moosefs, RGBColor(118, 42, 131)),
];

impl Report {
    /// An SVG for each seat, if there is something to compare with.
    pub fn plots(&self) -> anyhow::Result<Vec<(&'static str, String)>> {
        let seats = [Seat::Client, Seat::Brick];
        let rows = |seat| {
            self.rows.iter().filter(|r| r.seat == seat && r.cell(Kind::Gluster).is_some()).collect::<Vec<_>>()
        };
        let all = seats.into_iter().map(|seat| (seat, rows(seat))).filter(|(_, rows)| !rows.is_empty());
        all.map(|(seat, rows)| Ok((seat.name(), plot(seat, &rows)?))).collect()
    }
}

fn plot(seat: Seat, rows: &[&Row]) -> anyhow::Result<String> {
    let mut svg = String::new();
    draw(&mut svg, seat, rows).map_err(|e| anyhow!("the plot: {e}"))?;
    Ok(svg)
}

fn draw(svg: &mut String, seat: Seat, rows: &[&Row]) -> Result<(), Box<dyn std::error::Error>> {
    let area = SVGBackend::with_string(svg, (WIDTH, ROW * rows.len() as u32 + 110)).into_drawing_area();
    area.fill(&WHITE)?;
    let count = rows.len() as f64;
    let title = format!("Times as fast as GlusterFS, {} (logarithmic; dots: gates)", seat.name());
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 18))
        .margin(10)
        .x_label_area_size(30)
        .y_label_area_size(190)
        .build_cartesian_2d((0.1f64..1000.0).log_scale(), 0.0..count)?;
    let name = |y: &f64| name(rows, *y);
    chart.configure_mesh().disable_y_mesh().y_labels(rows.len() * 2 + 1).y_label_formatter(&name).draw()?;
    for (place, (kind, colour)) in COLOURS.into_iter().enumerate() {
        let bars = rows.iter().enumerate().filter_map(|(n, row)| {
            let times = row.times(kind, Kind::Gluster)?.clamp(0.1, 1000.0);
            let top = count - n as f64 - 0.12 - place as f64 * 0.25;
            Some(Rectangle::new([(1.0, top), (times, top - 0.23)], colour.filled()))
        });
        let drawn = chart.draw_series(bars)?;
        drawn
            .label(kind.name())
            .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 12, y + 5)], colour.filled()));
    }
    let gates = rows
        .iter()
        .enumerate()
        .filter_map(|(n, row)| Some(Circle::new((row.gate?, count - n as f64 - 0.24), 3, RED.filled())));
    chart.draw_series(gates)?;
    chart
        .configure_series_labels()
        .border_style(BLACK)
        .background_style(WHITE)
        .position(SeriesLabelPosition::LowerRight)
        .draw()?;
    area.present()?;
    Ok(())
}

/// Labels stand in the middle of their rows, and nowhere else.
fn name(rows: &[&Row], y: f64) -> String {
    let from_top = rows.len() as f64 - y;
    if (from_top.fract() - 0.5).abs() > 0.01 {
        return String::new();
    }
    rows.get(from_top as usize).map_or_else(String::new, |row| row.work.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::report::Cell;
    use crate::compare::work::Unit;

    #[test]
    fn every_row_has_its_name_and_its_bar() {
        let cell = |system, median| Cell {
            system,
            median,
            min: median,
            max: median,
            lag_ms: 0.0,
            p50_us: None,
            p99_us: None,
            cpu_s_per_1000: 1.0,
            cpu_s_per_gib: None,
            wire_bytes: 0,
            memory_bytes: 0,
        };
        let row = |work| Row {
            work,
            seat: Seat::Client,
            unit: Unit::Ops,
            done: "",
            cold: false,
            gate: Some(8.0),
            aim: None,
            cells: vec![cell(Kind::Rfs, 20.0), cell(Kind::Gluster, 2.0)],
        };
        let rows = [row("first-work"), row("second-work")];
        let svg = plot(Seat::Client, &rows.iter().collect::<Vec<_>>()).unwrap();
        assert!(svg.contains("first-work") && svg.contains("second-work"), "{svg}");
        let colour = "#1B7837";
        assert!(svg.matches(colour).count() >= rows.len(), "{svg}");
    }
}
