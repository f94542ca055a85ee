//! One request to a stranger, and why it may come to nothing.

use std::error::Error;

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request as HttpRequest, Uri,
    header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, USER_AGENT},
};
use http_body_util::Full;
use reqwest::{Body, Response};
use tracing::Instrument;

use super::{Pool, dial::ConnectError, whole::Whole};
use crate::{
    Refused,
    client::NAME,
    spans::{answered, http_request},
};

/// Why a request has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// It led to where we do not connect to.
    #[error("{0}")]
    Refused(Refused),
    /// No connection was there in time.
    #[error("timed out")]
    ConnectTimedOut,
    /// There was no connection, or no answer on it.
    #[error("{0}")]
    Unanswered(String),
    /// A header cannot be sent.
    #[error("the header {0} has a value that cannot be sent")]
    InvalidHeader(HeaderName),
    /// The answer has a coding that nobody asked for. Nothing is decoded: what is small on the
    /// wire stays small.
    #[error("the answer is compressed although that was not asked for")]
    Encoded,
}

/// How the content of an answer is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// As it is.
    Plain,
    /// By gzip, once.
    Gzip,
    /// In some other way.
    Other,
}

impl Coding {
    /// By `Content-Encoding`.
    pub fn of(headers: &HeaderMap) -> Self {
        let values = headers.get_all(CONTENT_ENCODING).iter();
        let codings = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b',')).map(<[u8]>::trim_ascii);
        let mut codings = codings.filter(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity"));
        match (codings.next(), codings.next()) {
            (None, _) => Self::Plain,
            (Some(coding), None) if is_gzip(coding) => Self::Gzip,
            _ => Self::Other,
        }
    }
}

/// It has two names (RFC 9110, section 8.4.1.3).
fn is_gzip(coding: &[u8]) -> bool {
    coding.eq_ignore_ascii_case(b"gzip") || coding.eq_ignore_ascii_case(b"x-gzip")
}

/// A request that was not sent yet.
#[derive(Debug)]
#[must_use = "a request does nothing until it is sent"]
pub struct Request {
    pool: Pool,
    inner: HttpRequest<Full<Bytes>>,
    invalid: Option<HeaderName>,
    takes_gzip: bool,
}

impl Request {
    pub(super) fn new(pool: &Pool, method: Method, uri: Uri, json: Bytes) -> Self {
        let has_body = !json.is_empty();
        let mut request = HttpRequest::new(Full::new(json));
        // `Host` is left to the pool, which adds it for HTTP/1.1 alone: with `:authority` of
        // HTTP/2 beside it, nginx refuses the request. Port 443 is not said in it.
        (*request.method_mut(), *request.uri_mut()) = (method, uri);
        let headers = request.headers_mut();
        headers.insert(USER_AGENT, HeaderValue::from_static(NAME));
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if has_body {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        Self { pool: pool.clone(), inner: request, invalid: None, takes_gzip: false }
    }

    /// With this header.
    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        match HeaderValue::from_str(value) {
            Ok(mut value) => {
                value.set_sensitive(name == AUTHORIZATION);
                self.inner.headers_mut().insert(name, value);
            }
            Err(_) => self.invalid = Some(name),
        }
        self
    }

    /// With these headers.
    pub fn headers(mut self, headers: &HeaderMap) -> Self {
        self.inner.headers_mut().extend(headers.clone());
        self
    }

    /// The answer may be coded by gzip. It is not decoded here: see [`Coding::of`].
    pub fn take_gzip(mut self) -> Self {
        self.inner.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        self.takes_gzip = true;
        self
    }

    /// Waits for the head of the answer.
    pub async fn send(self) -> Result<Response, SendError> {
        if let Some(name) = self.invalid {
            return Err(SendError::InvalidHeader(name));
        }
        let span = http_request(self.inner.method(), self.inner.uri().host());
        let answer = self.pool.request(self.inner).instrument(span.clone()).await;
        answered(&span, answer.as_ref().map(http::Response::status));
        let response = answer.map_err(|error| read_error(&error))?;
        let is_readable = match Coding::of(response.headers()) {
            Coding::Plain => true,
            Coding::Gzip => self.takes_gzip,
            Coding::Other => false,
        };
        if response.status().is_success() && !is_readable {
            return Err(SendError::Encoded);
        }
        let version = response.version();
        Ok(response.map(|body| Body::wrap(Whole::new(body, version))).into())
    }
}

/// The errors of the library say little without their causes.
fn read_error(error: &(dyn Error + 'static)) -> SendError {
    let mut deepest = error;
    while let Some(cause) = deepest.source() {
        match cause.downcast_ref() {
            Some(ConnectError::Refused(refused)) => return SendError::Refused(refused.clone()),
            Some(ConnectError::TimedOut) => return SendError::ConnectTimedOut,
            _ => {}
        }
        deepest = cause;
    }
    SendError::Unanswered(deepest.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_coding_is_seen_however_it_is_told() {
        let coding = |values: &[&'static str]| {
            Coding::of(&values.iter().map(|value| (CONTENT_ENCODING, HeaderValue::from_static(value))).collect())
        };

        for plain in [&[][..], &["identity"], &["Identity"], &[""], &["identity, identity"]] {
            assert_eq!(coding(plain), Coding::Plain, "{plain:?}");
        }
        for gzip in [&["gzip"][..], &["GZip, identity"], &["identity", "x-gzip"]] {
            assert_eq!(coding(gzip), Coding::Gzip, "{gzip:?}");
        }
        for other in [&["br"][..], &["identity, br"], &["gzip, gzip"], &["gzip", "br"], &["unheard-of"]] {
            assert_eq!(coding(other), Coding::Other, "{other:?}");
        }
    }
}
