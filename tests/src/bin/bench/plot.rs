//! The figures as a picture (SVG): for each scenario a bar per peer, on a logarithmic scale.

use std::{fmt::Write, fs, path::Path};

use crate::table::Row;

const WIDTH: f64 = 860.0;
const LEFT: f64 = 190.0;
const RIGHT: f64 = 110.0;
const BAR: f64 = 18.0;
const LINE: f64 = 24.0;
const TITLE: f64 = 40.0;
const OURS: &str = "#c2410c";
const OTHERS: &str = "#94a3b8";

/// What was measured of one scenario.
pub(crate) struct Scenario {
    pub(crate) title: String,
    pub(crate) unit: String,
    pub(crate) rows: Vec<Row>,
}

/// Writes all of them into one file.
pub(crate) fn write(file: &Path, scenarios: &[Scenario]) {
    let height: f64 = scenarios.iter().map(height_of).sum::<f64>() + 20.0;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    let mut top = 0.0;
    for scenario in scenarios {
        draw(&mut text, scenario, top);
        top += height_of(scenario);
    }
    text.push_str("</svg>\n");
    fs::write(file, text).unwrap();
}

fn height_of(scenario: &Scenario) -> f64 {
    TITLE + LINE * scenario.rows.len() as f64
}

fn draw(text: &mut String, Scenario { title, unit, rows }: &Scenario, top: f64) {
    let _ = writeln!(
        text,
        "<text x=\"10\" y=\"{:.0}\" font-weight=\"bold\">{title}: processor time, {unit}</text>",
        top + 28.0
    );
    let least = rows.iter().map(|row| row.cpu).fold(f64::INFINITY, f64::min);
    let most = rows.iter().map(|row| row.cpu).fold(0.0, f64::max);
    // The smallest bar is seen as well.
    let decades = (most / least).log10() + 0.5;
    for (at, Row { peer, cpu, .. }) in rows.iter().enumerate() {
        let y = top + TITLE + LINE * at as f64;
        let length = (WIDTH - LEFT - RIGHT) * ((cpu / least).log10() + 0.5) / decades;
        let color = if at == 0 { OURS } else { OTHERS };
        let (middle, name, value) = (y + 14.0, LEFT - 8.0, LEFT + length + 6.0);
        let _ = writeln!(
            text,
            "<text x=\"{name:.0}\" y=\"{middle:.0}\" text-anchor=\"end\">{peer}</text>\
             <rect x=\"{LEFT:.0}\" y=\"{y:.0}\" width=\"{length:.1}\" height=\"{BAR:.0}\" fill=\"{color}\"/>\
             <text x=\"{value:.0}\" y=\"{middle:.0}\">{}</text>",
            figure(*cpu)
        );
    }
}

/// Three digits that say something.
fn figure(value: f64) -> String {
    let digits = (2.0 - value.abs().log10().floor()).clamp(0.0, 5.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 5")]
    let digits = digits as usize;
    format!("{value:.digits$}")
}
