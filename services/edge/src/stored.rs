//! An answer from our copy, whole or in part.

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{ACCEPT_RANGES, CONTENT_RANGE, ETAG},
};
use bytes::Bytes;
use futures_util::{Stream, TryStreamExt};
use heliograph_runtime::Wanted;
use reqwest::header::HeaderMap;
use tokio::{
    fs::File,
    io::{AsyncReadExt, AsyncSeekExt},
};
use tokio_util::io::ReaderStream;

use crate::{cache::Copied, forward, metrics, read};

/// So much of a file is read at once.
const PIECE_BYTES: usize = 64 << 10;

/// The copy as the answer, with what the core has just said of it.
pub(crate) fn answer(request: &HttpRequest, copy: Copied, said: &HeaderMap) -> HttpResponse {
    metrics::read("hit");
    let length = copy.head.length;
    let (status, part) = match read::wanted(request, &copy) {
        Wanted::Part(part) => (206, part),
        Wanted::All | Wanted::Parts(_) | Wanted::Unsatisfiable => (200, 0..length),
    };
    let mut answer = forward::begin(status, said);
    for (name, value) in &copy.head.headers {
        answer.insert_header((name.as_str(), value.as_str()));
    }
    answer.insert_header((ETAG, copy.head.etag.as_str()));
    if status == 206 {
        answer.insert_header((CONTENT_RANGE, format!("bytes {}-{}/{length}", part.start, part.end - 1)));
        answer.insert_header((ACCEPT_RANGES, "bytes"));
    }
    let pieces = pieces(copy.file, part.start, part.end - part.start);
    let pieces = pieces.inspect_ok(|piece| metrics::sent("cache", piece.len()));
    forward::with_body(request, answer, Some(part.end - part.start), pieces)
}

fn pieces(file: File, from: u64, length: u64) -> impl Stream<Item = Result<Bytes, actix_web::Error>> + 'static {
    let open = async move {
        let mut file = file;
        file.seek(std::io::SeekFrom::Start(from)).await?;
        Ok::<_, std::io::Error>(ReaderStream::with_capacity(file.take(length), PIECE_BYTES))
    };
    futures_util::stream::once(open).try_flatten().map_err(|error| {
        tracing::error!(%error, "a copy cannot be read");
        actix_web::Error::from(error)
    })
}
