//! The core's answer with content, which goes to the client and into the cache at once.

use actix_web::{HttpRequest, HttpResponse, http::header::CONTENT_RANGE};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use reqwest::{Response, header::HeaderMap};

use crate::{
    cache::{Head, Key, Writer},
    forward, metrics,
    read::text,
    server::Edge,
};

/// What is kept of the headers; the others come with each answer of the core anew.
const KEPT: [&str; 4] = ["accept-ranges", "content-disposition", "content-type", "last-modified"];

/// A 200 of the core as the answer.
pub(crate) async fn answer(edge: &Edge, request: &HttpRequest, key: Key, response: Response) -> HttpResponse {
    let length = forward::length(&response);
    let writer = match head(response.headers(), length) {
        Some(head) if head.length <= edge.config.max_cached_file_bytes.as_u64() => edge.cache.begin(key, head).await,
        _ => None,
    };
    metrics::read(if writer.is_some() { "miss" } else { "passed" });
    let mut answer = forward::begin(200, response.headers());
    // Players ask for all of it as a part, and some want to be answered so.
    let is_part = request.headers().contains_key("range") && response.headers().contains_key("accept-ranges");
    if let (true, Some(length @ 1..)) = (is_part, length) {
        answer = forward::begin(206, response.headers());
        answer.insert_header((CONTENT_RANGE, format!("bytes 0-{}/{length}", length - 1)));
    }
    let pieces = forward::pieces(edge, response).inspect_ok(|piece| metrics::sent("upstream", piece.len()));
    forward::with_body(request, answer, length, tee(edge, pieces, writer))
}

/// What the answer says of its content, if it can be kept at all.
fn head(headers: &HeaderMap, length: Option<u64>) -> Option<Head> {
    let etag = text(headers, "etag").filter(|etag| etag.starts_with('"'))?;
    let caching = text(headers, "cache-control").unwrap_or_default();
    if caching.contains("no-store") || headers.contains_key("content-encoding") {
        return None;
    }
    let kept = KEPT.iter().filter_map(|name| Some(((*name).to_owned(), text(headers, name)?.to_owned())));
    Some(Head { etag: etag.to_owned(), length: length?, headers: kept.collect() })
}

/// The same pieces, written down on their way. What breaks off is not kept.
fn tee(
    edge: &Edge,
    pieces: impl Stream<Item = Result<Bytes, actix_web::Error>> + 'static,
    writer: Option<Writer>,
) -> impl Stream<Item = Result<Bytes, actix_web::Error>> + 'static {
    let (tasks, runtime) = (edge.tasks.clone(), edge.runtime.clone());
    stream::try_unfold((Box::pin(pieces), writer), move |(mut pieces, writer)| {
        let (tasks, runtime) = (tasks.clone(), runtime.clone());
        async move {
            let Some(piece) = pieces.next().await.transpose()? else { return Ok(None) };
            let mut writer = match writer {
                Some(writer) => writer.write(&piece).await,
                None => None,
            };
            // Before the client has its last piece: it may be gone then.
            if let Some(whole) = writer.take_if(|writer| writer.is_whole()) {
                tasks.spawn_on(whole.finish(), &runtime);
            }
            Ok(Some((piece, (pieces, writer))))
        }
    })
}
