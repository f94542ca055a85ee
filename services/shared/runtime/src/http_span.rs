//! One span and one measurement per HTTP request.
//!
//! Never shows a query string (it may hold a token) nor a header of the client. Follows the
//! trace of a caller only if that is near, such as the reverse proxy: strangers could write
//! into the traces of others, or have all of theirs kept.

mod endpoint;

use std::{net::IpAddr, rc::Rc, sync::Arc, time::Instant};

use actix_web::{
    Error,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::{Method, StatusCode, header::HeaderMap},
    middleware::Next,
};
use opentelemetry::propagation::Extractor;
use tracing::{Instrument, Span, field::Empty, info_span};

use self::endpoint::{Endpoint, Endpoints};
use crate::trace;

/// Requests that are neither traced nor counted.
const PROBES: [&str; 3] = ["/livez", "/readyz", "/metrics"];

/// A longer part of a path is no id of Matrix.
const LONGEST_ID: usize = 255;

/// What makes spans and measurements: one per server and thread.
#[derive(Debug)]
pub struct HttpSpans {
    endpoints: Endpoints,
    unmatched: Arc<str>,
}

impl Default for HttpSpans {
    fn default() -> Self {
        Self { endpoints: Endpoints::default(), unmatched: "unmatched".into() }
    }
}

impl HttpSpans {
    /// The middleware, for a closure in `actix_web::middleware::from_fn`. Outermost, so that it
    /// measures what the client sees. A request counts until the head of its answer is there.
    ///
    /// `route` is the pattern that the path fits, never what the client wrote: there must be few.
    pub async fn surround(
        self: Rc<Self>,
        route: Option<Arc<str>>,
        request: ServiceRequest,
        next: Next<impl MessageBody>,
    ) -> Result<ServiceResponse<impl MessageBody>, Error> {
        // Asked every few seconds by machines; what they find is told elsewhere.
        if PROBES.contains(&request.path()) {
            return next.call(request).await;
        }
        let route = route.unwrap_or_else(|| Arc::clone(&self.unmatched));
        let endpoint = self.endpoints.get(method_label(request.method()), route);
        let span = open_span(&endpoint, &request);
        let started = Instant::now();

        let answer = next.call(request).instrument(span.clone()).await;

        let (status, error) = match &answer {
            Ok(response) => (response.status(), response.response().error()),
            Err(error) => (error.as_response_error().status_code(), Some(error)),
        };
        note(&span, status, error);
        endpoint.count(status, started.elapsed());
        answer
    }
}

/// Unknown methods are one, or anybody could fill memory with names.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "OTHER",
    }
}

fn open_span(endpoint: &Endpoint, request: &ServiceRequest) -> Span {
    let Endpoint { method, route, name, media_id_at, server_name_at, .. } = endpoint;
    let route: &str = route;
    let span = info_span!(
        "request",
        otel.name = name,
        otel.kind = "server",
        http.request.method = method,
        http.route = route,
        http.response.status_code = Empty,
        otel.status_code = Empty,
        trace_id = Empty,
        media_id = find_segment(*media_id_at, request.path()),
        origin = find_segment(*server_name_at, request.path()),
    );
    let caller = FromHeaders(request.headers());
    let is_near = request.peer_addr().is_some_and(|peer| is_near(peer.ip()));
    trace::join(&span, is_near.then_some(&caller as &dyn Extractor));
    span
}

/// The segment of the path at this place, if the route has an id there: what the client wrote, so
/// it is not shown if it looks like no id. The router finds it only later.
fn find_segment(place: Option<usize>, path: &str) -> Option<&str> {
    let segment = path.as_bytes().split(|byte| *byte == b'/').nth(place?)?;
    let is_plain = segment.iter().all(u8::is_ascii_graphic) && (1..=LONGEST_ID).contains(&segment.len());
    is_plain.then(|| str::from_utf8(segment).ok()).flatten()
}

/// Whether this address is on our own machine or network.
fn is_near(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => address.is_loopback() || address.is_private() || address.is_link_local(),
        IpAddr::V6(address) => address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local(),
    }
}

fn note(span: &Span, status: StatusCode, error: Option<&Error>) {
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
        let error = error.map(tracing::field::display);
        span.in_scope(|| tracing::warn!(status = status.as_u16(), error, "request failed"));
    }
}

struct FromHeaders<'a>(&'a HeaderMap);

impl Extractor for FromHeaders<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(actix_web::http::header::HeaderName::as_str).collect()
    }
}

#[cfg(test)]
mod tests {
    use actix_web::{App, HttpResponse, middleware::from_fn, test, web};
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;
    use crate::trace::tests::{TRACE_ID, TRACEPARENT, current_trace_id, start_traces};

    async fn ask(path: &str) -> ServiceResponse<impl MessageBody> {
        ask_from("127.0.0.1:50000", path).await
    }

    async fn ask_from(peer: &str, path: &str) -> ServiceResponse<impl MessageBody> {
        let show = web::get().to(async || current_trace_id());
        let fail = web::get().to(async || HttpResponse::BadGateway());
        let spans = Rc::new(HttpSpans::default());
        let surround = from_fn(move |request: ServiceRequest, next| {
            Rc::clone(&spans).surround(request.match_pattern().map(Arc::from), request, next)
        });
        let app = App::new().wrap(surround).route("/media/{id}", show).route("/fail", fail);
        let request = test::TestRequest::get()
            .uri(path)
            .peer_addr(peer.parse().unwrap())
            .insert_header(("traceparent", TRACEPARENT));
        test::call_service(&test::init_service(app).await, request.to_request()).await
    }

    #[actix_web::test]
    async fn a_request_belongs_to_the_trace_of_its_caller() {
        let _traces = start_traces();

        let answer = ask("/media/1").await;

        assert_eq!(test::read_body(answer).await, TRACE_ID);
    }

    #[actix_web::test]
    async fn a_stranger_begins_a_trace_of_its_own() {
        let _traces = start_traces();

        for (peer, follows) in [
            ("10.1.2.3:9", true),
            ("[fd00::1]:9", true),
            ("[::ffff:192.168.0.1]:9", true),
            ("198.51.100.7:9", false),
            ("[2001:db8::1]:9", false),
        ] {
            let trace_id = test::read_body(ask_from(peer, "/media/1").await).await;

            assert_eq!(trace_id == TRACE_ID, follows, "{peer}");
            assert_ne!(trace_id, "00000000000000000000000000000000");
        }
    }

    #[actix_web::test]
    async fn the_ids_of_a_path_are_shown_if_they_look_like_ids() {
        let route = "/download/{server_name}/{media_id}/{file_name:[^/]*}";
        let long = format!("/download/a/{}/c", "x".repeat(256));
        let Endpoint { media_id_at, server_name_at, .. } = Endpoint::new("GET", route.into());

        assert_eq!(find_segment(media_id_at, "/download/a.example/id/c"), Some("id"));
        assert_eq!(find_segment(server_name_at, "/download/a.example/id/c"), Some("a.example"));
        for path in ["/download/a//c", "/download/a", "/download/a/i d/c", "/download/a/\u{1b}/c", &long] {
            assert_eq!(find_segment(media_id_at, path), None, "{path}");
        }
        let unmatched = Endpoint::new("GET", "unmatched".into());
        assert_eq!(find_segment(unmatched.media_id_at, "/a/b"), None);
    }

    #[actix_web::test]
    async fn requests_are_counted_by_route_never_by_what_the_client_wrote() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let counted = metrics::set_default_local_recorder(&recorder);

        ask("/media/1?access_token=secret").await;
        ask("/media/2").await;
        ask("/fail").await;
        ask("/nowhere/secret").await;
        ask("/readyz").await;

        drop(counted);
        let text = recorder.handle().render();
        for line in [
            r#"heliograph_http_requests_total{method="GET",route="/media/{id}",status="200"} 2"#,
            r#"heliograph_http_requests_total{method="GET",route="/fail",status="502"} 1"#,
            r#"heliograph_http_requests_total{method="GET",route="unmatched",status="404"} 1"#,
        ] {
            assert!(text.contains(line), "{line} is missing in {text}");
        }
        assert!(!text.contains("secret"), "{text}");
    }
}
