//! Passing a request on as it is, and its answer back.

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder,
    body::SizedStream,
    http::{Method as ActixMethod, StatusCode as ActixStatus},
    web::Payload,
};
use bytes::Bytes;
use futures_util::{Stream, TryStreamExt, stream};
use heliograph_runtime::{answer_and_drop_rest, declared_bytes, has_body};
use reqwest::{Method, Response, header::CONTENT_LENGTH};
use url::Url;

use crate::{
    body,
    error::EdgeError,
    headers, metrics,
    server::Edge,
    upstream::{self, Answer},
};

pub(crate) type Outcome = Result<HttpResponse, EdgeError>;

/// The target of a request as it was sent: signatures of other servers cover it.
pub(crate) fn target(request: &HttpRequest) -> &str {
    request.uri().path_and_query().map_or("/", |target| target.as_str())
}

/// Passes a request on to the same target.
pub(crate) async fn forward(edge: &Edge, request: &HttpRequest, payload: Payload) -> HttpResponse {
    match edge.upstream.url(target(request)) {
        Ok(url) => forward_to(edge, request, payload, url).await,
        Err(error) => refuse(edge, request, error, payload).await,
    }
}

/// Passes a request on to this URL at the core.
pub(crate) async fn forward_to(edge: &Edge, request: &HttpRequest, payload: Payload, url: Url) -> HttpResponse {
    if has_body(request) {
        return forward_with_body(edge, request, payload, url).await;
    }
    let method = method(request.method());
    let sent = edge.upstream.request(method, url, headers::of_request(edge, request.head()));
    match edge.upstream.send(sent).await {
        Ok(response) => pass_on(edge, request, response),
        Err(error) => HttpResponse::from_error(error),
    }
}

async fn forward_with_body(edge: &Edge, request: &HttpRequest, mut payload: Payload, url: Url) -> HttpResponse {
    match send_body(edge, request, &mut payload, (method(request.method()), url)).await {
        Ok(Sent { answer, is_whole: true }) => whole(&answer),
        Ok(Sent { answer, is_whole: false }) => refuse_with(edge, request, whole(&answer), payload).await,
        Err(error) => refuse(edge, request, error, payload).await,
    }
}

/// What came of a request with a body.
pub(crate) struct Sent {
    pub(crate) answer: Answer,
    /// Whether all of the body was read.
    pub(crate) is_whole: bool,
}

/// Sends the body of a request to the core, with the headers of the request. Answers to such
/// requests are small.
pub(crate) async fn send_body(
    edge: &Edge,
    request: &HttpRequest,
    payload: &mut Payload,
    (method, url): (Method, Url),
) -> Result<Sent, EdgeError> {
    let (feed, content) = body::channel();
    let sent = edge.upstream.request(method, url, headers::of_request(edge, request.head()));
    let mut sending = edge.upstream.begin(sent.body(content.into_body()));
    // The core may answer before it has read all: who is refused, or sends too much.
    let early = tokio::select! {
        answer = sending.answer() => Some(answer?),
        outcome = feed.feed(payload, edge.config.body_timeout) => {
            outcome?;
            None
        }
    };
    let is_whole = early.is_none();
    let response = match early {
        Some(response) => response,
        None => edge.upstream.await_answer(&mut sending).await?,
    };
    let answer = upstream::read(response).await?;
    // Not earlier: the connection, and with it the answer, would break off.
    drop(feed);
    Ok(Sent { answer, is_whole })
}

/// An error as the answer; what still arrives of the request is dropped.
pub(crate) async fn refuse(edge: &Edge, request: &HttpRequest, error: EdgeError, payload: Payload) -> HttpResponse {
    refuse_with(edge, request, HttpResponse::from_error(error), payload).await
}

/// This answer; what still arrives of the request is dropped.
pub(crate) async fn refuse_with(
    edge: &Edge,
    request: &HttpRequest,
    answer: HttpResponse,
    payload: Payload,
) -> HttpResponse {
    if !has_body(request) {
        return answer;
    }
    answer_and_drop_rest(request, answer, payload, edge.config.drained_bytes.as_u64()).await
}

/// A whole answer of the core as ours.
pub(crate) fn whole(answer: &Answer) -> HttpResponse {
    begin(answer.status.as_u16(), &answer.headers).body(answer.body.clone())
}

/// An answer of the core as ours, while it arrives.
pub(crate) fn pass_on(edge: &Edge, request: &HttpRequest, response: Response) -> HttpResponse {
    let mut answer = begin(response.status().as_u16(), response.headers());
    if matches!(response.status().as_u16(), 204 | 304) {
        return answer.finish();
    }
    let length = length(&response);
    let pieces = pieces(edge, response).inspect_ok(|piece| metrics::sent("upstream", piece.len()));
    with_body(request, answer, length, pieces)
}

/// How long the body of an answer is, if that is told.
pub(crate) fn length(response: &Response) -> Option<u64> {
    response.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The beginning of an answer with the status and the headers of the core's.
pub(crate) fn begin(status: u16, from: &reqwest::header::HeaderMap) -> HttpResponseBuilder {
    let mut answer = HttpResponse::build(ActixStatus::from_u16(status).unwrap_or(ActixStatus::BAD_GATEWAY));
    for (name, value) in &headers::of_answer(from) {
        answer.append_header((name.clone(), value.clone()));
    }
    answer
}

/// Finishes an answer; that to a HEAD request has no body, whatever its length.
pub(crate) fn with_body<S>(
    request: &HttpRequest,
    mut answer: HttpResponseBuilder,
    length: Option<u64>,
    pieces: S,
) -> HttpResponse
where
    S: Stream<Item = Result<Bytes, actix_web::Error>> + 'static,
{
    let is_head = request.method() == ActixMethod::HEAD;
    match length {
        Some(length) if is_head => answer.body(SizedStream::new(length, nothing())),
        Some(length) => answer.body(SizedStream::new(length, Box::pin(pieces))),
        None if is_head => answer.streaming(nothing()),
        None => answer.streaming(Box::pin(pieces)),
    }
}

fn nothing() -> impl Stream<Item = Result<Bytes, actix_web::Error>> + Unpin {
    stream::empty()
}

/// The body of an answer, which may not stand still for long.
pub(crate) fn pieces(edge: &Edge, response: Response) -> impl Stream<Item = Result<Bytes, actix_web::Error>> + 'static {
    let patience = edge.config.body_timeout;
    stream::try_unfold(response, move |mut response| async move {
        match tokio::time::timeout(patience, response.chunk()).await {
            Ok(Ok(Some(piece))) => Ok(Some((piece, response))),
            Ok(Ok(None)) => Ok(None),
            Ok(Err(error)) => Err(upstream::unreachable(heliograph_matrix::Reason(&error)).into()),
            Err(_) => {
                metrics::limited("body_timeout");
                Err(EdgeError::BadGateway.into())
            }
        }
    })
}

/// The two libraries have types of their own for the same.
pub(crate) fn method(method: &ActixMethod) -> Method {
    Method::from_bytes(method.as_str().as_bytes()).unwrap_or(Method::GET)
}

/// Whether a body comes whose length is told, and how long it is.
pub(crate) fn declared_length(request: &HttpRequest) -> Option<u64> {
    declared_bytes(request.headers())
}
