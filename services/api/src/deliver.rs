//! The byte path of a download: from a blob, or from another server, into an answer.

use std::{ops::Range, sync::Arc, time::Instant};

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder,
    body::SizedStream,
    http::{
        Method, StatusCode,
        header::{
            ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName, HeaderValue,
            IF_NONE_MATCH, IF_RANGE, RANGE,
        },
    },
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use futures_util::{Stream, TryStreamExt, stream};
use heliograph_blobs::{BlobError, Key};
use heliograph_catalog::MediaRecord;
use heliograph_proto::{MediaBody, RemoteMedia};
use heliograph_runtime::{Wanted, wanted_range};
use heliograph_types::{ErrorCode, Failure, FileName, ServerName};

use crate::{
    disposition,
    error::ApiError,
    headers::{self, Caching},
    hot::HotFile,
    http::download::Asked,
    meters::{Phase, Via},
    parts::{self, Content},
    picture::Picture,
    server::Front,
};

/// The unit in which parts can be asked for.
const BYTES: HeaderValue = HeaderValue::from_static("bytes");
/// Of what arrives nobody knows the digest yet.
const UNTAGGED: HeaderValue = HeaderValue::from_static("");

/// Content that is stored here, as an answer to `request`.
pub(crate) async fn stored(
    front: &Front,
    request: &HttpRequest,
    record: &MediaRecord,
    name: Option<&FileName>,
    caching: Caching,
) -> Result<HttpResponse, ApiError> {
    let etag = etag(record);
    if is_unchanged(request, &etag) {
        return Ok(not_modified(&etag, caching));
    }
    let name = name.or(record.file_name.as_ref());
    let head = |status| {
        let mut answer = HttpResponse::build(status);
        headers::of_content(&mut answer, caching);
        answer
            .insert_header((CONTENT_TYPE, record.content_type.as_str()))
            .insert_header((CONTENT_DISPOSITION, disposition::of_content(&front.config, &record.content_type, name)))
            .insert_header((ETAG, etag.clone()))
            .insert_header((ACCEPT_RANGES, BYTES));
        answer
    };
    match wanted(request, &etag, record.size_bytes) {
        Wanted::All => body(front, request, head(StatusCode::OK), record, 0..record.size_bytes).await,
        Wanted::Part(part) => {
            let mut answer = head(StatusCode::PARTIAL_CONTENT);
            answer.insert_header((CONTENT_RANGE, content_range(&part, record.size_bytes)));
            body(front, request, answer, record, part).await
        }
        Wanted::Parts(parts) => {
            let content = Content {
                blobs: Arc::clone(&front.blobs),
                key: key(&record.blob)?,
                media_type: record.content_type.to_string(),
                size_bytes: record.size_bytes,
                read_on: Box::new(front.reads.follow(record)),
            };
            let bytes = parts.iter().map(|part| part.end - part.start).sum();
            front.meters.delivered(&record.mxc.server_name, Via::Store, bytes);
            let head_only = request.method() == Method::HEAD;
            Ok(parts::answer(head(StatusCode::PARTIAL_CONTENT), content, parts, head_only))
        }
        Wanted::Unsatisfiable => Ok(unsatisfiable(record.size_bytes)),
    }
}

fn wanted(request: &HttpRequest, etag: &HeaderValue, size_bytes: u64) -> Wanted {
    // If-Range with anything but this very content means: all of it, please.
    let applies = header(request, &IF_RANGE).is_none_or(|condition| condition == etag);
    wanted_range(header(request, &RANGE).filter(|_| applies), size_bytes)
}

fn content_range(part: &Range<u64>, size_bytes: u64) -> String {
    format!("bytes {}-{}/{size_bytes}", part.start, part.end - 1)
}

fn unsatisfiable(size_bytes: u64) -> HttpResponse {
    let failure = Failure::new(ErrorCode::RangeNotSatisfiable, format!("the content has {size_bytes} bytes"));
    let mut answer = HttpResponse::from_error(ApiError::from(failure));
    if let Ok(value) = format!("bytes */{size_bytes}").parse() {
        answer.headers_mut().insert(CONTENT_RANGE, value);
    }
    answer
}

/// A part of the content as the body of `answer`; a HEAD request reads nothing.
async fn body(
    front: &Front,
    request: &HttpRequest,
    mut answer: HttpResponseBuilder,
    record: &MediaRecord,
    part: Range<u64>,
) -> Result<HttpResponse, ApiError> {
    let length = part.end - part.start;
    if request.method() == Method::HEAD {
        return Ok(answer.body(SizedStream::new(length, stream::empty::<Result<Bytes, actix_web::Error>>())));
    }
    Ok(match open(front, record, part).await? {
        Opened::Whole(bytes) => answer.body(bytes),
        Opened::Stream(pieces) => answer.body(SizedStream::new(length, pieces)),
    })
}

/// Content that is ready to be sent.
pub(crate) enum Opened {
    /// All of it, from memory.
    Whole(Bytes),
    /// Piece by piece, from the store.
    Stream(Pieces),
}

pub(crate) type Pieces = std::pin::Pin<Box<dyn Stream<Item = Result<Bytes, actix_web::Error>>>>;

/// Opens a part of the content; small files stay in memory for the next one who asks.
pub(crate) async fn open(front: &Front, record: &MediaRecord, part: Range<u64>) -> Result<Opened, ApiError> {
    let (length, begun) = (part.end - part.start, Instant::now());
    if front.hot.takes(record.size_bytes) {
        let found = find_small(front, &key(&record.blob)?, record.size_bytes).await?;
        let Some((source, file)) = found else { return Err(gone(record)) };
        let content = &file.content;
        front.meters.took(Phase::FirstByte, begun.elapsed());
        front.meters.delivered(&record.mxc.server_name, source, length);
        let bounds = usize::try_from(part.start).unwrap_or(usize::MAX)..usize::try_from(part.end).unwrap_or(usize::MAX);
        if bounds.end > content.len() {
            return Err(Failure::internal("the stored content is shorter than its record says").into());
        }
        return Ok(Opened::Whole(content.slice(bounds)));
    }
    front.meters.delivered(&record.mxc.server_name, Via::Store, length);
    let pieces = match front.blobs.open(&key(&record.blob)?, part).await {
        Err(error) if error.is_not_found() => return Err(gone(record)),
        pieces => pieces?,
    };
    front.meters.took(Phase::FirstByte, begun.elapsed());
    let (read_on, rest) = (front.reads.follow(record), front.meters.until_dropped(Phase::Rest));
    let pieces = pieces.inspect_ok(move |_| {
        let _lasts_as_long_as_the_stream = &rest;
        read_on();
    });
    Ok(Opened::Stream(Box::pin(pieces.map_err(broke_off))))
}

/// The store failed in the middle; unless the content was just deleted, that is a fault.
pub(crate) fn broke_off(error: BlobError) -> actix_web::Error {
    if error.is_not_found() {
        tracing::info!(%error, "a download broke off: the content is gone");
    } else {
        tracing::error!(%error, "a download broke off");
    }
    ApiError::Failure(error.into()).into()
}

/// It was deleted since its record was read, or the store has lost it: a warning each time is
/// none too many then.
fn gone(record: &MediaRecord) -> ApiError {
    tracing::warn!(mxc = %record.mxc, blob = record.blob, "there is no content any more");
    Failure::not_found().into()
}

/// A small blob, and whether memory had it.
pub(crate) async fn find_small(
    front: &Front,
    key: &Key,
    most_bytes: u64,
) -> Result<Option<(Via, Arc<HotFile>)>, ApiError> {
    if let Some(file) = front.hot.find(key.as_str()) {
        return Ok(Some((Via::Hot, file)));
    }
    match front.blobs.get(key, most_bytes).await {
        Ok(content) => {
            let file = Arc::new(HotFile::new(content));
            front.hot.keep(key.as_str(), Arc::clone(&file));
            Ok(Some((Via::Store, file)))
        }
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn key(blob: &str) -> Result<Key, ApiError> {
    Ok(Key::new(blob).map_err(Failure::from)?)
}

/// Whether a part is asked for of content whose size nobody knows yet: where it ends cannot be
/// told before all has arrived. All of it from its first byte on, as players begin, is no part.
pub(crate) fn is_cut_unseen(request: &HttpRequest, media: &RemoteMedia) -> bool {
    const UNKNOWN: u64 = u64::MAX;
    let is_part = match wanted(request, &UNTAGGED, UNKNOWN) {
        Wanted::Part(part) => part != (0..UNKNOWN),
        Wanted::Parts(_) => true,
        Wanted::All | Wanted::Unsatisfiable => false,
    };
    media.size_bytes.is_none() && is_part
}

/// Content of another server, while it arrives. A part of it begins when its first byte is
/// there; several parts are sent as the whole.
pub(crate) async fn arriving(
    front: &Front,
    request: &HttpRequest,
    asked: &Asked,
    (origin, media): (&ServerName, RemoteMedia),
    name: Option<&FileName>,
) -> Result<HttpResponse, ApiError> {
    let RemoteMedia { content_type, file_name, size_bytes, body } = media;
    let body = front.limits.meter(&asked.caller, size_bytes, body).await?;
    let mut answer = HttpResponse::Ok();
    headers::of_content(&mut answer, asked.caching);
    let disposition = disposition::of_content(&front.config, &content_type, name.or(file_name.as_ref()));
    answer.insert_header((CONTENT_TYPE, content_type.as_str())).insert_header((CONTENT_DISPOSITION, disposition));
    let part = match size_bytes.map(|size_bytes| wanted(request, &UNTAGGED, size_bytes)) {
        Some(Wanted::Unsatisfiable) => return Ok(unsatisfiable(size_bytes.unwrap_or_default())),
        Some(Wanted::Part(part)) => Some(part),
        Some(Wanted::All | Wanted::Parts(_)) | None => None,
    };
    if let (Some(part), Some(size_bytes)) = (&part, size_bytes) {
        answer.status(StatusCode::PARTIAL_CONTENT).insert_header((CONTENT_RANGE, content_range(part, size_bytes)));
    }
    if size_bytes.is_some() {
        answer.insert_header((ACCEPT_RANGES, BYTES));
    }
    let length = part.as_ref().map_or(size_bytes, |part| Some(part.end - part.start));
    let body = if request.method() == Method::HEAD { Box::pin(stream::empty()) } else { cut(body, part) };
    let (counted, rest) = (front.meters.delivering(origin, Via::Remote), front.meters.until_dropped(Phase::Rest));
    let body = body.inspect_ok(move |piece| {
        let _lasts_as_long_as_the_stream = &rest;
        counted.increment(piece.len() as u64);
    });
    let pieces = body.map_err(|failure| {
        tracing::info!(%failure, "a remote file broke off on its way");
        actix_web::Error::from(ApiError::from(failure))
    });
    Ok(match length {
        Some(length) => answer.body(SizedStream::new(length, pieces)),
        None => answer.streaming(pieces),
    })
}

/// A part of a body: what comes before it is dropped, and it ends where the part ends.
fn cut(body: MediaBody, part: Option<Range<u64>>) -> MediaBody {
    let Some(part) = part else { return body };
    let pieces = stream::try_unfold((body, 0_u64), move |(mut body, offset)| {
        let part = part.clone();
        async move {
            if offset >= part.end {
                return Ok(None);
            }
            let Some(piece) = body.try_next().await? else { return Ok(None) };
            let after = offset + piece.len() as u64;
            let within = |at: u64| usize::try_from(at.clamp(offset, after) - offset).unwrap_or(usize::MAX);
            let piece = piece.slice(within(part.start)..within(part.end));
            Ok(Some((piece, (body, after))))
        }
    });
    Box::pin(pieces.try_filter(|piece| std::future::ready(!piece.is_empty())))
}

/// A finished picture.
pub(crate) fn picture(request: &HttpRequest, picture: &Picture, caching: Caching) -> HttpResponse {
    if is_unchanged(request, &picture.etag) {
        return not_modified(&picture.etag, caching);
    }
    let mut answer = HttpResponse::Ok();
    headers::of_content(&mut answer, caching);
    answer
        .insert_header((CONTENT_TYPE, picture.content_type.as_str()))
        .insert_header((CONTENT_DISPOSITION, HeaderValue::from_static(picture.disposition())))
        .insert_header((ETAG, picture.etag.clone()))
        .body(picture.image.clone())
}

/// A strong tag from the digest of the content, the same on every instance and path. Content that
/// nobody has read is known by its upload.
fn etag(record: &MediaRecord) -> HeaderValue {
    let tag = match hex::decode(&record.sha256) {
        Ok(digest) if !digest.is_empty() => format!("\"{}\"", URL_SAFE_NO_PAD.encode(digest)),
        _ => format!("\"{}\"", record.upload.as_deref().unwrap_or(&record.blob)),
    };
    headers::text(&tag)
}

/// Whether whoever asks has this content already.
pub(crate) fn is_current(request: &HttpRequest, record: &MediaRecord) -> bool {
    is_unchanged(request, &etag(record))
}

/// Whether whoever asks has this picture already.
pub(crate) fn is_current_picture(request: &HttpRequest, picture: &Picture) -> bool {
    is_unchanged(request, &picture.etag)
}

fn is_unchanged(request: &HttpRequest, etag: &HeaderValue) -> bool {
    let tags = request.headers().get_all(IF_NONE_MATCH).filter_map(|value| value.to_str().ok());
    tags.flat_map(|tags| tags.split(',')).map(str::trim).any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag)
}

fn not_modified(etag: &HeaderValue, caching: Caching) -> HttpResponse {
    let mut answer = HttpResponse::NotModified();
    headers::of_content(&mut answer, caching);
    answer.insert_header((ETAG, etag.clone())).finish()
}

fn header<'a>(request: &'a HttpRequest, name: &HeaderName) -> Option<&'a str> {
    request.headers().get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn cut_out(part: Range<u64>) -> String {
        let pieces = ["abc", "", "d", "efgh"].map(|piece| Ok(Bytes::from_static(piece.as_bytes())));
        let body: MediaBody = Box::pin(stream::iter(pieces));
        let cut: Vec<Bytes> = cut(body, Some(part)).try_collect().await.unwrap();
        String::from_utf8(cut.concat()).unwrap()
    }

    #[actix_web::test]
    async fn a_part_is_cut_out_of_what_arrives() {
        for start in 0..8 {
            for end in start + 1..=8 {
                let expected = &"abcdefgh"[start..end];
                assert_eq!(cut_out(start as u64..end as u64).await, expected);
            }
        }
    }

    #[actix_web::test]
    async fn what_breaks_off_before_its_part_is_no_clean_end() {
        let pieces = [Ok(Bytes::from_static(b"ab")), Err(Failure::internal("gone"))];
        let body: MediaBody = Box::pin(stream::iter(pieces));

        let cut: Result<Vec<Bytes>, Failure> = cut(body, Some(5..6)).try_collect().await;

        assert!(cut.is_err());
    }
}
