//! A page: read once, as its bytes come, no further than need be.

use std::{cell::Cell, io::Read};

use html5gum::Tokenizer;
use url::Url;

use crate::{
    address::{resolve, resolve_resource},
    charset,
    emitter::Tokens,
    facts::Facts,
    gather::Gatherer,
    language::Languages,
    oembed::{Format, Link},
    source::{Hints, Source},
};

/// Bytes that are read of a page unless it is said otherwise. All that a page says of itself is
/// hardly ever beyond; whatever these bytes are, to read them takes a few hundredths of a second.
pub const PAGE_BYTES: usize = 3 << 19;

/// What came with the bytes of a page.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The URL that the last redirect led to.
    pub url: &'a Url,
    /// `Content-Type`, as it was sent.
    pub content_type: Option<&'a str>,
    /// What the user would like to read.
    pub languages: &'a Languages,
    /// Bytes that are read at most: see [`PAGE_BYTES`].
    pub most_bytes: usize,
}

/// What a page says of itself.
#[derive(Debug, Clone)]
pub struct Page {
    pub(crate) url: Url,
    pub(crate) base: Url,
    pub(crate) facts: Facts,
}

impl Page {
    /// Reads a page from `bytes`, until enough is known or there is no more. An error of the
    /// source counts as its end. Blocks as the source does; memory does not grow with the page.
    pub fn read(bytes: impl Read, context: Context<'_>) -> Self {
        let met = Cell::new(None);
        let told = context.content_type.and_then(charset::of_content_type);
        let domain = context.url.domain().and_then(|name| name.rsplit('.').next());
        let source = Source::new(bytes, context.most_bytes, Hints { told, met: &met, domain });
        let mut gatherer = Gatherer::new(context.languages, &met);
        // The first token is the word that it is enough.
        let _ = Tokenizer::new_with_emitter(source, Tokens::new(&mut gatherer)).next();
        Self::new(context.url.clone(), gatherer.finish())
    }

    fn new(url: Url, facts: Facts) -> Self {
        let base = facts.base.as_deref().and_then(|base| resolve(&url, base)).unwrap_or_else(|| url.clone());
        Self { url, base, facts }
    }

    /// Where the page says that more is said of it, if it does.
    pub fn oembed(&self) -> Option<Link> {
        let link = |format, href: &Option<String>| Some(Link { url: self.resource(href.as_deref()?)?, format });
        link(Format::Json, &self.facts.oembed_json).or_else(|| link(Format::Xml, &self.facts.oembed_xml))
    }

    /// Where the page leads at once, without having said anything but a title of itself.
    pub fn leads_to(&self) -> Option<Url> {
        let Facts { graph, card, .. } = &self.facts;
        let is_silent = graph.title.get().or(card.title.get()).is_none();
        self.facts.refresh.as_deref().filter(|_| is_silent).and_then(|target| self.resource(target))
    }

    /// The URL under which the page wants to be known.
    pub fn canonical(&self) -> Option<Url> {
        resolve(&self.base, self.facts.canonical.as_deref()?)
    }

    pub(crate) fn resource(&self, text: &str) -> Option<Url> {
        resolve_resource(&self.base, &self.url, text)
    }
}
