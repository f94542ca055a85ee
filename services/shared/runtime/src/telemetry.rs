//! Logs and traces of this process.
//!
//! Every span has a trace id, with or without a collector: logs of several services can
//! always be joined.

use std::{
    io::{self, IsTerminal},
    time::Duration,
};

use heliograph_settings::{Setting, toml::Value};
use opentelemetry::{
    Context, KeyValue, global,
    trace::{TraceContextExt, TracerProvider},
};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig};
use opentelemetry_sdk::{
    Resource,
    propagation::TraceContextPropagator,
    trace::{Sampler, SdkTracerProvider},
};
use tracing::{Level, Metadata, Subscriber, subscriber::Interest};
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::{FilterExt, dynamic_filter_fn, filter_fn},
    layer::{Filter, SubscriberExt},
    registry::LookupSpan,
    util::{SubscriberInitExt, TryInitError},
};

use crate::{span_export, span_fields::SpanFields};

heliograph_settings::choice! {
    /// How logs look.
    pub enum LogFormat {
        /// For people.
        Human = "human",
        /// For machines: one JSON object per line.
        Json = "json",
    }
}

heliograph_settings::settings! {
    /// Logs and traces.
    pub struct TelemetryConfig {
        /// How log lines look. Without it, for people on a terminal and JSON elsewhere.
        pub log_format: Option<LogFormat> = None,
        /// What is logged: a level (`error`, `warn`, `info`, `debug`, `trace`), or several
        /// with the crate that they are for, such as `info,heliograph_api=debug`. Requests of
        /// strangers that are no HTTP are not logged, unless `actix_http` is named here.
        pub log_filter: LogFilter = LogFilter::default(),
        /// Where an OpenTelemetry collector takes traces by gRPC, such as
        /// `http://collector:4317`. Without it, traces are only seen as ids in the logs.
        pub otlp_endpoint: Option<url::Url> = None,
        /// Which part of the traces that begin here goes to the collector, from 0 to 1.
        /// Traces that begin elsewhere follow the decision made there: in our other processes,
        /// or in a reverse proxy on this machine or in a private network (`traceparent`). Such
        /// a proxy must not pass on that header from strangers.
        pub sample_ratio: SampleRatio = SampleRatio(1.0),
    }
}

/// The crate that reads requests before any of our code.
const HTTP_LAYER: &str = "actix_http";

/// What is logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFilter(String);

impl Default for LogFilter {
    fn default() -> Self {
        // Of its threads actix tells more than an operator wants to know.
        Self("info,actix_server=warn".to_owned())
    }
}

impl Setting for LogFilter {
    fn read(value: &Value) -> Result<Self, String> {
        let expected = || format!("must be {}, not {value}", Self::kind());
        let text = value.as_str().ok_or_else(expected)?;
        EnvFilter::try_new(text).map_err(|_| expected())?;
        Ok(Self(text.to_owned()))
    }

    fn show(&self) -> Option<Value> {
        Some(Value::String(self.0.clone()))
    }

    fn kind() -> String {
        "a log filter such as \"info\" or \"info,heliograph_api=debug\"".to_owned()
    }
}

/// A part of a whole: from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SampleRatio(f64);

impl Setting for SampleRatio {
    fn read(value: &Value) -> Result<Self, String> {
        let number = match value {
            Value::Float(number) => Some(*number),
            Value::Integer(0) => Some(0.0),
            Value::Integer(1) => Some(1.0),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        let fits = number.filter(|number| (0.0..=1.0).contains(number));
        fits.map(Self).ok_or_else(|| format!("must be {}, not {value}", Self::kind()))
    }

    fn show(&self) -> Option<Value> {
        Some(Value::Float(self.0))
    }

    fn kind() -> String {
        "a number from 0 to 1".to_owned()
    }
}

/// Logs or traces could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TelemetryError {
    /// The exporter refuses its settings.
    #[error("cannot send traces to telemetry.otlp_endpoint: {0}")]
    Exporter(#[from] ExporterBuildError),
    /// Somebody else in this process takes the logs.
    #[error("cannot start logging: {0}")]
    Logging(#[from] TryInitError),
}

/// Running telemetry. `flush` it at the end.
#[derive(Debug)]
pub struct Telemetry {
    provider: SdkTracerProvider,
}

impl Telemetry {
    /// Starts logs and traces of the whole process; inside a runtime, once.
    pub fn start(config: &TelemetryConfig, service_name: &'static str) -> Result<Self, TelemetryError> {
        global::set_text_map_propagator(TraceContextPropagator::new());
        let provider = build_provider(config, service_name)?;
        let traces = tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("heliograph"))
            .with_location(false)
            .with_threads(false)
            // How long each was at work, and how long it waited: measured at each poll.
            .with_tracked_inactivity(false)
            // Whoever passes a trace on asks the span for it; the rest asks whether it is sampled.
            .with_context_activation(config.otlp_endpoint.is_some())
            .with_filter(traced(config.otlp_endpoint.is_some()));
        tracing_subscriber::registry().with(build_logs(config)).with(traces).try_init()?;
        Ok(Self { provider })
    }

    /// Sends what has not been sent yet, and ends.
    pub async fn flush(self) {
        const MOST: Duration = Duration::from_secs(3);
        let flushed = tokio::task::spawn_blocking(move || self.provider.shutdown_with_timeout(MOST)).await;
        if let Ok(Err(error)) = flushed {
            tracing::warn!(%error, "the last traces were not sent");
        }
    }
}

fn build_provider(config: &TelemetryConfig, service_name: &'static str) -> Result<SdkTracerProvider, TelemetryError> {
    // Without a collector a trace is nothing but its id, unless its caller wants more of it.
    let ratio = if config.otlp_endpoint.is_some() { config.sample_ratio.0 } else { 0.0 };
    let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(ratio)));
    let builder = SdkTracerProvider::builder().with_sampler(sampler).with_resource(resource(service_name));
    let Some(endpoint) = &config.otlp_endpoint else { return Ok(builder.build()) };
    let exporter = SpanExporter::builder().with_tonic().with_endpoint(endpoint.as_str()).build()?;
    Ok(builder.with_span_processor(span_export::queue(exporter)).build())
}

/// Who we are, among all that send traces to the same collector.
fn resource(service_name: &'static str) -> Resource {
    let instance = format!("{:032x}", rand::random::<u128>());
    let attributes = [
        KeyValue::new("service.namespace", "heliograph"),
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("service.instance.id", instance),
    ];
    Resource::builder().with_service_name(service_name).with_attributes(attributes).build()
}

/// Our spans are always there, so that each line shows the trace id of its request, however
/// little is logged.
fn build_logs<S>(config: &TelemetryConfig) -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let filter = build_filter(&config.log_filter);
    let default = if io::stderr().is_terminal() { LogFormat::Human } else { LogFormat::Json };
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    match config.log_format.unwrap_or(default) {
        LogFormat::Human => lines.with_ansi(io::stderr().is_terminal()).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).fmt_fields(SpanFields).boxed(),
    }
    .with_filter(filter)
}

fn build_filter<S>(LogFilter(text): &LogFilter) -> impl Filter<S> + use<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    // To it a malformed request is an error: strangers could fill the log.
    let hears_http = text.contains(HTTP_LAYER);
    EnvFilter::new(text)
        .and(filter_fn(move |metadata| hears_http || !metadata.target().starts_with(HTTP_LAYER)))
        .or(filter_fn(|metadata| metadata.is_span() && is_ours(metadata)))
}

/// What becomes part of a trace: requests always, so that each has an id; the details of them
/// (spans below `INFO`: of the store, of Redis, of calls to others) only where somebody sees
/// them. Of what is not exported they cost nothing, of what is not sampled a look.
fn traced<S>(is_exported: bool) -> impl Filter<S> + use<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let is_detail =
        |metadata: &Metadata<'_>| metadata.is_span() && is_of_us(metadata) && *metadata.level() == Level::DEBUG;
    dynamic_filter_fn(move |metadata, _| is_ours(metadata) || (is_exported && is_detail(metadata) && is_sampled()))
        .with_callsite_filter(move |metadata| match (is_ours(metadata), is_exported && is_detail(metadata)) {
            (true, _) => Interest::always(),
            (false, true) => Interest::sometimes(),
            (false, false) => Interest::never(),
        })
}

/// Whether we are within a trace, and it is exported. Details that belong to nothing, such as
/// what a sweep asks the store for, would each be a trace of its own.
fn is_sampled() -> bool {
    Context::map_current(|context| context.has_active_span() && context.span().span_context().is_sampled())
}

/// What libraries tell of themselves is no part of our traces.
fn is_ours(metadata: &Metadata<'_>) -> bool {
    is_of_us(metadata) && *metadata.level() <= Level::INFO
}

fn is_of_us(metadata: &Metadata<'_>) -> bool {
    metadata.target().starts_with("heliograph")
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use tracing::Event;
    use tracing_subscriber::layer::Context;

    use super::*;

    /// Counts what gets through a filter.
    #[derive(Clone, Default)]
    struct Lines(Arc<AtomicUsize>);

    impl<S: Subscriber> Layer<S> for Lines {
        fn on_event(&self, _: &Event<'_>, _: Context<'_, S>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn count_lines(filter: &LogFilter, tell: fn()) -> usize {
        let lines = Lines::default();
        let logs = tracing_subscriber::registry().with(lines.clone().with_filter(build_filter(filter)));
        tracing::subscriber::with_default(logs, tell);
        lines.0.load(Ordering::Relaxed)
    }

    #[test]
    fn strangers_fill_the_log_only_if_the_operator_wants_it() {
        let malformed = || tracing::error!(target: "actix_http::h1::dispatcher", "stream error: malformed");
        let ours = || tracing::error!(target: "heliograph_api", "the store failed");
        let filter = |text: &str| LogFilter(text.to_owned());

        for quiet in [LogFilter::default(), filter("debug"), filter("trace,heliograph_api=info")] {
            assert_eq!(count_lines(&quiet, malformed), 0, "{quiet:?}");
            assert_eq!(count_lines(&quiet, ours), 1, "{quiet:?}");
        }
        assert_eq!(count_lines(&filter("info,actix_http=error"), malformed), 1);
    }

    #[test]
    fn filters_and_ratios_are_checked_when_they_are_read() {
        assert!(LogFilter::read(&Value::String("info,heliograph_api=debug".to_owned())).is_ok());
        assert!(LogFilter::read(&Value::String("heliograph_api=loud".to_owned())).is_err());
        assert!(SampleRatio::read(&Value::Float(0.25)).is_ok());
        assert!(SampleRatio::read(&Value::String("0.25".to_owned())).is_ok());
        assert!(SampleRatio::read(&Value::Float(1.5)).is_err());
    }
}
