//! The client's side of a gRPC connection, with the trace context in every call.

use std::time::Duration;

use opentelemetry::{global, propagation::Injector};
use tonic::{
    Request, Status,
    metadata::{MetadataKey, MetadataMap},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// A connection to a role. It connects when first used, and again after a loss.
#[derive(Debug, Clone)]
pub struct Link(pub(crate) Connection);

/// A channel that carries the trace context.
pub(crate) type Connection = InterceptedService<Channel, TraceContext>;

impl Link {
    /// A link to `url` (`http://host:port`). Each call has `timeout` until its head arrives.
    pub fn connect_lazy(url: &str, timeout: Duration) -> Result<Self, tonic::transport::Error> {
        let channel = Endpoint::from_shared(url.to_owned())?
            .connect_timeout(Duration::from_secs(2))
            .timeout(timeout)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(Duration::from_secs(20))
            .keep_alive_while_idle(true)
            .connect_lazy();
        Ok(Self::over(channel))
    }

    /// A link over a connection that is there already.
    pub fn over(channel: Channel) -> Self {
        Self(InterceptedService::new(channel, TraceContext))
    }
}

/// Puts the context of the current span into the metadata of a call (W3C `traceparent`).
#[derive(Debug, Clone, Copy)]
pub(crate) struct TraceContext;

impl Interceptor for TraceContext {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let context = tracing::Span::current().context();
        global::get_text_map_propagator(|propagator| {
            propagator.inject_context(&context, &mut IntoMetadata(request.metadata_mut()));
        });
        Ok(request)
    }
}

struct IntoMetadata<'a>(&'a mut MetadataMap);

impl Injector for IntoMetadata<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let (Ok(key), Ok(value)) = (MetadataKey::from_bytes(key.as_bytes()), value.parse()) {
            self.0.insert(key, value);
        }
    }
}
