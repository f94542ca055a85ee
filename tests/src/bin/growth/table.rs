//! What was measured, beside what it was with the fewest records.

/// A row per figure, a column per number of records.
#[derive(Default)]
pub(crate) struct Table {
    counts: Vec<u64>,
    rows: Vec<(&'static str, Vec<f64>)>,
}

impl Table {
    /// Begins the next column.
    pub(crate) fn begin(&mut self, count: u64) {
        self.counts.push(count);
    }

    /// A figure of this column.
    pub(crate) fn note(&mut self, name: &'static str, value: f64) {
        println!("  {name}: {value:.3}");
        match self.rows.iter_mut().find(|(known, _)| *known == name) {
            Some((_, values)) => values.push(value),
            None => self.rows.push((name, vec![value])),
        }
    }

    pub(crate) fn print(&self) {
        let counts = cells(&self.counts, ToString::to_string);
        println!("\n{:<62}{counts}   last : first", "records");
        for (name, values) in &self.rows {
            let cells = cells(values, |value| format!("{value:.3}"));
            let ratio = values.last().zip(values.first()).map_or(f64::NAN, |(last, first)| last / first);
            println!("{name:<62}{cells}   {ratio:>12.2}");
        }
    }
}

fn cells<T>(values: &[T], text: impl Fn(&T) -> String) -> String {
    values.iter().fold(String::new(), |row, value| format!("{row}{:>12}", text(value)))
}
