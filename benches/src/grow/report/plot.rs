//! The same, to look at: panels below each other, of one width.

use std::ops::Range;

use anyhow::anyhow;
use plotters::coord::Shift;
use plotters::prelude::*;

use super::{Grown, Point};

const WIDTH: u32 = 1000;
const HEIGHT: u32 = 280;
/// Of WIDTH.
const LEGEND: u32 = 200;
const COLOURS: [RGBColor; 6] = [
    RGBColor(27, 120, 55),
    RGBColor(118, 42, 131),
    RGBColor(33, 102, 172),
    RGBColor(178, 24, 43),
    RGBColor(150, 150, 150),
    RGBColor(191, 129, 45),
];

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Failed = Box<dyn std::error::Error>;

/// Lines over the same values.
#[derive(Clone, Debug)]
pub struct Panel {
    pub title: &'static str,
    /// The key along the bottom, and what it is.
    pub x: (&'static str, &'static str),
    /// Whether equal steps are equal factors.
    pub log_x: bool,
    pub log_y: bool,
    pub lines: Vec<Line>,
}

/// The values of a key, and what they are.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    pub key: &'static str,
    pub label: &'static str,
}

impl Line {
    pub const fn new(key: &'static str, label: &'static str) -> Line {
        Line { key, label }
    }
}

impl Grown {
    pub fn plot(&self) -> anyhow::Result<String> {
        let mut svg = String::new();
        self.draw(&mut svg).map_err(|e| anyhow!("the plot of {}: {e}", self.axis))?;
        Ok(svg)
    }

    fn draw(&self, svg: &mut String) -> Result<(), Failed> {
        let height = HEIGHT * self.panels.len() as u32;
        let area = SVGBackend::with_string(svg, (WIDTH, height)).into_drawing_area();
        area.fill(&WHITE)?;
        for (panel, area) in self.panels.iter().zip(area.split_evenly((self.panels.len(), 1))) {
            let (chart, legend) = area.split_horizontally(WIDTH - LEGEND);
            panel.draw(&chart, &self.points)?;
            panel.legend(&legend)?;
        }
        area.present()?;
        Ok(())
    }
}

impl Panel {
    fn draw(&self, area: &Area<'_>, points: &[Point]) -> Result<(), Failed> {
        let lines: Vec<Vec<(f64, f64)>> = self.lines.iter().map(|line| self.places(points, line)).collect();
        let all = || lines.iter().flatten();
        let xs = range(all().map(|(x, _)| *x), self.log_x);
        let ys = range(all().map(|(_, y)| *y), self.log_y);
        let mut chart = ChartBuilder::on(area)
            .caption(self.title, ("sans-serif", 16))
            .margin(10)
            .x_label_area_size(36)
            .y_label_area_size(70)
            .build_cartesian_2d(xs, ys)?;
        let (x_label, y_label) = (|x: &f64| label(*x, self.log_x), |y: &f64| label(*y, self.log_y));
        let mut mesh = chart.configure_mesh();
        mesh.x_desc(self.x.1).x_label_formatter(&x_label).y_label_formatter(&y_label);
        mesh.light_line_style(TRANSPARENT).draw()?;
        for (places, colour) in lines.into_iter().zip(COLOURS.into_iter().cycle()) {
            // Where it goes back, a second pass begins: that is another line.
            for pass in places.chunk_by(|before, after| before.0 <= after.0) {
                chart.draw_series(LineSeries::new(pass.iter().copied(), colour.stroke_width(2)))?;
            }
            chart.draw_series(places.into_iter().map(|at| Circle::new(at, 2, colour.filled())))?;
        }
        Ok(())
    }

    /// Beside the chart: within it something would be below it.
    fn legend(&self, area: &Area<'_>) -> Result<(), Failed> {
        for (n, (line, colour)) in self.lines.iter().zip(COLOURS.into_iter().cycle()).enumerate() {
            let y = 50 + 20 * n as i32;
            area.draw(&PathElement::new([(0, y), (16, y)], colour.stroke_width(2)))?;
            area.draw(&Text::new(line.label, (22, y - 7), ("sans-serif", 13)))?;
        }
        Ok(())
    }

    /// What has no logarithm has no place.
    fn places(&self, points: &[Point], line: &Line) -> Vec<(f64, f64)> {
        let place = |point: &Point| {
            let (x, y) = (point.get(self.x.0)?, point.get(line.key)?);
            Some((scaled(x, self.log_x)?, scaled(y, self.log_y)?))
        };
        points.iter().filter_map(place).collect()
    }
}

/// A logarithm is drawn as itself, with labels that undo it: so there is one kind of chart only.
fn scaled(value: f64, log: bool) -> Option<f64> {
    if log { (value > 0.0).then(|| value.log10()) } else { Some(value) }
}

/// Where an axis begins and ends: at nothing, or about the values if it is logarithmic.
fn range(values: impl Iterator<Item = f64> + Clone, log: bool) -> Range<f64> {
    let (least, most) = (values.clone().fold(f64::MAX, f64::min), values.fold(f64::MIN, f64::max));
    match log {
        _ if least > most => 0.0..1.0,
        true => least - 0.15..most + 0.15,
        false => 0.0..if most > 0.0 { most * 1.1 } else { 1.0 },
    }
}

/// Short: with the letter of its thousands.
fn label(place: f64, log: bool) -> String {
    let value = if log { 10f64.powf(place) } else { place };
    let (value, letter) = match value.abs() {
        v if v >= 1e6 => (value / 1e6, "M"),
        v if v >= 1e3 => (value / 1e3, "k"),
        _ => (value, ""),
    };
    let digits = if value.abs() >= 100.0 || value == 0.0 { 0 } else { 1 };
    let text = format!("{value:.digits$}");
    let short = if digits > 0 { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{short}{letter}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_short() {
        let table = [
            (0.0, "0"),
            (0.5, "0.5"),
            (20.0, "20"),
            (999.0, "999"),
            (12_500.0, "12.5k"),
            (200_000.0, "200k"),
            (1e6, "1M"),
        ];
        for (value, want) in table {
            assert_eq!(label(value, false), want);
        }
        assert_eq!(label(3.0, true), "1k");
    }

    #[test]
    fn every_line_is_in_its_panel() {
        let points = [(4.0, 1.0), (16.0, 0.0), (64.0, 9.0)];
        let panel = |title, log_y| Panel {
            title,
            x: ("n", "files"),
            log_x: true,
            log_y,
            lines: vec![Line::new("ms", "time"), Line::new("none", "nothing")],
        };
        let grown = Grown {
            axis: "names",
            what: String::new(),
            points: points.map(|(n, ms)| Point::default().with("n", n).with("ms", ms)).into(),
            gates: Vec::new(),
            notes: Vec::new(),
            columns: Vec::new(),
            panels: vec![panel("linear", false), panel("logarithmic", true)],
        };
        let svg = grown.plot().unwrap();
        for word in ["linear", "logarithmic", "files", "time"] {
            assert!(svg.contains(word), "{word}: {svg}");
        }
        assert!(svg.matches("<circle").count() >= 3 + 2, "what is nothing has no logarithm: {svg}");
    }
}
