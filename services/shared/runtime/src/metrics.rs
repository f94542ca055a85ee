//! What `/metrics` shows: everything that the process counts, and the process itself.

use std::{fs, time::Duration};

use heliograph_types::{Clock, SystemClock};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tokio_util::sync::CancellationToken;

/// Seconds: from a hit in memory to the upload of a film.
const SECONDS: [f64; 15] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0];

/// Bytes: from an emoji to the largest upload.
const BYTES: [f64; 8] = [1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10];

/// How often histograms are folded: what they collect between scrapes stays bounded.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Metrics cannot be collected.
#[derive(Debug, thiserror::Error)]
#[error("cannot collect metrics: {0}")]
pub struct MetricsError(#[from] BuildError);

/// The metrics of this process.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    /// Collects what the process counts from now on. Once per process.
    pub fn install(role: &str, version: &str) -> Result<Self, MetricsError> {
        let handle = builder()?.install_recorder()?;
        metrics::gauge!("heliograph_build_info", "role" => role.to_owned(), "version" => version.to_owned()).set(1.0);
        metrics::gauge!("process_start_time_seconds")
            .set(Duration::from_millis(SystemClock.now().as_millis()).as_secs_f64());
        Ok(Self(handle))
    }

    /// Metrics that nothing is counted into: for several nodes in one process, in tests.
    pub fn detached() -> Self {
        Self(PrometheusBuilder::new().build_recorder().handle())
    }

    /// The present values, as Prometheus reads them.
    pub fn text(&self) -> String {
        measure_process();
        self.0.render()
    }

    /// Folds what the histograms have collected, again and again. A background task.
    pub async fn keep_up(self, idle: CancellationToken) {
        while idle.run_until_cancelled(tokio::time::sleep(UPKEEP_INTERVAL)).await.is_some() {
            self.0.run_upkeep();
        }
    }
}

fn builder() -> Result<PrometheusBuilder, BuildError> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("_bytes".to_owned()), &BYTES)
}

/// On systems without `/proc` these two are absent.
fn measure_process() {
    if let Some(kilobytes) = fs::read_to_string("/proc/self/status").ok().as_deref().and_then(resident_kilobytes) {
        metrics::gauge!("process_resident_memory_bytes").set(f64::from(kilobytes) * 1024.0);
    }
    if let Some(count) = fs::read_dir("/proc/self/fd").ok().and_then(|files| u32::try_from(files.count()).ok()) {
        metrics::gauge!("process_open_fds").set(f64::from(count));
    }
}

fn resident_kilobytes(status: &str) -> Option<u32> {
    status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_read_in_kilobytes() {
        let status = "Name:\theliograph\nVmHWM:\t  9000 kB\nVmRSS:\t  8124 kB\nThreads:\t9\n";

        assert_eq!(resident_kilobytes(status), Some(8124));
        assert_eq!(resident_kilobytes("Name:\tx\n"), None);
    }
}
