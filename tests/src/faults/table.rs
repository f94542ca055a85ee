//! What came of it.

use std::{fmt, time::Duration};

use super::tally::{Counts, Kind, Snapshot};

/// One row.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) name: &'static str,
    /// From the beginning of the fault until everything was right again.
    pub(super) whole: Snapshot,
    /// While the fault lasted.
    pub(super) during: Snapshot,
    /// `None` if requests went on to fail.
    pub(super) recovery: Option<Duration>,
    pub(super) wrong: usize,
    pub(super) lost: usize,
    /// What failed that must not fail in this row.
    pub(super) broken_promises: Vec<String>,
    /// What was said in place of yes.
    pub(super) answers: String,
}

impl Outcome {
    fn is_clean(&self) -> bool {
        self.wrong == 0 && self.lost == 0 && self.broken_promises.is_empty() && self.recovery.is_some()
    }
}

/// Of the promises that a row has broken.
const MOST_SHOWN: usize = 10;

/// All rows so far.
#[derive(Debug, Default)]
pub(super) struct Table {
    rows: Vec<Outcome>,
    total: Snapshot,
    /// What is wrong with the run as a whole.
    problems: Vec<String>,
}

impl Table {
    pub(super) fn add(&mut self, row: Outcome) {
        println!("{row}");
        if !row.answers.is_empty() {
            println!("    {}", row.answers);
        }
        for promise in row.broken_promises.iter().take(MOST_SHOWN) {
            println!("    BROKEN {promise}");
        }
        self.rows.push(row);
    }

    /// What the clients of the rows so far have done, also between them.
    pub(super) fn total(&self) -> Snapshot {
        self.total
    }

    pub(super) fn add_to_total(&mut self, done: Snapshot) {
        self.total = self.total + done;
    }

    pub(super) fn problem(&mut self, problem: String) {
        println!("    PROBLEM {problem}");
        self.problems.push(problem);
    }

    /// Whether every promise was kept.
    pub(super) fn is_clean(&self) -> bool {
        self.problems.is_empty() && self.rows.iter().all(Outcome::is_clean)
    }
}

const HEAD: &str = "                                          uploads                  downloads                     in the fault  back
fault                                        done  refused  no answer     done  refused  no answer  wrong  lost  failed  after";

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEAD}")?;
        for row in &self.rows {
            writeln!(f, "{row}")?;
        }
        for problem in &self.problems {
            writeln!(f, "{problem}")?;
        }
        let done = |kind| self.total.of(kind).done;
        writeln!(f, "{} uploads, {} downloads of media that are stored", done(Kind::Upload), done(Kind::Download))?;
        let verdict = if self.is_clean() { "every promise was kept" } else { "PROMISES WERE BROKEN" };
        write!(f, "{verdict}")
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let uploads = self.whole.of(Kind::Upload).plus(self.whole.of(Kind::Create));
        let downloads = [Kind::Download, Kind::Thumbnail, Kind::Remote].map(|kind| self.whole.of(kind));
        let downloads = downloads.into_iter().fold(Counts::default(), Counts::plus);
        let during = self.during.all();
        let (failed, all) = (during.failed(), during.failed() + during.done);
        #[expect(clippy::cast_precision_loss, reason = "for people")]
        let rate = if all == 0 { 0.0 } else { failed as f64 * 100.0 / all as f64 };
        let recovery = self.recovery.map_or("never".to_owned(), |span| format!("{:.1} s", span.as_secs_f64()));
        write!(
            f,
            "{:<42} {:>7} {:>8} {:>10} {:>8} {:>8} {:>10} {:>6} {:>5} {:>6.2}% {:>6}{}",
            self.name,
            uploads.done,
            uploads.refused,
            uploads.broken,
            downloads.done,
            downloads.refused,
            downloads.broken,
            self.wrong,
            self.lost,
            rate,
            recovery,
            if self.is_clean() { "" } else { "  BROKEN" }
        )
    }
}
