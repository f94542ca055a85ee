//! What is counted and traced of the back ends: how long each operation takes, and how often
//! it fails.

use std::time::Instant;

use tracing::{Span, debug_span, field::Empty};

use crate::StateError;

/// Runs one operation of a back end and counts it: `heliograph_state_operation_seconds` and
/// `heliograph_state_errors_total`, by back end and operation. In a trace it is a span.
pub(crate) async fn measured<T>(
    backend: &'static str,
    operation: &'static str,
    work: impl Future<Output = Result<T, StateError>>,
) -> Result<T, StateError> {
    let span = open_span(backend, operation);
    let begun = Instant::now();
    let outcome = work.await;
    note_time(backend, operation, begun);
    if outcome.is_err() {
        span.record("otel.status_code", "ERROR");
        count_failure(backend, operation);
    }
    outcome
}

/// Counts how long an operation took that is over.
pub(crate) fn note_time(backend: &'static str, operation: &'static str, begun: Instant) {
    metrics::histogram!("heliograph_state_operation_seconds", "backend" => backend, "operation" => operation)
        .record(begun.elapsed());
}

/// Counts an operation that failed: here, or after its caller had gone on.
pub(crate) fn count_failure(backend: &'static str, operation: &'static str) {
    metrics::counter!("heliograph_state_errors_total", "backend" => backend, "operation" => operation).increment(1);
}

/// Names, keys and values are not shown: they hold ids of users, and answers about tokens.
fn open_span(backend: &'static str, operation: &'static str) -> Span {
    debug_span!(
        "state",
        otel.name = format!("{backend} {operation}"),
        otel.kind = "client",
        db.system.name = backend,
        db.operation.name = operation,
        otel.status_code = Empty,
    )
}
