//! What is counted of the back ends: how long each operation takes, and how often it fails.

use std::time::Instant;

use crate::StateError;

/// Runs one operation of a back end and counts it: `heliograph_state_operation_seconds` and
/// `heliograph_state_errors_total`, by back end and operation.
pub(crate) async fn measured<T>(
    backend: &'static str,
    operation: &'static str,
    work: impl Future<Output = Result<T, StateError>>,
) -> Result<T, StateError> {
    let begun = Instant::now();
    let outcome = work.await;
    metrics::histogram!("heliograph_state_operation_seconds", "backend" => backend, "operation" => operation)
        .record(begun.elapsed());
    if outcome.is_err() {
        metrics::counter!("heliograph_state_errors_total", "backend" => backend, "operation" => operation).increment(1);
    }
    outcome
}
