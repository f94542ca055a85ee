//! How it went, minute by minute of the simulated time.

use std::time::Duration;

use heliograph_leases::QueueStanding;
use tokio::time::Instant;

use super::{Fleet, Journal};

const ROW_EVERY: Duration = Duration::from_secs(15);
/// What waits is worked through this soon once nearly all workers are there.
const CAUGHT_UP_WITHIN: Duration = Duration::from_mins(1);
/// Less than this is no lag: what has come since the last look.
const NO_LAG: u64 = 20;

pub(crate) struct Report {
    began: Instant,
    rows: Vec<String>,
    next_row: Instant,
    most_lag: u64,
    /// When nearly all were there.
    all_there: Option<Instant>,
    caught_up: Option<Instant>,
}

impl Report {
    pub(crate) fn begin() -> Self {
        let now = Instant::now();
        Self { began: now, rows: Vec::new(), next_row: now, most_lag: 0, all_there: None, caught_up: None }
    }

    pub(crate) fn passed(&self) -> Duration {
        self.began.elapsed()
    }

    pub(crate) fn note(&mut self, standing: &QueueStanding, fleet: &Fleet, journal: &Journal) {
        let now = Instant::now();
        self.most_lag = self.most_lag.max(standing.lag);
        if fleet.is_at_full_strength() && self.all_there.is_none() {
            self.all_there = Some(now);
        }
        if self.all_there.is_some() && self.caught_up.is_none() && standing.lag < NO_LAG {
            self.caught_up = Some(now);
        }
        if now >= self.next_row {
            self.next_row = now + ROW_EVERY;
            let QueueStanding { lag, pending, oldest, aside, .. } = standing;
            let (done, again) = journal.jobs();
            self.rows.push(format!(
                "{:>6} {:>8} {:>8} {done:>8} {again:>6} {lag:>6} {pending:>8} {:>8.1} {aside:>6}",
                self.passed().as_secs(),
                fleet.len(),
                journal.count(),
                oldest.as_secs_f64(),
            ));
        }
    }

    pub(crate) fn print(&self, fleet: &Fleet, journal: &Journal) {
        println!("second  workers      new     done  again    lag  in work   oldest  aside");
        self.rows.iter().for_each(|row| println!("{row}"));
        let (done, again) = journal.jobs();
        println!(
            "{done} jobs done, {again} of them again; at most {} waited; nearly all workers were there after {:.1?}, and nothing \
             waited any more {:.1?} later",
            self.most_lag,
            self.all_there.map(|at| at - self.began).unwrap_or_default(),
            self.catching_up().unwrap_or_default(),
        );
        println!("{}", fleet.lines());
    }

    fn catching_up(&self) -> Option<Duration> {
        Some(self.caught_up? - self.all_there?)
    }

    pub(crate) fn check(&self) {
        assert!(self.most_lag > 1000, "it was a burst");
        let Some(took) = self.catching_up() else { panic!("what waited was worked through") };
        assert!(took < CAUGHT_UP_WITHIN, "{took:?}");
    }
}
