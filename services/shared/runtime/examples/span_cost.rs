//! What a span of a detail costs the request that it is a part of, in nanoseconds: where nothing is
//! exported (`off`), of what is not sampled (`unsampled`), and of what is (`sampled`). On a busy machine look at
//! the time on the processor instead, as `time` tells it.
//!
//! `cargo run --release -p heliograph-runtime --example span_cost -- unsampled`

use std::{env, hint::black_box, time::Instant};

use heliograph_runtime::{Telemetry, TelemetryConfig};
use heliograph_settings::{Setting, toml::Value};
use tracing::{debug_span, field::Empty, info_span};

/// What others make is no part of our traces.
const OURS: &str = "heliograph::example";
const SPANS: u32 = 1_000_000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let which = env::args().nth(1).unwrap_or_else(|| "off".to_owned());
    let ratio = if which == "sampled" { 1.0 } else { 0.0 };
    let config = TelemetryConfig {
        // Nobody listens there: the queue fills, which is what a gone collector costs.
        otlp_endpoint: (which != "off").then(|| "http://127.0.0.1:9".parse()).transpose()?,
        sample_ratio: Setting::read(&Value::Float(ratio))?,
        ..TelemetryConfig::default()
    };
    let telemetry = Telemetry::start(&config, "span-cost")?;
    let request = info_span!(target: OURS, "request").entered();
    let begun = Instant::now();
    for number in 0..SPANS {
        let span = debug_span!(
            target: OURS,
            "store",
            otel.name = format!("store {}", "get"),
            otel.kind = "client",
            store.kind = "s3",
            store.operation = "get",
            store.bytes = Empty,
        );
        span.record("store.bytes", black_box(u64::from(number)));
    }
    let took = begun.elapsed();
    drop(request);
    println!("{which}: {} ns for each span", took.as_nanos() / u128::from(SPANS));
    telemetry.flush().await;
    Ok(())
}
