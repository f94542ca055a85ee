//! A finished thumbnail, and what an answer says of it. That costs more than sending it: it is
//! found out once, and stays with the picture in memory.

use actix_web::http::header::HeaderValue;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use heliograph_proto::Thumbnail;
use heliograph_types::ContentType;
use sha2::{Digest, Sha256};

use crate::headers;

/// A thumbnail that can be sent.
#[derive(Debug)]
pub(crate) struct Picture {
    pub(crate) content_type: ContentType,
    pub(crate) image: Bytes,
    /// A strong tag from its digest.
    pub(crate) etag: HeaderValue,
}

impl Picture {
    /// Of a stored one. Thumbnails are stored without their type: their first bytes tell it.
    pub(crate) fn read(image: Bytes) -> Option<Self> {
        let content_type = picture_type(&image)?;
        Some(Self::from(Thumbnail { content_type, image }))
    }

    /// The name of a thumbnail says what it is.
    pub(crate) fn disposition(&self) -> &'static str {
        match self.content_type.as_str() {
            "image/png" => "inline; filename=thumbnail.png",
            "image/webp" => "inline; filename=thumbnail.webp",
            "image/avif" => "inline; filename=thumbnail.avif",
            "image/gif" => "inline; filename=thumbnail.gif",
            _ => "inline; filename=thumbnail.jpg",
        }
    }
}

impl From<Thumbnail> for Picture {
    fn from(Thumbnail { content_type, image }: Thumbnail) -> Self {
        let etag = headers::text(&format!("\"{}\"", URL_SAFE_NO_PAD.encode(Sha256::digest(&image))));
        Self { content_type, image, etag }
    }
}

/// What the first bytes of a picture say that it is.
pub(crate) fn picture_type(image: &[u8]) -> Option<ContentType> {
    infer::get(image).and_then(|kind| kind.mime_type().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_thumbnail_is_known_by_its_first_bytes() {
        for (image, expected) in [
            (&b"\xff\xd8\xff\xe0"[..], Some(("image/jpeg", "inline; filename=thumbnail.jpg"))),
            (b"\x89PNG\r\n\x1a\n", Some(("image/png", "inline; filename=thumbnail.png"))),
            (b"RIFF\x04\0\0\0WEBPVP8 ", Some(("image/webp", "inline; filename=thumbnail.webp"))),
            (
                b"\0\0\0\x20ftypavif\0\0\0\0avifmif1miafMA1B\0\0\0\0",
                Some(("image/avif", "inline; filename=thumbnail.avif")),
            ),
            (b"<svg>", None),
        ] {
            let found = Picture::read(Bytes::from_static(image));
            let found = found.as_ref().map(|picture| (picture.content_type.as_str(), picture.disposition()));
            assert_eq!(found, expected, "{image:?}");
        }
    }
}
