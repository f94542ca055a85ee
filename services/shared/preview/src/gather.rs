//! Takes tags and text as they come and keeps what they say of the page.

use std::{borrow::Cow, cell::Cell};

use encoding_rs::Encoding;

use crate::{
    body::Body,
    charset,
    facts::Facts,
    json_ld,
    language::Languages,
    meta::{read_link, read_meta},
    tag::{Attribute, Tag},
    text::{Line, TITLE},
};

/// Bytes of JSON-LD that are read of one page.
const MOST_JSON: usize = 2 * json_ld::LONGEST;

/// Where text goes at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Nothing,
    Title,
    Json,
    Body,
}

/// All that is known of a page so far; of bounded size, whatever the page.
pub(crate) struct Gatherer<'a> {
    languages: &'a Languages,
    /// The encoding that the page names.
    charset: &'a Cell<Option<&'static Encoding>>,
    facts: Facts,
    body: Body,
    target: Target,
    title: Line,
    json: Vec<u8>,
    json_left: usize,
    has_enough: bool,
}

impl<'a> Gatherer<'a> {
    pub(crate) fn new(languages: &'a Languages, charset: &'a Cell<Option<&'static Encoding>>) -> Self {
        Self {
            languages,
            charset,
            facts: Facts::default(),
            body: Body::new(),
            target: Target::Body,
            title: Line::new(TITLE),
            json: Vec::new(),
            json_left: MOST_JSON,
            has_enough: false,
        }
    }

    /// Whether the rest of the page can be left alone.
    pub(crate) fn has_enough(&self) -> bool {
        self.has_enough
    }

    pub(crate) fn wants_text(&self) -> bool {
        self.target != Target::Nothing
    }

    /// Within `<svg>` or `<math>`, where other rules hold.
    pub(crate) fn is_foreign(&self) -> bool {
        self.body.is_drawing()
    }

    pub(crate) fn start(&mut self, tag: &Tag) {
        self.finish_text();
        if self.body.draw(tag) {
            return;
        }
        match tag.name() {
            b"meta" => self.meta(tag),
            b"link" => read_link(tag, &mut self.facts),
            b"base" => keep_base(tag, &mut self.facts),
            b"title" => self.target = Target::Title,
            b"script" => self.target = self.script(tag),
            b"style" | b"xmp" | b"iframe" | b"noembed" | b"noframes" | b"noscript" | b"textarea" => {
                self.target = Target::Nothing;
            }
            b"head" | b"html" => {}
            b"body" => self.end_head(),
            _ => self.body.start(tag),
        }
    }

    pub(crate) fn end(&mut self, name: &[u8]) {
        self.finish_text();
        match name {
            b"head" => self.end_head(),
            b"title" | b"script" | b"style" | b"noscript" => {}
            _ => {
                self.body.end(name);
                self.look_at_body();
            }
        }
    }

    pub(crate) fn text(&mut self, piece: &str) {
        match self.target {
            Target::Nothing => {}
            Target::Title => self.title.push(piece),
            Target::Json => self.push_json(piece),
            Target::Body => self.body.text(piece),
        }
    }

    /// What was found, after the last token.
    pub(crate) fn finish(mut self) -> Facts {
        self.finish_text();
        self.facts.player = self.body.player();
        self.facts.body = self.body.finish();
        self.facts
    }

    fn meta(&mut self, tag: &Tag) {
        read_meta(tag, &mut self.facts, self.languages);
        if self.charset.get().is_none() {
            let own = tag.get(Attribute::Charset).and_then(|label| charset::of_own_word(&label));
            let content = tag.get(Attribute::Content).filter(|_| tag.has_word(Attribute::HttpEquiv, "content-type"));
            let other = || charset::of_content_type(&content?).map(charset::as_own_word);
            self.charset.set(own.or_else(other));
        }
    }

    fn script(&self, tag: &Tag) -> Target {
        let kind = tag.get(Attribute::Type);
        let is_linked = kind.is_some_and(|kind| kind.to_ascii_lowercase().starts_with("application/ld+json"));
        if is_linked && self.json_left > 0 { Target::Json } else { Target::Nothing }
    }

    /// A script that is too long is not read at all: half of it would be no JSON.
    fn push_json(&mut self, piece: &str) {
        if self.json.len() + piece.len() > json_ld::LONGEST.min(self.json_left) {
            self.json_left = self.json_left.saturating_sub(self.json.len());
            self.json.clear();
            self.target = Target::Nothing;
            return;
        }
        self.json.extend_from_slice(piece.as_bytes());
    }

    /// A tag ends what was collected.
    fn finish_text(&mut self) {
        match self.target {
            Target::Title if !self.title.is_empty() => {
                let title = self.title.take();
                self.facts.markup.title(self.languages.fit(None), &title);
            }
            Target::Json => {
                json_ld::read(&self.json, &mut self.facts.linked, self.languages);
                self.json_left = self.json_left.saturating_sub(self.json.len());
                self.json.clear();
            }
            _ => {}
        }
        self.target = Target::Body;
    }

    fn end_head(&mut self) {
        self.has_enough |= self.facts.is_complete();
    }

    /// What the head did not say, the body may have said by now.
    fn look_at_body(&mut self) {
        if self.body.has_text() || self.body.has_picture() {
            self.has_enough |= (self.body.has_title() || self.facts.title().is_some())
                && (self.body.has_text() || self.facts.has_description())
                && (self.body.has_picture() || self.facts.has_picture());
        }
    }
}

fn keep_base(tag: &Tag, facts: &mut Facts) {
    if facts.base.is_none() {
        facts.base = tag.get(Attribute::Href).map(Cow::into_owned);
    }
}
