//! URLs that a page names.

use url::Url;

/// Longest URL that is followed or told.
const LONGEST: usize = 4096;

/// The URL that `text` means on a page at `base`; `None` unless it is one of the web, without a
/// name or password in it.
pub(crate) fn resolve(base: &Url, text: &str) -> Option<Url> {
    let text = text.trim();
    if text.is_empty() || text.len() > LONGEST {
        return None;
    }
    let url = base.join(text).ok()?;
    let is_web = matches!(url.scheme(), "http" | "https") && url.has_host();
    let is_plain = url.username().is_empty() && url.password().is_none();
    (is_web && is_plain && url.as_str().len() <= LONGEST).then_some(url)
}

/// A resource, which is the same whatever part of it is pointed to.
pub(crate) fn resolve_resource(base: &Url, page: &Url, text: &str) -> Option<Url> {
    let mut url = resolve(base, text)?;
    url.set_fragment(None);
    // "#" and the like lead to the page itself.
    let is_page = url.as_str() == &page[..url::Position::AfterQuery];
    (!is_page).then_some(url)
}

/// Whether `host` is one that `pattern` means: `example.org`, or with `*.example.org` all below it too.
pub(crate) fn is_host(pattern: &str, host: &str) -> bool {
    let Some(parent) = pattern.strip_prefix("*.") else { return host == pattern };
    host == parent || host.strip_suffix(parent).is_some_and(|rest| rest.ends_with('.'))
}

/// The name of the file that a URL leads to.
pub(crate) fn file_name(url: &Url) -> Option<String> {
    let last = url.path_segments()?.next_back().filter(|name| !name.is_empty())?;
    Some(percent_encoding::percent_decode_str(last).decode_utf8_lossy().into_owned())
}

/// A URL in stored previews and in tables: as text.
pub(crate) mod as_text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use url::Url;

    pub(crate) fn serialize<S: Serializer>(url: &Url, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(url.as_str())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Url, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_resolved_and_only_those_of_the_web_are_kept() {
        let base: Url = "https://example.org/a/b?c#d".parse().unwrap();
        for (text, url) in [
            ("x.png", Some("https://example.org/a/x.png")),
            (" /x y.png\n", Some("https://example.org/x%20y.png")),
            ("//cdn.example/x", Some("https://cdn.example/x")),
            ("http://ünï.example/", Some("http://xn--n-nga1b.example/")),
            ("https:x", Some("https://example.org/a/x")),
            ("?q", Some("https://example.org/a/b?q")),
            ("#top", None),
            ("", None),
            ("data:image/png;base64,AA", None),
            ("javascript:alert(1)", None),
            ("ftp://example.org/x", None),
            ("https://user:secret@example.org/x", None),
            ("http://[::1", None),
            ("http://", None),
        ] {
            assert_eq!(resolve_resource(&base, &base, text).as_ref().map(Url::as_str), url, "{text:?}");
        }
        assert_eq!(resolve(&base, &"x".repeat(5000)), None);
    }

    #[test]
    fn a_pattern_of_hosts_means_no_host_that_only_looks_alike() {
        assert!(is_host("*.example.org", "example.org") && is_host("*.example.org", "a.b.example.org"));
        assert!(!is_host("*.example.org", "badexample.org") && !is_host("*.example.org", "example.org.evil"));
        assert!(is_host("example.org", "example.org") && !is_host("example.org", "www.example.org"));
    }
}
