//! Joining the trace of the caller: W3C `traceparent` in, trace id into the logs.

use opentelemetry::{
    Context, global,
    propagation::Extractor,
    trace::{TraceContextExt, TraceId},
};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Makes the caller's span the parent of `span`, which has just been created and has an
/// empty field `trace_id`; fills that. Without a `carrier`, a new trace begins.
pub(crate) fn join(span: &Span, carrier: Option<&dyn Extractor>) {
    let extract =
        |carrier| global::get_text_map_propagator(|found| found.extract_with_context(&Context::new(), carrier));
    if let Some(parent) = carrier.map(extract)
        && parent.span().span_context().is_valid()
    {
        // Fails only without the OpenTelemetry layer: then there is nothing to join.
        let _ = span.set_parent(parent);
    }
    let trace_id = span.context().span().span_context().trace_id();
    if trace_id != TraceId::INVALID {
        span.record("trace_id", tracing::field::display(trace_id));
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use opentelemetry::trace::TracerProvider;
    use opentelemetry_sdk::{propagation::TraceContextPropagator, trace::SdkTracerProvider};
    use tracing::subscriber::DefaultGuard;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    /// What a caller sends, and the trace id in it.
    pub(crate) const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    pub(crate) const TRACE_ID: &str = "0af7651916cd43dd8448eb211c80319c";

    /// Traces on this thread, without an exporter.
    pub(crate) fn start_traces() -> DefaultGuard {
        global::set_text_map_propagator(TraceContextPropagator::new());
        let tracer = SdkTracerProvider::builder().build().tracer("test");
        let layer = tracing_opentelemetry::layer().with_tracer(tracer);
        tracing::subscriber::set_default(tracing_subscriber::registry().with(layer))
    }

    /// The trace that the present span belongs to.
    pub(crate) fn current_trace_id() -> String {
        Span::current().context().span().span_context().trace_id().to_string()
    }
}
