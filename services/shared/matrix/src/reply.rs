//! What homeservers answer, read whole, and where they are asked.

use std::time::Duration;

use bytes::Bytes;
use heliograph_types::Timestamp;
use reqwest::{
    Response,
    header::{CACHE_CONTROL, HeaderMap, RETRY_AFTER},
};
use serde::Deserialize;
use url::Url;

use crate::{BodyError, Refusal, client::read_body, freshness::read_date};

/// What a homeserver answered, to be passed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Neither a redirect nor 5xx: those are outages.
    pub status: u16,
    /// As it came; nobody looked whether it is JSON.
    pub body: Bytes,
    /// `Retry-After`, if it was there.
    pub retry_after: Option<Duration>,
    /// `Cache-Control`, if it was there.
    pub cache_control: Option<String>,
}

#[derive(Deserialize)]
struct ErrorAnswer {
    errcode: String,
}

impl Reply {
    pub(crate) async fn read(response: Response, most_bytes: usize, now: Timestamp) -> Result<Self, BodyError> {
        let headers = response.headers();
        let cache_control = headers.get(CACHE_CONTROL).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let (status, retry_after) = (response.status().as_u16(), read_retry_after(headers, now));
        Ok(Self { status, body: read_body(response, most_bytes).await?, retry_after, cache_control })
    }

    /// `errcode`, if this is an error of Matrix.
    pub(crate) fn errcode(&self) -> Option<String> {
        serde_json::from_slice(&self.body).ok().map(|ErrorAnswer { errcode }| errcode)
    }

    /// Whether the homeserver says itself that it has no such endpoint.
    pub(crate) fn is_unrecognized(&self) -> bool {
        self.errcode().as_deref() == Some("M_UNRECOGNIZED")
    }

    /// The same for clients.
    pub(crate) fn into_refusal(self) -> Refusal {
        Refusal { status: self.status, body: self.body, retry_after: self.retry_after }
    }
}

/// The URL of a path under the base of a homeserver; each segment is encoded.
pub(crate) fn endpoint(base: &Url, segments: &[&str]) -> Url {
    let mut url = base.clone();
    url.set_query(None);
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}

/// `Retry-After`, in seconds or as a date.
pub fn read_retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let seconds = text.parse().ok().map(Duration::from_secs);
    seconds.or_else(|| read_date(text).map(|date| date.since(now)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_id_is_one_segment_whatever_is_in_it() {
        for base in ["http://a/prefix", "http://a/prefix/", "http://a/prefix?query"] {
            let url = endpoint(&base.parse().unwrap(), &["users", "@a/../b?c#d%2F:e.example"]);

            assert_eq!(url.as_str(), "http://a/prefix/users/@a%2F..%2Fb%3Fc%23d%252F:e.example", "{base}");
        }
        assert_eq!(endpoint(&"http://a".parse().unwrap(), &["b"]).as_str(), "http://a/b");
    }
}
