//! The server's side of gRPC: one span and one measurement per call, an ordered end.

use std::{
    future::Future,
    io,
    net::TcpListener,
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use heliograph_types::LEAVING_HEADER;
use http::{HeaderMap, HeaderValue, Request, Response};
use opentelemetry::propagation::Extractor;
use tokio_util::sync::CancellationToken;
use tonic::{
    Code, Status,
    service::Routes,
    transport::{Server, server::TcpIncoming},
};
use tower::{Layer, Service};
use tracing::{Instrument, Span, field::Empty, info_span};

use crate::trace;

/// How the gRPC server treats its connections.
#[derive(Debug, Clone, Copy)]
pub struct GrpcServerConfig {
    /// A silent connection is asked for a sign of life that often, so that one whose other
    /// end is gone does not stay for ever.
    pub keep_alive_interval: Duration,
    /// How long the other end has to answer.
    pub keep_alive_timeout: Duration,
}

impl Default for GrpcServerConfig {
    fn default() -> Self {
        Self { keep_alive_interval: Duration::from_secs(20), keep_alive_timeout: Duration::from_secs(10) }
    }
}

/// Serves `routes` until `shutdown`; ends when the calls in progress have ended. From `leaving` on
/// each answer says that calls are to go elsewhere.
pub async fn serve_grpc(
    listener: TcpListener,
    routes: Routes,
    config: GrpcServerConfig,
    leaving: CancellationToken,
    shutdown: CancellationToken,
) -> Result<(), io::Error> {
    let incoming = TcpIncoming::from(tokio::net::TcpListener::from_std(listener)?).with_nodelay(Some(true));
    Server::builder()
        .http2_keepalive_interval(Some(config.keep_alive_interval))
        .http2_keepalive_timeout(Some(config.keep_alive_timeout))
        .layer(CallSpans(leaving))
        .add_routes(routes)
        .serve_with_incoming_shutdown(incoming, shutdown.cancelled_owned())
        .await
        .map_err(io::Error::other)
}

/// Wraps a service so that each call has a span, child of the caller's, and that the caller learns
/// when this instance ends.
#[derive(Debug, Clone)]
struct CallSpans(CancellationToken);

impl<S> Layer<S> for CallSpans {
    type Service = CallSpan<S>;

    fn layer(&self, inner: S) -> CallSpan<S> {
        CallSpan(inner, self.0.clone())
    }
}

/// The service that [`CallSpans`] makes.
#[derive(Debug, Clone)]
struct CallSpan<S>(S, CancellationToken);

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl<S, B, R> Service<Request<B>> for CallSpan<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
    S::Error: Send,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = BoxFuture<Result<Response<R>, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (service, method) = split(request.uri().path());
        let span = open_span(&service, &method, request.headers());
        let started = Instant::now();
        let answer = span.in_scope(|| self.0.call(request));
        let (measured, leaving) = (span.clone(), self.1.clone());
        Box::pin(
            async move {
                let mut answer = answer.await;
                if let Ok(response) = &mut answer {
                    if leaving.is_cancelled() {
                        response.headers_mut().insert(LEAVING_HEADER, HeaderValue::from_static("true"));
                    }
                    note(&measured, service, method, response.headers(), started.elapsed());
                }
                answer
            }
            .instrument(span),
        )
    }
}

/// The service and the method of `/package.Service/Method`.
fn split(path: &str) -> (String, String) {
    let (service, method) = path.trim_start_matches('/').split_once('/').unwrap_or((path, ""));
    (service.to_owned(), method.to_owned())
}

fn open_span(service: &str, method: &str, headers: &HeaderMap) -> Span {
    let span = info_span!(
        "rpc",
        otel.name = format!("{service}/{method}"),
        otel.kind = "server",
        rpc.system = "grpc",
        rpc.service = service,
        rpc.method = method,
        rpc.grpc.status_code = Empty,
        otel.status_code = Empty,
        trace_id = Empty,
    );
    trace::join(&span, Some(&FromHeaders(headers)));
    span
}

/// Unknown methods are counted as one, or anybody could fill memory with names.
fn note(span: &Span, service: String, method: String, headers: &HeaderMap, elapsed: Duration) {
    let code = Status::from_header_map(headers).map_or(Code::Ok, |status| status.code());
    span.record("rpc.grpc.status_code", i32::from(code));
    if matches!(code, Code::Internal | Code::Unknown | Code::DataLoss) {
        span.record("otel.status_code", "ERROR");
    }
    tracing::debug!(?code, ?elapsed, "call answered");
    let known = code != Code::Unimplemented;
    let [service, method] = if known { [service, method] } else { ["unknown".to_owned(), "unknown".to_owned()] };
    let labels = [("service", service), ("method", method), ("code", format!("{code:?}"))];
    metrics::counter!("heliograph_rpc_requests_total", &labels).increment(1);
    metrics::histogram!("heliograph_rpc_request_seconds", &labels[..2]).record(elapsed.as_secs_f64());
}

struct FromHeaders<'a>(&'a HeaderMap);

impl Extractor for FromHeaders<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use tower::{ServiceExt, service_fn};

    use super::*;
    use crate::trace::tests::{TRACE_ID, TRACEPARENT, current_trace_id, start_traces};

    #[tokio::test]
    async fn a_call_belongs_to_the_trace_of_its_caller() {
        let _traces = start_traces();
        let service = CallSpans(CancellationToken::new())
            .layer(service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(current_trace_id()))));
        let request = Request::builder()
            .uri("/heliograph.upload.v1.UploadService/Begin")
            .header("traceparent", TRACEPARENT)
            .body(());

        let answer = service.oneshot(request.unwrap()).await.unwrap();

        assert_eq!(answer.into_body(), TRACE_ID);
    }

    #[tokio::test]
    async fn an_instance_that_ends_says_so_with_each_answer() {
        let leaving = CancellationToken::new();
        let service =
            CallSpans(leaving.clone()).layer(service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(()))));
        let says_so = async || {
            let answer = service.clone().oneshot(Request::new(())).await.unwrap();
            answer.headers().contains_key(LEAVING_HEADER)
        };

        assert!(!says_so().await);
        leaving.cancel();

        assert!(says_so().await);
    }

    #[test]
    fn the_path_names_service_and_method() {
        assert_eq!(split("/a.v1.B/C"), ("a.v1.B".to_owned(), "C".to_owned()));
        assert_eq!(split(""), (String::new(), String::new()));
    }
}
