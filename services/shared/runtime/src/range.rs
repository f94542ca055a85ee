//! `Range` requests (RFC 9110, section 14).

use std::ops::Range;

/// More ranges than this are not worth the trouble: the answer is all of it.
const MOST_RANGES: usize = 16;

/// What a `Range` header asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// Everything: no header, or one that may be ignored.
    All,
    /// These bytes.
    Part(Range<u64>),
    /// These parts, in the order in which they were asked for; at least two.
    Parts(Vec<Range<u64>>),
    /// Bytes that are not there.
    Unsatisfiable,
}

/// One range of a header.
enum Asked {
    Part(Range<u64>),
    BeyondTheEnd,
}

/// Reads a `Range` header for content of `size` bytes. Other units and malformed headers are
/// ignored, as the RFC says; so are many ranges and ranges that overlap, as it allows, and an
/// empty file has no ranges.
pub fn wanted_range(header: Option<&str>, size: u64) -> Wanted {
    let Some(specs) = header.and_then(|header| header.trim().strip_prefix("bytes=")) else {
        return Wanted::All;
    };
    if size == 0 || specs.split(',').count() > MOST_RANGES {
        return Wanted::All;
    }
    let asked: Option<Vec<Asked>> = specs.split(',').map(|spec| read(spec.trim(), size)).collect();
    let Some(asked) = asked else { return Wanted::All };
    let mut parts: Vec<Range<u64>> = asked.into_iter().filter_map(Asked::part).collect();
    match parts.len() {
        0 => Wanted::Unsatisfiable,
        1 => parts.pop().map_or(Wanted::All, Wanted::Part),
        _ if overlap(&parts) => Wanted::All,
        _ => Wanted::Parts(parts),
    }
}

/// `None` for what is no range.
fn read(spec: &str, size: u64) -> Option<Asked> {
    let (first, last) = spec.split_once('-')?;
    match (number(first), number(last)) {
        (Some(first), None) if last.trim().is_empty() => Some(Asked::within(first, size, size)),
        (Some(first), Some(last)) if first <= last => Some(Asked::within(first, last.saturating_add(1), size)),
        (None, Some(0)) if first.trim().is_empty() => Some(Asked::BeyondTheEnd),
        (None, Some(suffix)) if first.trim().is_empty() => Some(Asked::within(size.saturating_sub(suffix), size, size)),
        _ => None,
    }
}

impl Asked {
    fn within(start: u64, end: u64, size: u64) -> Self {
        if start >= size { Self::BeyondTheEnd } else { Self::Part(start..end.min(size)) }
    }

    fn part(self) -> Option<Range<u64>> {
        match self {
            Self::Part(part) => Some(part),
            Self::BeyondTheEnd => None,
        }
    }
}

fn overlap(parts: &[Range<u64>]) -> bool {
    let mut sorted: Vec<&Range<u64>> = parts.iter().collect();
    sorted.sort_by_key(|part| part.start);
    sorted.windows(2).any(|pair| pair[0].end > pair[1].start)
}

fn number(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // More digits than fit are beyond the end of every file.
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{wanted_range as wanted, *};

    #[test]
    fn one_range_of_bytes_is_understood() {
        for (header, expected) in [
            ("bytes=0-", 0..10),
            ("bytes=0-0", 0..1),
            ("bytes=3-5", 3..6),
            ("bytes=3-99", 3..10),
            ("bytes=-4", 6..10),
            ("bytes=-99", 0..10),
            ("bytes=9-", 9..10),
            ("bytes=2-99999999999999999999999", 2..10),
            ("bytes=20-30,3-5", 3..6),
        ] {
            assert_eq!(wanted(Some(header), 10), Wanted::Part(expected), "{header}");
        }
    }

    #[test]
    fn several_ranges_are_understood() {
        for (header, expected) in [
            ("bytes=0-1,3-4", vec![0..2, 3..5]),
            ("bytes=8-, 0-0 , -1", vec![]),
            ("bytes=5-5,0-1,99-", vec![5..6, 0..2]),
        ] {
            let expected = if expected.is_empty() { Wanted::All } else { Wanted::Parts(expected) };
            assert_eq!(wanted(Some(header), 10), expected, "{header}");
        }
    }

    #[test]
    fn what_lies_beyond_the_end_cannot_be_had() {
        for header in ["bytes=10-", "bytes=10-20", "bytes=-0", "bytes=99999999999999999999999-", "bytes=10-,11-"] {
            assert_eq!(wanted(Some(header), 10), Wanted::Unsatisfiable, "{header}");
        }
    }

    #[test]
    fn what_is_not_understood_is_ignored() {
        for header in
            ["", "bytes=", "bytes=-", "bytes=a-b", "lines=1-2", "bytes=5-3", "bytes 0-1", "bytes=0-1,", "bytes=0-1,x"]
        {
            assert_eq!(wanted(Some(header), 10), Wanted::All, "{header}");
        }
        assert_eq!(wanted(None, 10), Wanted::All);
        assert_eq!(wanted(Some("bytes=0-1"), 0), Wanted::All);
        assert_eq!(wanted(Some("bytes=0-5,3-8"), 10), Wanted::All);
        assert_eq!(wanted(Some(&format!("bytes={}", ["0-0"; 17].join(","))), 10), Wanted::All);
    }

    proptest! {
        #[test]
        fn no_header_leads_out_of_the_content(header in "bytes=[0-9, -]{0,40}", size in 0_u64..100) {
            let parts = match wanted(Some(&header), size) {
                Wanted::All | Wanted::Unsatisfiable => vec![],
                Wanted::Part(part) => vec![part],
                Wanted::Parts(parts) => parts,
            };
            for part in parts {
                prop_assert!(part.start < part.end && part.end <= size);
            }
        }
    }
}
