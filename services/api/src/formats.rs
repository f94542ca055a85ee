//! In what a thumbnail is sent (MSC4011): in what the client names, of what is offered.

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{ACCEPT, HeaderValue, VARY},
};
use heliograph_runtime::names_media_type;
use heliograph_types::ThumbnailFormat;

use crate::server::Front;

/// The first offered one that the request names.
pub(crate) fn negotiate(front: &Front, request: &HttpRequest) -> ThumbnailFormat {
    let is_named = |format: &ThumbnailFormat| {
        let accept = request.headers().get_all(ACCEPT).filter_map(|value| value.to_str().ok());
        format.media_type().is_some_and(|media_type| names_media_type(accept, media_type))
    };
    front.formats.iter().copied().find(is_named).unwrap_or_default()
}

/// Tells caches that whoever asks in another way may get something else.
pub(crate) fn tell_caches(front: &Front, mut answer: HttpResponse) -> HttpResponse {
    if !front.formats.is_empty() {
        answer.headers_mut().append(VARY, HeaderValue::from_static("Accept"));
    }
    answer
}
