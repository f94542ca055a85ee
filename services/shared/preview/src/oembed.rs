//! oEmbed: where to ask, and what the answers say.

mod providers;
mod xml;

use std::time::Duration;

use serde_json::{Map, Value};
use url::Url;

pub use providers::{InvalidProviders, Providers};

use crate::{
    facts::Statements,
    language::Languages,
    page::{Context, Page},
    text::{decode_entities, up_to},
};

/// Longest answer that is worth fetching.
pub const OEMBED_BYTES: usize = 256 << 10;
/// Longest HTML within an answer that is looked at.
const LONGEST_HTML: usize = 64 << 10;

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `application/json`
    Json,
    /// `text/xml`
    Xml,
}

/// Where an oEmbed answer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Of http or https; whether it may be fetched is the fetcher's to say.
    pub url: Url,
    /// What is expected there.
    pub format: Format,
}

/// An answer.
#[derive(Debug, Clone, Default)]
pub struct OEmbed {
    pub(crate) said: Statements,
    /// How long the answer may be believed, if it says so.
    pub cache_age: Option<Duration>,
}

/// Why something is no oEmbed answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidOEmbed {
    /// It is longer than [`OEMBED_BYTES`].
    #[error("longer than an oEmbed answer may be")]
    TooLarge,
    /// It cannot be read.
    #[error("neither JSON nor XML of an oEmbed answer")]
    Malformed,
    /// It is of another version than 1.0.
    #[error("of an unknown version of oEmbed")]
    UnknownVersion,
}

impl OEmbed {
    /// Reads an answer that was asked for the page at `page`.
    pub fn parse(bytes: &[u8], format: Format, page: &Url) -> Result<Self, InvalidOEmbed> {
        if bytes.len() > OEMBED_BYTES {
            return Err(InvalidOEmbed::TooLarge);
        }
        let answer = match format {
            Format::Json => serde_json::from_slice(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)).ok(),
            Format::Xml => xml::parse(bytes),
        };
        let answer = Answer(answer.ok_or(InvalidOEmbed::Malformed)?);
        // Some leave it out, some send a number.
        let is_known = answer.scalar("version").is_none_or(|version| matches!(version.as_str(), "1.0" | "1"));
        if is_known { Ok(answer.read(page)) } else { Err(InvalidOEmbed::UnknownVersion) }
    }
}

struct Answer(Map<String, Value>);

impl Answer {
    fn text(&self, name: &str) -> Option<String> {
        self.0.get(name)?.as_str().map(|text| text.trim().to_owned())
    }

    /// A number, or a text that may be one.
    fn scalar(&self, name: &str) -> Option<String> {
        self.text(name).or_else(|| self.0.get(name)?.as_number().map(ToString::to_string))
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.scalar(name)?.parse().ok()
    }

    /// Texts should be plain; many providers send them as if they were HTML.
    fn plain(&self, name: &str) -> Option<String> {
        self.text(name).map(|text| decode_entities(&text))
    }

    fn read(&self, page: &Url) -> OEmbed {
        let (mut said, fit) = (Statements::default(), Languages::default().fit(None));
        if let Some(title) = self.plain("title") {
            said.title(fit, &title);
        }
        if let Some(name) = self.plain("provider_name") {
            said.site_name(fit, &name);
        }
        for description in ["description", "summary"].into_iter().filter_map(|name| self.plain(name)) {
            said.description(fit, &description);
        }
        self.read_type(&mut said);
        if let Some(url) = self.text("thumbnail_url") {
            said.picture(&url, None);
        }
        if let Some(html) = self.text("html") {
            read_html(&html, page, &mut said);
        }
        // Of a note there is no title but who wrote it.
        if let Some(author) = self.plain("author_name") {
            said.title(fit, &author);
        }
        OEmbed { said, cache_age: self.number("cache_age").map(Duration::from_secs) }
    }

    fn read_type(&self, said: &mut Statements) {
        match (self.text("type").as_deref(), self.text("url")) {
            (Some("photo"), Some(url)) => said.picture(&url, None),
            (Some("video"), _) => {
                said.member("og:type", "video.other");
                for name in ["width", "height"] {
                    if let Some(size) = self.number(name) {
                        said.member(&format!("og:video:{name}"), &size.to_string());
                    }
                }
            }
            (Some("link"), _) => said.member("og:type", "website"),
            _ => {}
        }
    }
}

/// What is in the HTML that is meant to be embedded: text, a picture, where the video is.
fn read_html(html: &str, page: &Url, said: &mut Statements) {
    let (languages, html) = (Languages::default(), up_to(html, LONGEST_HTML));
    let context = Context {
        url: page,
        content_type: Some("text/html; charset=utf-8"),
        languages: &languages,
        most_bytes: LONGEST_HTML,
    };
    let Page { facts, .. } = Page::read(html.as_bytes(), context);
    if let Some(text) = facts.body.description.get() {
        said.description(languages.fit(None), text);
    }
    for found in &facts.body.pictures {
        said.picture(&found.url, found.alt.as_deref());
    }
    if let Some(url) = &facts.player {
        said.member("og:video", url);
    }
}

#[cfg(test)]
mod tests;
