//! The client's side of a call in a trace: a span around it, and its context in the metadata.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, uri::PathAndQuery};
use http_body::{Frame, SizeHint};
use opentelemetry::{global, propagation::Injector, trace::TraceContextExt};
use tonic::{Code, Status, body::Body, codegen::Service};
use tracing::{Span, debug_span, field::Empty};
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// A channel whose calls are spans, from the first byte of the question to the last of the
/// answer, and carry their context (W3C `traceparent`).
#[derive(Debug, Clone)]
pub(crate) struct Traced<S>(S);

impl<S> Traced<S> {
    pub(crate) const fn new(channel: S) -> Self {
        Self(channel)
    }
}

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl<S, B> Service<Request<B>> for Traced<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: Send,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<Result<Response<Body>, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let path = request.uri().path_and_query().cloned();
        let span = open_span(request.uri().path());
        inject(&span, request.headers_mut());
        let answer = self.0.call(request);
        Box::pin(async move {
            let answer = answer.await;
            let path = path.as_ref().map_or("", PathAndQuery::path);
            if let Ok(response) = &answer {
                let status = Status::from_header_map(response.headers());
                note(&span, status.as_ref());
                count(path, status.map(|status| status.code()));
            } else {
                fail(&span, Code::Unavailable);
                count_failure(path, "Unreachable".to_owned());
            }
            if span.is_disabled() {
                return answer;
            }
            answer.map(|response| response.map(|body| Body::new(TracedBody { body, span })))
        })
    }
}

/// The path is one of our own: `/package.Service/Method`.
fn open_span(path: &str) -> Span {
    let (service, method) = split(path);
    debug_span!(
        "call",
        otel.name = path.trim_start_matches('/'),
        otel.kind = "client",
        rpc.system = "grpc",
        rpc.service = service,
        rpc.method = method,
        rpc.grpc.status_code = Empty,
        otel.status_code = Empty,
    )
}

/// Without a span of its own, or if only the log has one, a call belongs to the one that it is
/// made in.
fn inject(span: &Span, headers: &mut HeaderMap) {
    let mut context = span.context();
    if !context.span().span_context().is_valid() {
        context = Span::current().context();
    }
    global::get_text_map_propagator(|propagator| propagator.inject_context(&context, &mut IntoHeaders(headers)));
}

/// What the answer says of itself. What has only begun has no status yet.
fn note(span: &Span, status: Option<&Status>) {
    match status.map(Status::code) {
        Some(Code::Ok) => drop(span.record("rpc.grpc.status_code", 0)),
        Some(code) => fail(span, code),
        None => {}
    }
}

fn fail(span: &Span, code: Code) {
    span.record("rpc.grpc.status_code", i32::from(code));
    if is_failure(code) {
        span.record("otel.status_code", "ERROR");
    }
}

/// The others are answers: not found, refused, too many.
const fn is_failure(code: Code) -> bool {
    matches!(code, Code::Internal | Code::Unknown | Code::DataLoss | Code::Unavailable | Code::DeadlineExceeded)
}

/// Counts a call that came to nothing.
fn count(path: &str, code: Option<Code>) {
    if let Some(code) = code.filter(|code| is_failure(*code)) {
        count_failure(path, format!("{code:?}"));
    }
}

fn count_failure(path: &str, code: String) {
    let (service, method) = split(path);
    let labels = [("service", service.to_owned()), ("method", method.to_owned()), ("code", code)];
    metrics::counter!("heliograph_rpc_failures_total", &labels).increment(1);
}

/// The service and the method of `/package.Service/Method`.
fn split(path: &str) -> (&str, &str) {
    let path = path.trim_start_matches('/');
    path.split_once('/').unwrap_or((path, ""))
}

/// An answer whose span lasts until it was read, or nobody wants more of it.
struct TracedBody {
    body: Body,
    span: Span,
}

impl http_body::Body for TracedBody {
    type Data = bytes::Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Status>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        match &frame {
            Some(Ok(frame)) => {
                note(&self.span, frame.trailers_ref().and_then(Status::from_header_map).as_ref());
            }
            Some(Err(status)) => fail(&self.span, status.code()),
            None => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

struct IntoHeaders<'a>(&'a mut HeaderMap);

impl Injector for IntoHeaders<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let (Ok(key), Ok(value)) = (HeaderName::from_bytes(key.as_bytes()), HeaderValue::try_from(value)) {
            self.0.insert(key, value);
        }
    }
}
