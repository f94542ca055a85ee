//! Requests that nobody would send: the corpus, and what chance makes of it.

use std::time::Duration;

const SEED: u64 = 3916;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_breaks_a_rule() {
    let report = heliograph_tests::fuzz(SEED, Duration::from_secs(8)).await;

    assert!(report.findings().is_empty(), "{report}");
}
