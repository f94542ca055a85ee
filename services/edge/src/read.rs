//! Reading content: the core is asked each time, and says whether our copy may be given out.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        Method as ActixMethod,
        header::{ACCEPT, IF_NONE_MATCH, IF_RANGE, RANGE},
    },
};
use heliograph_runtime::{Wanted, names_media_type, wanted_range};
use reqwest::{
    Response, StatusCode,
    header::{self, HeaderMap, HeaderValue},
};

use url::Url;

use crate::{
    cache::{Copied, Key},
    forward::{self, Outcome},
    fresh::Fresh,
    headers, metrics,
    server::Edge,
    stored, tee,
};

/// From the first byte to the last: how players begin. Such an answer can be kept.
const ALL_OF_IT: &str = "bytes=0-";

/// Answers `GET` and `HEAD` of a download or a thumbnail.
pub(crate) async fn read(edge: &Edge, request: &HttpRequest) -> Outcome {
    let key = key(request);
    let copy = edge.cache.find(&key).await.filter(|copy| is_of_use(request, copy));
    let asked = Fresh::asked(bytes(request, "authorization"), bytes(request, "host"), forward::target(request));
    let copy = match copy {
        Some(copy) if !has(request, &copy.head.etag) => match edge.fresh.find(&asked, &copy.head.etag) {
            Some(said) => return Ok(stored::answer(request, copy, &said)),
            None => Some(copy),
        },
        copy => copy,
    };
    let url = with_bytes(edge.upstream.url(forward::target(request))?);
    let headers = question(edge, request, copy.as_ref());
    let method = forward::method(request.method());
    let response = edge.upstream.send(edge.upstream.request(method, url, headers)).await?;
    let etag = text(response.headers(), "etag").unwrap_or_default().to_owned();
    match (response.status(), copy) {
        (StatusCode::NOT_MODIFIED, Some(copy)) if etag == copy.head.etag && !has(request, &etag) => {
            edge.fresh.remember(asked, &etag, response.headers());
            Ok(stored::answer(request, copy, response.headers()))
        }
        (StatusCode::NOT_MODIFIED, _) => {
            metrics::read("unchanged");
            Ok(forward::begin(304, response.headers()).finish())
        }
        (StatusCode::OK, _) if asks_for_all(request) => Ok(tee::answer(edge, request, key, response).await),
        (status, copy) => {
            // Nobody with a token gets it any more: it was deleted, or is quarantined.
            if status == StatusCode::NOT_FOUND && copy.is_some() && shows_a_token(request) {
                edge.cache.forget(&key).await;
            }
            Ok(pass_on(edge, request, response))
        }
    }
}

fn pass_on(edge: &Edge, request: &HttpRequest, response: Response) -> HttpResponse {
    metrics::read("passed");
    forward::pass_on(edge, request, response)
}

/// Asks for the bytes and not for a place where they are, unless the client says what it wants:
/// they are to be kept here, and the bucket may be far from the users.
fn with_bytes(mut url: Url) -> Url {
    let is_told = url.query_pairs().any(|(name, _)| name.ends_with("allow_redirect"));
    if !is_told {
        url.query_pairs_mut().append_pair("allow_redirect", "false");
    }
    url
}

/// The same content under whichever path and to whomever. The name is part of it: by it the core
/// decides what the answer is called.
fn key(request: &HttpRequest) -> Key {
    let part = |name| request.match_info().get(name).unwrap_or_default();
    let mut parts = vec![part("kind"), part("server_name"), part("media_id"), part("file_name")];
    let query = request.uri().query().unwrap_or_default();
    let first = |name: &str| query.split('&').find(|pair| pair.split('=').next() == Some(name)).unwrap_or_default();
    let accept = || request.headers().get_all(ACCEPT).filter_map(|value| value.to_str().ok());
    if part("kind") == "thumbnail" {
        // Whoever names these may get another file than who does not (MSC4011).
        let named = ["image/avif", "image/webp"].map(|format| names_media_type(accept(), format));
        parts.extend(named.map(|is_named| if is_named { "named" } else { "" }));
        parts.extend(["width", "height", "method", "animated", "org.matrix.msc2705.animated"].map(first));
    }
    Key::of(&parts)
}

/// Whether the answer, whatever the core says, can be made of the copy.
fn is_of_use(request: &HttpRequest, copy: &Copied) -> bool {
    let is_any = of(request, &IF_NONE_MATCH).is_some_and(|tags| tags.trim() == "*");
    !is_any && matches!(wanted(request, copy), Wanted::All | Wanted::Part(_))
}

/// What of the copy is wanted.
pub(crate) fn wanted(request: &HttpRequest, copy: &Copied) -> Wanted {
    if copy.head.find("accept-ranges").is_none() {
        return Wanted::All;
    }
    // If-Range with anything but this very content means: all of it, please.
    let applies = of(request, &IF_RANGE).is_none_or(|condition| condition == copy.head.etag);
    wanted_range(of(request, &RANGE).filter(|_| applies), copy.head.length)
}

/// Whether an answer with all of it is right.
fn asks_for_all(request: &HttpRequest) -> bool {
    request.method() == ActixMethod::GET && of(request, &RANGE).is_none_or(|range| range.trim() == ALL_OF_IT)
}

/// The headers of the question to the core: what the client says, and what we have.
fn question(edge: &Edge, request: &HttpRequest, copy: Option<&Copied>) -> HeaderMap {
    let mut sent = headers::of_request(edge, request.head());
    // Content is never encoded on its way: its length and its tag would no longer be right.
    sent.remove(header::ACCEPT_ENCODING);
    // Whatever comes with the request, nothing is passed on.
    sent.remove(header::CONTENT_LENGTH);
    sent.remove(header::CONTENT_TYPE);
    if copy.is_some() || asks_for_all(request) {
        sent.remove(header::RANGE);
        sent.remove(header::IF_RANGE);
    }
    if let Some(copy) = copy
        && let Ok(tag) = HeaderValue::from_str(&copy.head.etag)
    {
        sent.append(header::IF_NONE_MATCH, tag);
    }
    sent
}

/// Whether the client has this very content.
fn has(request: &HttpRequest, etag: &str) -> bool {
    let tags = request.headers().get_all(IF_NONE_MATCH).filter_map(|value| value.to_str().ok());
    tags.flat_map(|tags| tags.split(',')).any(|tag| tag.trim().trim_start_matches("W/") == etag)
}

fn shows_a_token(request: &HttpRequest) -> bool {
    let path = request.path();
    path.starts_with("/_matrix/client/v1/") || path.starts_with("/_matrix/client/unstable/org.matrix.msc3916/")
}

fn of<'a>(request: &'a HttpRequest, name: &actix_web::http::header::HeaderName) -> Option<&'a str> {
    request.headers().get(name).and_then(|value| value.to_str().ok())
}

fn bytes<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a [u8]> {
    request.headers().get(name).map(actix_web::http::header::HeaderValue::as_bytes)
}

/// The text of a header of an answer.
pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
