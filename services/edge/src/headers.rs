//! Which headers are passed on, and which are between neighbours only (RFC 9110, section 7.6.1).

use actix_web::{
    dev::RequestHead,
    http::header::{CONNECTION, CONTENT_LENGTH, HeaderMap as ActixHeaders, HeaderName as ActixName},
};
use heliograph_runtime::client_address;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use crate::server::Edge;

/// Of neighbours only, besides those that `Connection` names. The trace is ours to begin:
/// strangers could write into those of others.
const OF_NEIGHBOURS: [&str; 14] = [
    "connection",
    "expect",
    "forwarded",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "traceparent",
    "tracestate",
    "x-forwarded-for",
];

/// The headers of a request as the core gets them. `Host` stays: by it the core tells which of
/// several homeservers is meant.
pub(crate) fn of_request(edge: &Edge, request: &RequestHead) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let named = named_by_connection(&request.headers);
    for (name, value) in &request.headers {
        if is_passed_on(name.as_str(), &named)
            && let Some((name, value)) = to_upstream(name, value.as_bytes())
        {
            headers.append(name, value);
        }
    }
    let client = client_address(request, |address| edge.is_proxy(address)).to_string();
    if let Ok(client) = HeaderValue::from_str(&client) {
        headers.insert("x-forwarded-for", client);
    }
    headers
}

/// The headers of an answer as the client gets them; its length is told with its body.
pub(crate) fn of_answer(headers: &HeaderMap) -> ActixHeaders {
    let connection = headers.get_all("connection").iter().filter_map(|value| value.to_str().ok());
    let named: Vec<String> = connection.flat_map(split).collect();
    let mut passed = ActixHeaders::new();
    for (name, value) in headers {
        if is_passed_on(name.as_str(), &named) && name != CONTENT_LENGTH.as_str() {
            append(&mut passed, name.as_str(), value.as_bytes());
        }
    }
    passed
}

/// Adds a header if it can be one.
pub(crate) fn append(headers: &mut ActixHeaders, name: &str, value: &[u8]) {
    if let Ok(name) = ActixName::from_bytes(name.as_bytes())
        && let Ok(value) = actix_web::http::header::HeaderValue::from_bytes(value)
    {
        headers.append(name, value);
    }
}

fn named_by_connection(headers: &ActixHeaders) -> Vec<String> {
    headers.get_all(CONNECTION).filter_map(|value| value.to_str().ok()).flat_map(split).collect()
}

fn split(value: &str) -> Vec<String> {
    value.split(',').map(|name| name.trim().to_ascii_lowercase()).collect()
}

fn is_passed_on(name: &str, named: &[String]) -> bool {
    !OF_NEIGHBOURS.contains(&name) && !named.iter().any(|other| other == name)
}

/// The two libraries have types of their own for the same.
fn to_upstream(name: &ActixName, value: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    Some((HeaderName::from_bytes(name.as_str().as_bytes()).ok()?, HeaderValue::from_bytes(value).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_between_neighbours_stays_there() {
        let named = split("close, X-Private");

        for name in ["connection", "transfer-encoding", "expect", "x-private", "traceparent"] {
            assert!(!is_passed_on(name, &named), "{name}");
        }
        for name in ["authorization", "host", "content-type", "range", "etag"] {
            assert!(is_passed_on(name, &named), "{name}");
        }
    }

    #[test]
    fn an_answer_keeps_what_is_said_several_times() {
        let mut headers = HeaderMap::new();
        for value in ["a", "b"] {
            headers.append("vary", HeaderValue::from_static(value));
        }
        headers.insert("content-length", HeaderValue::from_static("7"));

        let passed = of_answer(&headers);

        assert_eq!(passed.get_all("vary").count(), 2);
        assert!(!passed.contains_key("content-length"));
    }
}
