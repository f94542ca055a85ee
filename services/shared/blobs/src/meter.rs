//! What is counted of each operation of a store, and the span that it is in a trace.

use std::{
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use metrics::{Counter, Histogram};
use tracing::{Span, debug_span, field::Empty};

use crate::BlobError;

/// What a store is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    /// Create-only, small.
    Create,
    /// Small.
    Put,
    /// The whole of a small blob.
    Get,
    /// Size or type.
    Stat,
    /// Within the store.
    Copy,
    /// A URL for others.
    Presign,
    /// Until a blob is open for reading.
    Open,
    /// A part of a blob, until its last byte was taken.
    Read,
    /// A blob of unknown size, from the first byte until it is durable.
    Write,
    /// The end of that: what a client waits for once it has sent everything.
    Finish,
    /// Removal.
    Delete,
    /// Remains of killed writers.
    Clear,
    /// Keys below a prefix.
    List,
    /// Whether the store answers.
    Check,
}

/// As many as there are.
const OPERATIONS: usize = Operation::Check as usize + 1;

impl Operation {
    const fn label(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Put => "put",
            Self::Get => "get",
            Self::Stat => "stat",
            Self::Copy => "copy",
            Self::Presign => "presign",
            Self::Open => "open",
            Self::Read => "read",
            Self::Write => "write",
            Self::Finish => "finish",
            Self::Delete => "delete",
            Self::Clear => "clear",
            Self::List => "list",
            Self::Check => "check",
        }
    }
}

/// The figures of one store. Each comes into being when it is first needed.
#[derive(Debug)]
pub(crate) struct Meters {
    kind: &'static str,
    seconds: [OnceLock<Histogram>; OPERATIONS],
    bytes: [OnceLock<Counter>; OPERATIONS],
}

impl Meters {
    pub(crate) fn new(kind: &'static str) -> Self {
        Self { kind, seconds: Default::default(), bytes: Default::default() }
    }

    fn took(&self, operation: Operation, span: Duration) {
        let seconds = self.seconds[operation as usize].get_or_init(|| {
            let labels = [("store", self.kind), ("operation", operation.label())];
            metrics::histogram!("heliograph_store_operation_seconds", &labels)
        });
        seconds.record(span);
    }

    fn carried(&self, operation: Operation, bytes: u64) {
        let counter = self.bytes[operation as usize].get_or_init(|| {
            let labels = [("store", self.kind), ("operation", operation.label())];
            metrics::counter!("heliograph_store_bytes_total", &labels)
        });
        counter.increment(bytes);
    }

    /// Rare, so it is looked up each time.
    fn failed(&self, operation: Operation, error_type: &'static str) {
        let labels = [("store", self.kind), ("operation", operation.label()), ("error", error_type)];
        metrics::counter!("heliograph_store_errors_total", &labels).increment(1);
    }

    /// Keys are not shown: the span of the request says which medium it is about.
    fn open_span(&self, operation: Operation) -> Span {
        debug_span!(
            "store",
            otel.name = format!("store {}", operation.label()),
            otel.kind = "client",
            store.kind = self.kind,
            store.operation = operation.label(),
            store.bytes = Empty,
            "error.type" = Empty,
            otel.status_code = Empty,
        )
    }
}

/// An operation in progress. Counted when it is dropped, in whatever way it ends.
#[derive(Debug)]
pub(crate) struct Running {
    meters: Arc<Meters>,
    operation: Operation,
    span: Span,
    begun: Instant,
    bytes: u64,
    is_counted: bool,
}

impl Running {
    pub(crate) fn begin(meters: Arc<Meters>, operation: Operation) -> Self {
        let span = meters.open_span(operation);
        Self { meters, operation, span, begun: Instant::now(), bytes: 0, is_counted: true }
    }

    /// So many more have passed.
    pub(crate) const fn add_bytes(&mut self, bytes: u64) {
        self.bytes += bytes;
    }

    /// A part of it is over, which is counted by itself.
    pub(crate) fn note(&self, part: Operation) {
        self.note_since(part, self.begun);
    }

    /// The same for a part that began later.
    pub(crate) fn note_since(&self, part: Operation, begun: Instant) {
        self.meters.took(part, begun.elapsed());
    }

    /// It is over. What is not there, or there already, is an answer and no failure.
    pub(crate) fn end(self, error: Option<&BlobError>) {
        let Some(error_type) = error.and_then(failure_label) else { return };
        self.meters.failed(self.operation, error_type);
        self.span.record("error.type", error_type);
        self.span.record("otel.status_code", "ERROR");
    }

    /// There was nothing to do.
    pub(crate) fn forget(mut self) {
        self.is_counted = false;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.is_counted {
            return;
        }
        self.meters.took(self.operation, self.begun.elapsed());
        if self.bytes > 0 {
            self.meters.carried(self.operation, self.bytes);
            self.span.record("store.bytes", self.bytes);
        }
    }
}

const fn failure_label(error: &BlobError) -> Option<&'static str> {
    match error {
        BlobError::NotFound { .. } | BlobError::AlreadyExists { .. } => None,
        BlobError::Full => Some("full"),
        BlobError::Denied { .. } => Some("denied"),
        BlobError::Failed { .. } => Some("failed"),
    }
}
