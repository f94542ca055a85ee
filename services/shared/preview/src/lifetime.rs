//! How long a preview may be kept, by the headers of its page.

use std::time::{Duration, UNIX_EPOCH};

use heliograph_types::Timestamp;
use http::header::{AGE, CACHE_CONTROL, DATE, EXPIRES, HeaderMap, HeaderName};

/// Bounds of what headers can say.
#[derive(Debug, Clone, Copy)]
pub struct Lifetime {
    /// What is not to be kept at all is kept so long, or each reader of a room would fetch it.
    pub shortest: Duration,
    /// Of what says nothing.
    pub usual: Duration,
    /// Nothing is kept longer.
    pub longest: Duration,
}

impl Lifetime {
    /// How long an answer with these headers is kept.
    pub fn of(&self, headers: &HeaderMap, now: Timestamp) -> Duration {
        self.bound(told(headers, now))
    }

    /// As long as two sources agree on: a page, and what oEmbed says of it.
    pub fn of_both(&self, headers: &HeaderMap, now: Timestamp, other: Option<Duration>) -> Duration {
        let told = told(headers, now);
        self.bound(told.into_iter().chain(other).min())
    }

    fn bound(&self, told: Option<Duration>) -> Duration {
        // Not `clamp`, which panics if an operator has the bounds the wrong way around.
        told.unwrap_or(self.usual).max(self.shortest).min(self.longest)
    }
}

/// What the headers of a shared cache say (RFC 9111).
fn told(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
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

fn read_date(text: &str) -> Option<Timestamp> {
    let since_epoch = httpdate::parse_http_date(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(Timestamp::from_millis(0) + since_epoch)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Lifetime = Lifetime {
        shortest: Duration::from_mins(5),
        usual: Duration::from_hours(1),
        longest: Duration::from_hours(24),
    };

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
        pairs.fold(HeaderMap::new(), |mut headers, (name, value)| {
            headers.append(name, value);
            headers
        })
    }

    #[test]
    fn a_preview_is_kept_as_its_headers_say_within_bounds() {
        let now = read_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        for (pairs, seconds) in [
            (vec![], 3600),
            (vec![("cache-control", "public, Max-Age=7200")], 7200),
            (vec![("cache-control", "max-age=7200, s-maxage=600")], 600),
            (vec![("cache-control", "max-age=\"7200\""), ("age", "6600")], 600),
            (vec![("cache-control", "max-age=7200"), ("age", "9999")], 300),
            (vec![("cache-control", "max-age=99999999999")], 86400),
            (vec![("cache-control", "max-age=7200"), ("cache-control", "no-store")], 300),
            (vec![("cache-control", "private=\"x\", max-age=7200")], 300),
            (vec![("cache-control", "max-age=-1")], 300),
            (vec![("expires", "Sun, 06 Nov 1994 09:49:36 GMT")], 3599),
            (vec![("expires", "Sun, 06 Nov 1994 09:49:36 GMT"), ("date", "Sun, 06 Nov 1994 09:39:36 GMT")], 600),
            (vec![("expires", "0")], 300),
        ] {
            assert_eq!(BOUNDS.of(&headers(&pairs), now).as_secs(), seconds, "{pairs:?}");
        }
    }

    #[test]
    fn of_two_sources_the_shorter_time_counts() {
        let now = Timestamp::from_millis(0);
        let page = headers(&[("cache-control", "max-age=7200")]);

        assert_eq!(BOUNDS.of_both(&page, now, Some(Duration::from_mins(10))).as_secs(), 600);
        assert_eq!(BOUNDS.of_both(&page, now, Some(Duration::MAX)).as_secs(), 7200);
        assert_eq!(BOUNDS.of_both(&HeaderMap::new(), now, None), BOUNDS.usual);
    }

    #[test]
    fn bounds_that_contradict_each_other_do_no_harm() {
        let wrong = Lifetime { shortest: Duration::from_secs(10), longest: Duration::from_secs(5), ..BOUNDS };

        assert_eq!(wrong.of(&HeaderMap::new(), Timestamp::from_millis(0)).as_secs(), 5);
    }
}
