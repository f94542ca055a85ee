//! How spans leave this process, and what becomes of them.
//!
//! Each that ends goes into a queue that is bounded, and a thread of its own sends them. When the
//! collector is slow, or gone, the queue fills and what comes then is dropped: requests wait for
//! none of it.

use std::time::Duration;

use metrics::{Counter, counter};
use opentelemetry::Context;
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{BatchSpanProcessor, Span, SpanData, SpanExporter, SpanProcessor},
};

/// The queue before `exporter`, with counters: `heliograph_trace_spans_total` by what became of a
/// span. What has `ended` and is neither `sent` nor `failed` waits, or was dropped.
pub(crate) fn queue(exporter: impl SpanExporter + 'static) -> impl SpanProcessor {
    Counted(BatchSpanProcessor::builder(CountedExporter(exporter)).build())
}

fn spans(outcome: &'static str) -> Counter {
    counter!("heliograph_trace_spans_total", "outcome" => outcome)
}

#[derive(Debug)]
struct Counted<P>(P);

impl<P: SpanProcessor> SpanProcessor for Counted<P> {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.0.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        spans("ended").increment(1);
        self.0.on_end(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.0.set_resource(resource);
    }
}

#[derive(Debug)]
struct CountedExporter<E>(E);

impl<E: SpanExporter> SpanExporter for CountedExporter<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let count = batch.len() as u64;
        let exported = self.0.export(batch).await;
        spans(if exported.is_ok() { "sent" } else { "failed" }).increment(count);
        exported
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.0.set_resource(resource);
    }
}
