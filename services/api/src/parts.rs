//! Several parts of one content in one answer (`multipart/byteranges`, RFC 9110, section 14.6).

use std::{ops::Range, sync::Arc};

use actix_web::{HttpResponse, HttpResponseBuilder, body::SizedStream, http::header::CONTENT_TYPE};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use heliograph_blobs::{BlobStore, Key};

use crate::{deliver, http::multipart::random_boundary};

/// What is to be sent in parts.
pub(crate) struct Content {
    pub(crate) blobs: Arc<dyn BlobStore>,
    pub(crate) key: Key,
    pub(crate) media_type: String,
    pub(crate) size_bytes: u64,
    /// Called with each piece that is read.
    pub(crate) read_on: Box<dyn Fn()>,
}

/// The head of each part, and the part.
struct Frame {
    boundary: String,
    parts: Vec<(Bytes, Range<u64>)>,
    end: Bytes,
}

impl Frame {
    fn new(boundary: String, content_type: &str, size_bytes: u64, parts: Vec<Range<u64>>) -> Self {
        let head = |part: &Range<u64>| {
            let (first, last) = (part.start, part.end - 1);
            format!(
                "\r\n--{boundary}\r\nContent-Type: {content_type}\r\nContent-Range: bytes {first}-{last}/{size_bytes}\r\n\r\n"
            )
        };
        let parts = parts.into_iter().map(|part| (Bytes::from(head(&part)), part)).collect();
        let end = Bytes::from(format!("\r\n--{boundary}--\r\n"));
        Self { boundary, parts, end }
    }

    fn length(&self) -> u64 {
        let part = |(head, part): &(Bytes, Range<u64>)| head.len() as u64 + part.end - part.start;
        self.parts.iter().map(part).sum::<u64>() + self.end.len() as u64
    }
}

/// The answer; each part is opened when the one before it has been sent.
pub(crate) fn answer(
    mut answer: HttpResponseBuilder,
    content: Content,
    parts: Vec<Range<u64>>,
    head_only: bool,
) -> HttpResponse {
    let Content { blobs, key, media_type, size_bytes, read_on } = content;
    let frame = Frame::new(random_boundary(), &media_type, size_bytes, parts);
    let length = frame.length();
    let Frame { boundary, parts, end } = frame;
    answer.insert_header((CONTENT_TYPE, format!("multipart/byteranges; boundary={boundary}")));
    if head_only {
        return answer.body(SizedStream::new(length, stream::empty::<Result<Bytes, actix_web::Error>>()));
    }
    let pieces = stream::iter(parts).then(move |(head, part)| {
        let (blobs, key) = (Arc::clone(&blobs), key.clone());
        async move {
            let pieces = blobs.open(&key, part).await?;
            Ok::<_, heliograph_blobs::BlobError>(stream::once(async { Ok(head) }).chain(pieces))
        }
    });
    let pieces = pieces.try_flatten().inspect_ok(move |_| read_on()).map_err(deliver::broke_off);
    let end = stream::once(async move { Ok(end) });
    answer.body(SizedStream::new(length, Box::pin(pieces.chain(end))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_says_where_it_is_from() {
        let frame = Frame::new("B".to_owned(), "text/plain", 10, vec![0..2, 5..6]);

        let heads: Vec<&str> = frame.parts.iter().map(|(head, _)| std::str::from_utf8(head).unwrap()).collect();

        assert_eq!(
            heads,
            [
                "\r\n--B\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-1/10\r\n\r\n",
                "\r\n--B\r\nContent-Type: text/plain\r\nContent-Range: bytes 5-5/10\r\n\r\n",
            ]
        );
        assert_eq!(frame.length(), (heads.concat().len() + 3 + "\r\n--B--\r\n".len()) as u64);
    }
}
