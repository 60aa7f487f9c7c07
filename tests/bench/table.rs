//! The figures, as a Markdown table.

use std::fmt;

/// One figure beside what it is measured against.
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) measured: String,
    pub(crate) against: String,
    pub(crate) ratio: String,
    pub(crate) budget: &'static str,
}

/// All figures.
#[derive(Default)]
pub(crate) struct Table(Vec<Row>);

impl Table {
    pub(crate) fn add(&mut self, row: Row) {
        eprintln!("{row}");
        self.0.push(row);
    }
}

impl fmt::Display for Row {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Row { what, measured, against, ratio, budget } = self;
        write!(out, "| {what} | {measured} | {against} | {ratio} | {budget} |")
    }
}

impl fmt::Display for Table {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "| what | measured | limit or peer, same run | ratio | budget |")?;
        writeln!(out, "|---|---|---|---|---|")?;
        for row in &self.0 {
            writeln!(out, "{row}")?;
        }
        Ok(())
    }
}

/// Median and the 99th percentile of times, as text in seconds.
pub(crate) fn percentiles(mut samples: Vec<f64>) -> String {
    samples.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let place = (share * samples.len() as f64).ceil() as usize;
        samples.get(place.saturating_sub(1)).copied().unwrap_or_default()
    };
    format!("p50 {:.2} s, p99 {:.2} s", at(0.5), at(0.99))
}
