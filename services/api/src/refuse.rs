//! Refusing an upload whose body is still on its way.
//!
//! A client that sends on while nobody reads would not see the answer: its connection is
//! reset, or it waits for ever. So the answer leaves at once, and what still arrives is
//! dropped, within limits.

use std::time::Duration;

use actix_web::{
    HttpRequest, HttpResponse, ResponseError,
    body::{self, SizedStream},
    http::{
        ConnectionType,
        header::{CONTENT_LENGTH, TRANSFER_ENCODING},
    },
    web::Payload,
};
use bytes::Bytes;
use futures_util::{StreamExt, stream};

use crate::{error::ApiError, receive::declared_bytes, routes::Outcome, server::Front};

/// A client that stands still so long has seen the answer.
const STANDSTILL: Duration = Duration::from_secs(2);
/// And so has one that sends on for so long.
const LONGEST: Duration = Duration::from_secs(30);

/// The answer to a request. If it is refused, the rest of its body is read and dropped.
pub(crate) async fn answer_or_refuse(
    front: &Front,
    request: &HttpRequest,
    outcome: Outcome,
    rest: Payload,
) -> HttpResponse {
    match outcome {
        Ok(answer) => answer,
        Err(error) if has_body(request) => refuse(front, request, error, rest).await,
        Err(error) => HttpResponse::from_error(error),
    }
}

/// Whether a body comes, or has come, with the request.
fn has_body(request: &HttpRequest) -> bool {
    let headers = request.headers();
    headers.contains_key(TRANSFER_ENCODING) || headers.get(CONTENT_LENGTH).is_some_and(|length| length != "0")
}

async fn refuse(front: &Front, request: &HttpRequest, error: ApiError, rest: Payload) -> HttpResponse {
    let (mut head, content) = error.error_response().into_parts();
    let content = body::to_bytes(content).await.unwrap_or_default();
    let length = content.len() as u64;
    let most_bytes = front.config.drained_bytes.as_u64();
    // Only a body that will have been read leaves the connection fit for another request.
    if declared_bytes(request.headers()).is_none_or(|bytes| bytes > most_bytes) {
        head.head_mut().set_connection_type(ConnectionType::Close);
    }
    let dropping = stream::once(async move {
        let _ = tokio::time::timeout(LONGEST, drop_rest(rest, most_bytes)).await;
        Ok::<_, actix_web::Error>(Bytes::new())
    });
    let answer = stream::once(async move { Ok(content) }).chain(dropping);
    head.set_body(SizedStream::new(length, answer)).map_into_boxed_body()
}

async fn drop_rest(mut rest: Payload, most_bytes: u64) {
    let mut dropped = 0;
    while dropped < most_bytes
        && let Ok(Some(Ok(piece))) = tokio::time::timeout(STANDSTILL, rest.next()).await
    {
        dropped += piece.len() as u64;
    }
}
