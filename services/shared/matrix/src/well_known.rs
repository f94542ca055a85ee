//! `/.well-known/matrix/server` of another server: asking, and how long to believe it.

use std::{collections::HashSet, time::Duration};

use heliograph_types::{ServerName, Timestamp};
use reqwest::{
    Response, StatusCode,
    header::{HeaderMap, LOCATION},
};
use serde_json::{Map, Value};
use url::Url;

use crate::{GuardedClient, client::read_body, egress::Host, freshness::told_lifetime};

const MOST_BYTES: usize = 50 << 10;
const MOST_REDIRECTS: usize = 30;
const TIMEOUT: Duration = Duration::from_secs(10);

const FRESH_BY_DEFAULT: Duration = Duration::from_hours(24);
const LONGEST_FRESH: Duration = Duration::from_hours(48);
const SHORTEST_FRESH: Duration = Duration::from_mins(5);

/// The names of the media server (MSC3859): the first that is there counts.
const MEDIA_SERVER: [&str; 2] = ["m.media_server", "com.beeper.msc3859.m.media_server"];

/// An answer that names a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// `m.server`. Without it the answer is none for anything but media.
    pub(crate) server: Option<ServerName>,
    /// `m.media_server` (MSC3859).
    pub(crate) media_server: Option<ServerName>,
    /// Within our bounds.
    pub(crate) fresh_for: Duration,
}

/// Asks `host`. Every failure counts the same: there is no valid answer.
pub(crate) async fn fetch(client: &GuardedClient, host: &str, now: Timestamp) -> Option<Answer> {
    let answer = tokio::time::timeout(TIMEOUT, try_fetch(client, host, now)).await;
    let answer = answer.unwrap_or_else(|_| Err("timed out".to_owned()));
    answer.inspect_err(|reason| tracing::debug!(host, reason, "no well-known answer")).ok()
}

async fn try_fetch(client: &GuardedClient, host: &str, now: Timestamp) -> Result<Answer, String> {
    let url = format!("https://{host}/.well-known/matrix/server");
    let url = url.parse().map_err(|error: url::ParseError| error.to_string())?;
    let response = follow(client, url).await?;
    let fresh_for = fresh_for(response.headers(), now);
    let body = read_body(response, MOST_BYTES).await.map_err(|error| error.to_string())?;
    let document = serde_json::from_slice(&body).map_err(|error| error.to_string())?;
    read_document(&document, fresh_for).ok_or_else(|| "it names no server".to_owned())
}

fn read_document(document: &Map<String, Value>, fresh_for: Duration) -> Option<Answer> {
    let server = document.get("m.server").and_then(read_name);
    let media_server = MEDIA_SERVER.iter().find_map(|key| document.get(*key)).and_then(read_name);
    (server.is_some() || media_server.is_some()).then_some(Answer { server, media_server, fresh_for })
}

/// A server name that can be connected to.
fn read_name(value: &Value) -> Option<ServerName> {
    let name: ServerName = value.as_str()?.parse().ok()?;
    Host::read(name.host()).map(|_| name)
}

/// Follows redirects, none of them twice; the guard looks at each hop.
async fn follow(client: &GuardedClient, mut url: Url) -> Result<Response, String> {
    let mut seen = HashSet::from([url.clone()]);
    for _ in 0..=MOST_REDIRECTS {
        let request = client.get(url.clone()).map_err(|error| error.to_string())?;
        let response = request.send().await.map_err(|error| error.to_string())?;
        match response.status() {
            StatusCode::OK => return Ok(response),
            status if status.is_redirection() => {
                url = redirect_target(&url, response.headers())?;
                if !seen.insert(url.clone()) {
                    return Err("redirects lead round in a circle".to_owned());
                }
            }
            status => return Err(format!("answered with {status}")),
        }
    }
    Err("too many redirects".to_owned())
}

fn redirect_target(from: &Url, headers: &HeaderMap) -> Result<Url, String> {
    let location = headers.get(LOCATION).and_then(|value| value.to_str().ok()).ok_or("redirect to nowhere")?;
    from.join(location).map_err(|error| error.to_string())
}

/// How long the answer may be believed, within our bounds.
fn fresh_for(headers: &HeaderMap, now: Timestamp) -> Duration {
    told_lifetime(headers, now).unwrap_or(FRESH_BY_DEFAULT).clamp(SHORTEST_FRESH, LONGEST_FRESH)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::freshness::read_date;

    fn fresh(pairs: &[(&'static str, &'static str)]) -> u64 {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        let now = read_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        fresh_for(&headers, now).as_secs()
    }

    fn read(document: &Value) -> Option<(Option<String>, Option<String>)> {
        let answer = read_document(document.as_object().unwrap(), Duration::ZERO)?;
        let text = |name: Option<ServerName>| name.map(|name| name.to_string());
        Some((text(answer.server), text(answer.media_server)))
    }

    #[test]
    fn a_document_may_name_a_server_and_one_for_media() {
        let some = |name: &str| Some(name.to_owned());
        for (document, expected) in [
            (json!({"m.server": "a:1", "x": 1}), Some((some("a:1"), None))),
            (json!({"m.server": "a", "m.media_server": "b:2"}), Some((some("a"), some("b:2")))),
            (json!({"m.server": "a", "com.beeper.msc3859.m.media_server": "c"}), Some((some("a"), some("c")))),
            (
                json!({"m.server": "a", "com.beeper.msc3859.m.media_server": "c", "m.media_server": "b"}),
                Some((some("a"), some("b"))),
            ),
            (json!({"com.beeper.msc3859.m.media_server": "c", "m.media_server": "b/"}), None),
            (json!({"m.server": "a", "m.media_server": 1}), Some((some("a"), None))),
            (json!({"m.media_server": "b"}), Some((None, some("b")))),
            (json!({"m.server": "a/b", "m.media_server": "[::1]"}), Some((None, some("[::1]")))),
            (json!({"m.server": ["a"]}), None),
            (json!({"m.server": "127.1"}), None),
            (json!({}), None),
        ] {
            assert_eq!(read(&document), expected, "{document}");
        }
    }

    #[test]
    fn an_answer_is_believed_as_its_headers_say_within_bounds() {
        let (day, hour) = (24 * 3600, 3600);
        for (headers, expected) in [
            (vec![], day),
            (vec![("cache-control", "public, Max-Age=3600")], hour),
            (vec![("cache-control", "public"), ("cache-control", "max-age=\"3600\"")], hour),
            (vec![("cache-control", "max-age=1")], 300),
            (vec![("cache-control", "max-age=99999999")], 2 * day),
            (vec![("cache-control", "max-age=x")], 300),
            (vec![("cache-control", "max-age=3600, no-store")], 300),
            (vec![("expires", "Sun, 06 Nov 1994 09:49:37 GMT")], hour),
            (vec![("expires", "0")], 300),
            (vec![("expires", "Sun, 06 Nov 1994 08:49:37 GMT"), ("cache-control", "max-age=3600")], hour),
        ] {
            assert_eq!(fresh(&headers), expected, "{headers:?}");
        }
    }
}
