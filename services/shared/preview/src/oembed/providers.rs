//! Sites that answer oEmbed without saying so on their pages, or better than their pages.

use std::sync::LazyLock;

use serde::Deserialize;
use url::Url;
use wildmatch::WildMatch;

use super::{Format, Link};
use crate::address::{as_text, is_host};

static BUILT_IN: LazyLock<Providers> =
    LazyLock::new(|| Providers::parse(include_str!("../data/providers.toml")).unwrap_or_default());

/// A table of providers.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Providers {
    provider: Vec<Provider>,
}

/// The text is no table of providers.
#[derive(Debug, Clone, thiserror::Error)]
#[error("no table of oEmbed providers: {0}")]
pub struct InvalidProviders(String);

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Provider {
    #[expect(dead_code, reason = "for those who read the table")]
    name: String,
    hosts: Vec<String>,
    /// Path and query.
    pages: Vec<String>,
    #[serde(with = "as_text")]
    endpoint: Url,
}

impl Providers {
    /// The table that comes with us.
    pub fn built_in() -> &'static Self {
        &BUILT_IN
    }

    /// Reads a table as `data/providers.toml` has it.
    pub fn parse(text: &str) -> Result<Self, InvalidProviders> {
        toml::from_str(text).map_err(|error| InvalidProviders(error.to_string()))
    }

    /// Where to ask about `page`, if it is one that the table knows.
    pub fn find(&self, page: &Url) -> Option<Link> {
        let host = page.domain()?;
        let path = &page[url::Position::BeforePath..url::Position::AfterQuery];
        let provider = self.provider.iter().find(|provider| provider.has(host, path))?;
        let mut url = provider.endpoint.clone();
        url.query_pairs_mut().append_pair("format", "json").append_pair("url", page.as_str());
        Some(Link { url, format: Format::Json })
    }
}

impl Provider {
    fn has(&self, host: &str, path: &str) -> bool {
        self.hosts.iter().any(|pattern| is_host(pattern, host))
            && self.pages.iter().any(|pattern| WildMatch::new(pattern).matches(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_that_comes_with_us_can_be_read() {
        let table = Providers::parse(include_str!("../data/providers.toml")).unwrap();

        assert!(table.provider.len() >= 12);
        assert!(table.provider.iter().all(|provider| provider.endpoint.scheme() == "https"));
    }

    #[test]
    fn a_page_of_a_provider_is_asked_about_there() {
        for (page, endpoint) in [
            (
                "https://www.youtube.com/watch?v=a&t=3",
                Some(
                    "https://www.youtube.com/oembed?format=json&url=https%3A%2F%2Fwww.youtube.com%2Fwatch%3Fv%3Da%26t%3D3",
                ),
            ),
            (
                "https://youtu.be/abc",
                Some("https://www.youtube.com/oembed?format=json&url=https%3A%2F%2Fyoutu.be%2Fabc"),
            ),
            (
                "https://vimeo.com/76979871",
                Some("https://vimeo.com/api/oembed.json?format=json&url=https%3A%2F%2Fvimeo.com%2F76979871"),
            ),
            ("https://www.youtube.com/", None),
            ("https://youtube.com.evil.example/watch?v=a", None),
            ("https://evil.example/https://youtu.be/abc", None),
            ("https://127.0.0.1/watch?v=a", None),
        ] {
            let link = Providers::built_in().find(&page.parse().unwrap());
            assert_eq!(link.as_ref().map(|link| link.url.as_str()), endpoint, "{page}");
        }
    }

    #[test]
    fn what_is_no_table_is_refused() {
        for text in
            ["[[provider]]\nname = 'x'", "provider = 3", "[[provider]]\nname='x'\nhosts=[]\npages=[]\nendpoint='x'"]
        {
            assert!(Providers::parse(text).is_err(), "{text}");
        }
    }
}
