//! Between the tokenizer and what gathers facts: keeps of each token no more than is of use.

use html5gum::{Emitter, Error, State};

use crate::{gather::Gatherer, tag::Tag};

/// Said to the tokenizer's caller when there is no need to read on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Enough;

/// Hands tags and text on.
pub(crate) struct Tokens<'a, 'b> {
    gatherer: &'a mut Gatherer<'b>,
    tag: Tag,
    is_start: bool,
    /// The element whose end ends raw text.
    last_start: Vec<u8>,
    /// The beginning of a character whose end is still to come.
    rest: Vec<u8>,
}

impl<'a, 'b> Tokens<'a, 'b> {
    pub(crate) fn new(gatherer: &'a mut Gatherer<'b>) -> Self {
        Self { gatherer, tag: Tag::default(), is_start: false, last_start: Vec::new(), rest: Vec::new() }
    }

    fn start(&mut self, is_start: bool) {
        self.tag.clear();
        self.rest.clear();
        self.is_start = is_start;
    }

    fn pass(&mut self, text: &[u8]) {
        for chunk in text.utf8_chunks() {
            if !chunk.valid().is_empty() {
                self.gatherer.text(chunk.valid());
            }
            // A piece may end within a character; the tokenizer makes no others.
            self.rest.clear();
            self.rest.extend_from_slice(chunk.invalid());
        }
    }

    /// How the content of the element is to be read.
    fn content(&self) -> Option<State> {
        let is_foreign = self.gatherer.is_foreign();
        match self.tag.name() {
            b"title" | b"textarea" => Some(State::RcData),
            b"script" if !(is_foreign && self.tag.is_closed) => Some(State::ScriptData),
            b"style" if is_foreign => None,
            b"style" | b"xmp" | b"iframe" | b"noembed" | b"noframes" | b"noscript" => Some(State::RawText),
            b"plaintext" => Some(State::PlainText),
            _ => None,
        }
    }
}

impl Emitter for Tokens<'_, '_> {
    type Token = Enough;

    fn pop_token(&mut self) -> Option<Enough> {
        self.gatherer.has_enough().then_some(Enough)
    }

    fn emit_string(&mut self, text: &[u8]) {
        if !self.gatherer.wants_text() {
            return;
        }
        if self.rest.is_empty() {
            return self.pass(text);
        }
        let mut whole = std::mem::take(&mut self.rest);
        whole.extend_from_slice(text);
        self.pass(&whole);
    }

    fn init_start_tag(&mut self) {
        self.start(true);
    }

    fn init_end_tag(&mut self) {
        self.start(false);
    }

    fn emit_current_tag(&mut self) -> Option<State> {
        self.tag.finish_attribute();
        if !self.is_start {
            self.gatherer.end(self.tag.name());
            return None;
        }
        let content = self.content();
        self.gatherer.start(&self.tag);
        self.last_start.clear();
        self.last_start.extend_from_slice(self.tag.name());
        content
    }

    fn set_self_closing(&mut self) {
        self.tag.is_closed = true;
    }

    fn push_tag_name(&mut self, piece: &[u8]) {
        self.tag.push_name(piece);
    }

    fn init_attribute(&mut self) {
        self.tag.start_attribute();
    }

    fn push_attribute_name(&mut self, piece: &[u8]) {
        self.tag.push_attribute_name(piece);
    }

    fn push_attribute_value(&mut self, piece: &[u8]) {
        self.tag.push_value(piece);
    }

    fn current_is_appropriate_end_tag_token(&mut self) -> bool {
        !self.is_start && self.tag.name() == self.last_start
    }

    fn adjusted_current_node_present_but_not_in_html_namespace(&mut self) -> bool {
        self.gatherer.is_foreign()
    }

    fn should_emit_errors(&mut self) -> bool {
        false
    }

    fn set_last_start_tag(&mut self, _: Option<&[u8]>) {}
    fn emit_eof(&mut self) {}
    fn emit_error(&mut self, _: Error) {}
    fn init_comment(&mut self) {}
    fn emit_current_comment(&mut self) {}
    fn emit_current_doctype(&mut self) {}
    fn set_force_quirks(&mut self) {}
    fn push_comment(&mut self, _: &[u8]) {}
    fn push_doctype_name(&mut self, _: &[u8]) {}
    fn init_doctype(&mut self) {}
    fn set_doctype_public_identifier(&mut self, _: &[u8]) {}
    fn set_doctype_system_identifier(&mut self, _: &[u8]) {}
    fn push_doctype_public_identifier(&mut self, _: &[u8]) {}
    fn push_doctype_system_identifier(&mut self, _: &[u8]) {}
}
