//! The multipart answer of the federation endpoints (Server-Server API; MSC3916): a JSON
//! object, then the content. Each byte of the framing is as other servers' parsers want it.

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder,
    body::SizedStream,
    http::{
        Method,
        header::{CACHE_CONTROL, CONTENT_TYPE},
    },
};
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, stream};
use rand::{RngExt, distr::Alphanumeric};
use url::Url;

use crate::{
    deliver::{Opened, Pieces},
    headers::Caching,
};

const BOUNDARY_LENGTH: usize = 32;

/// What is before and after the content.
struct Frame {
    boundary: String,
    before: Bytes,
    after: Bytes,
}

fn frame(boundary: String, content_type: &str, disposition: &str) -> Frame {
    // One piece, so that it leaves in one write: some parsers cannot stand a split here.
    let before = format!(
        "\r\n--{boundary}\r\nContent-Type: application/json\r\n\r\n{{}}\r\n--{boundary}\r\n\
         Content-Type: {content_type}\r\nContent-Disposition: {disposition}\r\n\r\n"
    );
    let after = format!("\r\n--{boundary}--\r\n");
    Frame { boundary, before: before.into(), after: after.into() }
}

/// The whole body that says where the content is: the second part has no other header.
fn location_body(boundary: &str, url: &Url) -> String {
    format!(
        "\r\n--{boundary}\r\nContent-Type: application/json\r\n\r\n{{}}\r\n--{boundary}\r\n\
         Location: {url}\r\n\r\n\r\n--{boundary}--\r\n"
    )
}

/// One that no file can contain on purpose.
pub(crate) fn random_boundary() -> String {
    rand::rng().sample_iter(Alphanumeric).take(BOUNDARY_LENGTH).map(char::from).collect()
}

/// The answer that says where the content is.
pub(crate) fn location(request: &HttpRequest, url: &Url) -> HttpResponse {
    let boundary = random_boundary();
    let body = Bytes::from(location_body(&boundary, url));
    let length = body.len() as u64;
    let mut answer = begin(&boundary);
    match *request.method() {
        Method::HEAD => answer.body(SizedStream::new(length, empty())),
        _ => answer.body(body),
    }
}

fn begin(boundary: &str) -> HttpResponseBuilder {
    let mut answer = HttpResponse::Ok();
    answer
        .insert_header((CONTENT_TYPE, format!("multipart/mixed; boundary={boundary}")))
        .insert_header((CACHE_CONTROL, Caching::Never.cache_control()));
    answer
}

/// The answer with `content` of `size_bytes`.
pub(crate) fn answer(
    request: &HttpRequest,
    content_type: &str,
    disposition: &str,
    size_bytes: u64,
    content: Opened,
) -> HttpResponse {
    let Frame { boundary, before, after } = frame(random_boundary(), content_type, disposition);
    let length = size_bytes + (before.len() + after.len()) as u64;
    let mut answer = begin(&boundary);
    match content {
        _ if request.method() == Method::HEAD => answer.body(SizedStream::new(length, empty())),
        Opened::Whole(content) => answer.body(concatenated(&[&before, &content, &after])),
        Opened::Stream(content) => {
            let one = |piece: Bytes| stream::once(async move { Ok(piece) });
            answer.body(SizedStream::new(length, one(before).chain(content).chain(one(after))))
        }
    }
}

fn empty() -> Pieces {
    Box::pin(stream::empty())
}

fn concatenated(pieces: &[&Bytes]) -> Bytes {
    let mut whole = BytesMut::with_capacity(pieces.iter().map(|piece| piece.len()).sum());
    for piece in pieces {
        whole.extend_from_slice(piece);
    }
    whole.freeze()
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn the_frame_is_right_to_the_byte() {
        let boundary = "mxmb0123456789abcdef0123456789abcdef".to_owned();
        let Frame { before, after, .. } = frame(boundary, "text/plain", "inline; filename=a.txt");

        let whole = concatenated(&[&before, &Bytes::from_static(b"hello"), &after]);

        assert_eq!(whole.len(), 242);
        assert_eq!(
            hex::encode(Sha256::digest(&whole)),
            "498317bf233972369b6e4cf166d26f12a399dbd432febc4d1741da00182a6cb2"
        );
    }

    #[test]
    fn a_place_is_told_right_to_the_byte() {
        let url = "https://media.example/_x/s/AbC?exp=1&sig=y".parse().unwrap();

        let whole = location_body("mxmb0123456789abcdef0123456789abcdef", &url);

        assert_eq!(whole.len(), 220);
        assert_eq!(
            hex::encode(Sha256::digest(&whole)),
            "97f8b7ebe515020e21fc05b90302309677da3d57f37a6c18ddc9d49df87c9238"
        );
    }
}
