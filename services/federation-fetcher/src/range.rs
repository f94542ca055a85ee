//! Whether an answer goes on where an earlier one broke off (RFC 9110, sections 13 and 14). Pure.

use reqwest::{
    StatusCode,
    header::{
        CONTENT_LENGTH, CONTENT_RANGE, DATE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_RANGE, LAST_MODIFIED, RANGE,
    },
};

/// What an answer said of its content, so that a later one can be held against it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Version {
    name: HeaderName,
    value: HeaderValue,
    /// The size of all of it, if that is known.
    pub(crate) total_bytes: Option<u64>,
}

/// Where the bytes of an answer are to be taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GoOn {
    /// So many at the beginning are here already.
    pub(crate) skip_bytes: u64,
    /// The size of all of it, if that is known now.
    pub(crate) total_bytes: Option<u64>,
}

impl Version {
    /// `None` if nothing tells this content from what may be there later.
    pub(crate) fn of(headers: &HeaderMap, total_bytes: Option<u64>) -> Option<Self> {
        let strong_tag = headers.get(ETAG).filter(|tag| tag.as_bytes().starts_with(b"\""));
        let strong_date = || {
            // Within the second of the answer it may have changed again. HTTP has one way to
            // write a date, so other text is another second.
            let sent = headers.get(DATE)?;
            headers.get(LAST_MODIFIED).filter(|modified| *modified != sent)
        };
        let tag = strong_tag.map(|tag| (ETAG, tag));
        let (name, value) = tag.or_else(|| Some((LAST_MODIFIED, strong_date()?)))?;
        Some(Self { name, value: value.clone(), total_bytes })
    }

    /// The headers that ask for the rest from `at`.
    pub(crate) fn ask_from(&self, at: u64) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Ok(range) = format!("bytes={at}-").parse() {
            headers.insert(RANGE, range);
            headers.insert(IF_RANGE, self.value.clone());
        }
        headers
    }

    /// What to do with an answer to that; an error says why it is of no use.
    pub(crate) fn judge(&self, status: StatusCode, headers: &HeaderMap, at: u64) -> Result<GoOn, String> {
        let theirs = headers.get(&self.name);
        match status {
            StatusCode::PARTIAL_CONTENT => {
                if theirs.is_some_and(|theirs| *theirs != self.value) {
                    return Err("the content has changed".to_owned());
                }
                self.judge_part(headers, at)
            }
            StatusCode::OK if theirs != Some(&self.value) => Err("the content has changed".to_owned()),
            StatusCode::OK => {
                let length = read_length(headers);
                if length.is_none() || length != self.total_bytes {
                    return Err("the length of the content has changed".to_owned());
                }
                Ok(GoOn { skip_bytes: at, total_bytes: length })
            }
            _ => Err(format!("asked for the rest, it answered {}", status.as_u16())),
        }
    }

    fn judge_part(&self, headers: &HeaderMap, at: u64) -> Result<GoOn, String> {
        let range = headers.get(CONTENT_RANGE).and_then(|value| value.to_str().ok()).and_then(read_content_range);
        let ContentRange { first, last, total } = range.ok_or("it answered a part without saying which")?;
        if first != at || last < first || total <= last {
            return Err("it answered another part than was asked for".to_owned());
        }
        if self.total_bytes.is_some_and(|known| known != total) {
            return Err("the length of the content has changed".to_owned());
        }
        if read_length(headers).is_some_and(|length| length != last - first + 1) {
            return Err("it contradicts itself on the length of the part".to_owned());
        }
        Ok(GoOn { skip_bytes: 0, total_bytes: Some(total) })
    }
}

struct ContentRange {
    first: u64,
    last: u64,
    total: u64,
}

/// `bytes 5-9/10`. A total that is not told is no help.
fn read_content_range(text: &str) -> Option<ContentRange> {
    let (range, total) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    Some(ContentRange { first: read_number(first)?, last: read_number(last)?, total: read_number(total)? })
}

fn read_length(headers: &HeaderMap) -> Option<u64> {
    read_number(headers.get(CONTENT_LENGTH)?.to_str().ok()?)
}

fn read_number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MONDAY: &str = "Mon, 02 Nov 2026 00:00:00 GMT";
    const TUESDAY: &str = "Tue, 03 Nov 2026 00:00:00 GMT";

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    fn version() -> Version {
        Version::of(&headers(&[("etag", "\"a\"")]), Some(10)).unwrap()
    }

    fn judged(status: u16, pairs: &[(&'static str, &str)]) -> Result<u64, String> {
        let status = StatusCode::from_u16(status).unwrap();
        version().judge(status, &headers(pairs), 4).map(|go_on| go_on.skip_bytes)
    }

    #[test]
    fn only_what_names_one_content_can_be_gone_on_with() {
        for (pairs, expected) in [
            (&[("etag", "\"a\""), ("last-modified", MONDAY), ("date", TUESDAY)][..], Some("\"a\"")),
            (&[("etag", "W/\"a\""), ("last-modified", MONDAY), ("date", TUESDAY)], Some(MONDAY)),
            (&[("last-modified", MONDAY), ("date", MONDAY)], None),
            (&[("last-modified", MONDAY)], None),
            (&[("etag", "W/\"a\"")], None),
            (&[("etag", "a")], None),
            (&[("date", MONDAY)], None),
        ] {
            let asked = Version::of(&headers(pairs), None).map(|version| version.ask_from(7));

            let condition = asked.as_ref().map(|asked| asked[IF_RANGE].to_str().unwrap());
            assert_eq!(condition, expected, "{pairs:?}");
            assert!(asked.is_none_or(|asked| asked[RANGE] == "bytes=7-"));
        }
    }

    #[test]
    fn the_rest_of_the_same_content_goes_on() {
        for pairs in [
            &[("content-range", "bytes 4-9/10"), ("etag", "\"a\""), ("content-length", "6")][..],
            &[("content-range", "bytes 4-9/10")],
            // Less than was asked for: the rest is asked for after that.
            &[("content-range", "bytes 4-6/10"), ("content-length", "3")],
        ] {
            assert_eq!(judged(206, pairs), Ok(0), "{pairs:?}");
        }
        assert_eq!(judged(200, &[("etag", "\"a\""), ("content-length", "10")]), Ok(4), "read again from its beginning");
    }

    #[test]
    fn anything_else_is_the_end() {
        for (status, pairs) in [
            (206, &[("content-range", "bytes 4-9/10"), ("etag", "\"b\"")][..]),
            (206, &[("content-range", "bytes 4-9/11")]),
            (206, &[("content-range", "bytes 4-9/*")]),
            (206, &[("content-range", "bytes 3-9/10")]),
            (206, &[("content-range", "bytes 4-10/10")]),
            (206, &[("content-range", "bytes 4-3/10")]),
            (206, &[("content-range", "bytes +4-9/10")]),
            (206, &[("content-range", "items 4-9/10")]),
            (206, &[("content-range", "bytes 4-9/10"), ("content-length", "5")]),
            (206, &[("content-type", "multipart/byteranges; boundary=B")]),
            (200, &[("etag", "\"b\""), ("content-length", "10")]),
            (200, &[("content-length", "10")]),
            (200, &[("etag", "\"a\""), ("content-length", "11")]),
            (200, &[("etag", "\"a\"")]),
            (416, &[("content-range", "bytes */10")]),
            (304, &[("etag", "\"a\"")]),
            (500, &[]),
        ] {
            assert!(judged(status, pairs).is_err(), "{status} {pairs:?}");
        }
    }

    #[test]
    fn a_part_tells_the_size_of_the_whole() {
        let unknown = Version { total_bytes: None, ..version() };
        let part = headers(&[("content-range", "bytes 4-9/10")]);

        assert_eq!(
            unknown.judge(StatusCode::PARTIAL_CONTENT, &part, 4),
            Ok(GoOn { skip_bytes: 0, total_bytes: Some(10) })
        );
        let whole = headers(&[("etag", "\"a\""), ("content-length", "10")]);
        assert!(unknown.judge(StatusCode::OK, &whole, 4).is_err(), "nobody knows whether that is the same length");
    }
}
