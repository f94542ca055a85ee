//! The spans of HTTP requests that we send. Neither path nor query is shown: they hold ids, and
//! tokens.

use http::{Method, StatusCode};
use reqwest::{RequestBuilder, Response};
use tracing::{Instrument, Span, debug_span, field::Empty};

/// A request to the server with this name or address, until the head of its answer.
pub(crate) fn http_request(method: &Method, address: Option<&str>) -> Span {
    debug_span!(
        "http request",
        otel.name = method.as_str(),
        otel.kind = "client",
        http.request.method = method.as_str(),
        server.address = address,
        http.response.status_code = Empty,
        otel.status_code = Empty,
    )
}

/// The head is there, or none will come.
pub(crate) fn answered<E>(span: &Span, status: Result<StatusCode, E>) {
    if let Ok(status) = &status {
        span.record("http.response.status_code", status.as_u16());
    }
    // Whoever asks is answered for by a 4xx: for the one who asked, that is an error.
    if !status.is_ok_and(|status| status.as_u16() < 400) {
        span.record("otel.status_code", "ERROR");
    }
}

/// Sends a request within a span of its own.
pub async fn send_traced(request: RequestBuilder) -> reqwest::Result<Response> {
    let (client, request) = request.build_split();
    let request = request?;
    let span = http_request(request.method(), request.url().host_str());
    let answer = client.execute(request).instrument(span.clone()).await;
    answered(&span, answer.as_ref().map(Response::status));
    answer
}
