//! How long an answer may be kept, by its own headers.

use std::time::{Duration, UNIX_EPOCH};

use heliograph_types::Timestamp;
use http::header::{AGE, CACHE_CONTROL, DATE, EXPIRES, HeaderMap, HeaderName};

/// What the headers say to a shared cache (RFC 9111); `None` if they say nothing. Zero for what is
/// not to be kept, or not to be kept by several.
pub fn told_lifetime(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let held = text(headers, &AGE).and_then(|age| age.parse().ok()).map_or(Duration::ZERO, Duration::from_secs);
    max_age(headers).map(|age| age.saturating_sub(held)).or_else(|| {
        let expires = headers.get(EXPIRES)?.to_str().ok();
        let sent = text(headers, &DATE).and_then(read_date).unwrap_or(now);
        // A date that cannot be read is in the past.
        Some(expires.and_then(read_date).map_or(Duration::ZERO, |expires| expires.since(sent)))
    })
}

fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let values = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let (mut age, mut shared) = (None, None);
    for directive in values.flat_map(|value| value.split(',')).map(|text| text.trim().to_ascii_lowercase()) {
        match directive.split_once('=').unwrap_or((&directive, "")) {
            ("no-store" | "no-cache" | "private", _) => return Some(Duration::ZERO),
            ("max-age", seconds) => age = Some(read_seconds(seconds)),
            ("s-maxage", seconds) => shared = Some(read_seconds(seconds)),
            _ => {}
        }
    }
    shared.or(age)
}

fn read_seconds(text: &str) -> Duration {
    text.trim().trim_matches('"').parse().map_or(Duration::ZERO, Duration::from_secs)
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// An HTTP date.
pub(crate) fn read_date(text: &str) -> Option<Timestamp> {
    let since_epoch = httpdate::parse_http_date(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(Timestamp::from_millis(0) + since_epoch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_may_be_kept_as_its_headers_say() {
        let now = read_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        for (pairs, seconds) in [
            (vec![], None),
            (vec![("cache-control", "public, Max-Age=7200")], Some(7200)),
            (vec![("cache-control", "max-age=7200, s-maxage=600")], Some(600)),
            (vec![("cache-control", "max-age=\"7200\""), ("age", "6600")], Some(600)),
            (vec![("cache-control", "max-age=7200"), ("age", "9999")], Some(0)),
            (vec![("cache-control", "max-age=99999999999")], Some(99_999_999_999)),
            (vec![("cache-control", "max-age=7200"), ("cache-control", "no-store")], Some(0)),
            (vec![("cache-control", "private=\"x\", max-age=7200")], Some(0)),
            (vec![("cache-control", "max-age=-1")], Some(0)),
            (vec![("expires", "Sun, 06 Nov 1994 09:49:36 GMT")], Some(3599)),
            (vec![("expires", "Sun, 06 Nov 1994 09:49:36 GMT"), ("date", "Sun, 06 Nov 1994 09:39:36 GMT")], Some(600)),
            (vec![("expires", "Sun, 06 Nov 1994 09:49:36 GMT"), ("cache-control", "max-age=60")], Some(60)),
            (vec![("expires", "0")], Some(0)),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in &pairs {
                headers.append(*name, value.parse().unwrap());
            }
            assert_eq!(told_lifetime(&headers, now).map(|told| told.as_secs()), seconds, "{pairs:?}");
        }
    }
}
