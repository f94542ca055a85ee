//! Answering a request whose body is still on its way.
//!
//! A client that sends on while nobody reads would not see the answer: its connection is
//! reset, or it waits for ever. So the answer leaves at once, and what still arrives is
//! dropped, within limits.

use std::time::Duration;

use actix_web::{
    HttpRequest, HttpResponse,
    body::{self, SizedStream},
    http::{
        ConnectionType,
        header::{CONTENT_LENGTH, HeaderMap, TRANSFER_ENCODING},
    },
    web::Payload,
};
use futures_util::{Stream, StreamExt, stream};

/// A client that stands still so long has seen the answer.
const STANDSTILL: Duration = Duration::from_secs(2);
/// And so has one that sends on for so long.
const LONGEST: Duration = Duration::from_secs(30);

/// Whether a body comes, or has come, with the request.
pub fn has_body(request: &HttpRequest) -> bool {
    let headers = request.headers();
    headers.contains_key(TRANSFER_ENCODING) || headers.get(CONTENT_LENGTH).is_some_and(|length| length != "0")
}

/// The size that these headers announce, if they do.
pub fn declared_bytes(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
}

/// The same answer, after which at most `most_bytes` of the rest of the body are read and
/// dropped. For small answers: this one is put together in memory.
pub async fn answer_and_drop_rest(
    request: &HttpRequest,
    answer: HttpResponse,
    rest: Payload,
    most_bytes: u64,
) -> HttpResponse {
    let (mut head, content) = answer.into_parts();
    let content = body::to_bytes(content).await.unwrap_or_default();
    let length = content.len() as u64;
    // Only a body that will have been read leaves the connection fit for another request.
    if declared_bytes(request.headers()).is_none_or(|bytes| bytes > most_bytes) {
        head.head_mut().set_connection_type(ConnectionType::Close);
    }
    let dropping = stream::once(async move {
        let _ = tokio::time::timeout(LONGEST, drop_rest(rest, most_bytes)).await;
        Ok::<_, actix_web::Error>(actix_web::web::Bytes::new())
    });
    let answer = stream::once(async move { Ok(content) }).chain(dropping);
    head.set_body(SizedStream::new(length, answer)).map_into_boxed_body()
}

async fn drop_rest<E>(rest: impl Stream<Item = Result<actix_web::web::Bytes, E>>, most_bytes: u64) {
    let mut rest = std::pin::pin!(rest);
    let mut dropped = 0;
    while dropped < most_bytes
        && let Ok(Some(Ok(piece))) = tokio::time::timeout(STANDSTILL, rest.next()).await
    {
        dropped += piece.len() as u64;
    }
}
