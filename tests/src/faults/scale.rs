//! How long and how much.

use std::time::Duration;

/// The size of a run.
#[derive(Debug, Clone)]
pub struct Scale {
    /// Whether rows are left out that are like others.
    pub(super) is_short: bool,
    /// How long a fault lasts.
    pub(super) fault: Duration,
    /// For so long nothing may fail before a fault counts as over.
    pub(super) calm: Duration,
    /// How long one who owns an upload is out of the world; with zero its lease is taken away instead.
    pub(super) absence: Duration,
    /// Between leaving the balancer and the signal to end, as `preStop` of the chart.
    pub(super) goodbye: Duration,
    /// Uploads that must have been acknowledged over the run.
    pub(super) uploads: u64,
    /// Downloads that must have succeeded over the run.
    pub(super) downloads: u64,
    /// Uploads that are begun in a second, over all clients.
    pub(super) uploads_per_second: f64,
    /// Downloads that are begun in a second, over all clients.
    pub(super) downloads_per_second: f64,
    /// The largest file, which is rare.
    pub(super) largest: usize,
    /// Media of earlier rows that are looked at again after each.
    pub(super) looked_at_again: usize,
}

impl Scale {
    /// As the promise is stated: faults of 20 s, 5,000 uploads, 50,000 downloads.
    pub fn full() -> Self {
        Self {
            is_short: false,
            fault: Duration::from_secs(20),
            calm: Duration::from_secs(3),
            absence: Duration::from_secs(35),
            goodbye: Duration::from_secs(3),
            uploads: 5_000,
            downloads: 50_000,
            uploads_per_second: 12.0,
            downloads_per_second: 120.0,
            largest: 40 << 20,
            looked_at_again: 200,
        }
    }

    /// The same checks in a minute or so.
    pub fn short() -> Self {
        Self {
            is_short: true,
            fault: Duration::from_secs(2),
            calm: Duration::from_millis(500),
            absence: Duration::ZERO,
            goodbye: Duration::from_millis(500),
            uploads: 0,
            downloads: 0,
            uploads_per_second: 12.0,
            downloads_per_second: 60.0,
            largest: 8 << 20,
            looked_at_again: 20,
        }
    }
}
