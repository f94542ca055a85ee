//! Text as it may be shown: one line, without control characters, of a bounded length.

use std::convert::Infallible;

use html5gum::{Emitter, Error, State, Tokenizer};

/// The longest title, in characters.
pub(crate) const TITLE: usize = 500;
/// The longest description, and any other text, in characters.
pub(crate) const DESCRIPTION: usize = 1000;
/// How far back a cut looks for the end of a word.
const WORD: usize = 40;
/// Longest string of which entities are decoded; of a longer one nobody sees the end.
const ENCODED: usize = 16 << 10;

/// A line that is put together of pieces. What is beyond its length is dropped as it comes.
#[derive(Debug)]
pub(crate) struct Line {
    text: String,
    most: usize,
    count: usize,
    gap: bool,
    cut: bool,
}

impl Line {
    pub(crate) fn new(most: usize) -> Self {
        Self { text: String::new(), most, count: 0, gap: false, cut: false }
    }

    pub(crate) fn push(&mut self, piece: &str) {
        for character in piece.chars() {
            if self.cut {
                return;
            }
            if character.is_whitespace() {
                self.gap = true;
            } else if !is_dropped(character) {
                self.push_visible(character);
            }
        }
    }

    fn push_visible(&mut self, character: char) {
        let gap = self.gap && self.count > 0;
        if self.count + usize::from(gap) >= self.most {
            self.cut = true;
            return;
        }
        if gap {
            self.text.push(' ');
        }
        self.text.push(character);
        self.count += 1 + usize::from(gap);
        self.gap = false;
    }

    /// The next piece is another word.
    pub(crate) fn space(&mut self) {
        self.gap = true;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// In characters.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// The text, with an ellipsis if there was more; empty afterwards.
    pub(crate) fn take(&mut self) -> String {
        let Self { text, cut, .. } = std::mem::replace(self, Self::new(self.most));
        if cut { shorten(text) } else { text }
    }
}

/// Characters that are not shown, or that change how what follows is shown (the embeddings and
/// isolates of bidirectional text, which a page may leave open).
fn is_dropped(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{ad}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
        || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Makes room for the ellipsis, at the end of a word if there is one nearby.
fn shorten(mut text: String) -> String {
    text.pop();
    let near = text.char_indices().rev().nth(WORD).map_or(0, |(at, _)| at);
    if let Some(space) = text[near..].rfind(' ') {
        text.truncate(near + space);
    }
    text.push('…');
    text
}

/// `text` as one line of at most `most` characters; `None` if nothing is left.
pub(crate) fn clean(text: &str, most: usize) -> Option<String> {
    let mut line = Line::new(most);
    line.push(text);
    (!line.is_empty()).then(|| line.take())
}

/// Decodes the entities of a text that is not HTML but was written as if it were.
pub(crate) fn decode_entities(text: &str) -> String {
    let text = up_to(text, ENCODED);
    if !text.contains('&') {
        return text.to_owned();
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut tokenizer = Tokenizer::new_with_emitter(text, Characters(&mut decoded));
    // In this state there are no tags but the end of the current one, which there is not.
    tokenizer.set_state(State::RcData);
    let Ok(()) = tokenizer.finish();
    String::from_utf8_lossy(&decoded).into_owned()
}

/// The beginning of `text`, of at most so many bytes.
pub(crate) fn up_to(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

/// Keeps characters alone.
struct Characters<'a>(&'a mut Vec<u8>);

impl Emitter for Characters<'_> {
    type Token = Infallible;

    fn emit_string(&mut self, text: &[u8]) {
        self.0.extend_from_slice(text);
    }

    fn should_emit_errors(&mut self) -> bool {
        false
    }

    fn pop_token(&mut self) -> Option<Infallible> {
        None
    }

    fn emit_current_tag(&mut self) -> Option<State> {
        None
    }

    fn current_is_appropriate_end_tag_token(&mut self) -> bool {
        false
    }

    fn set_last_start_tag(&mut self, _: Option<&[u8]>) {}
    fn emit_eof(&mut self) {}
    fn emit_error(&mut self, _: Error) {}
    fn init_start_tag(&mut self) {}
    fn init_end_tag(&mut self) {}
    fn init_comment(&mut self) {}
    fn emit_current_comment(&mut self) {}
    fn emit_current_doctype(&mut self) {}
    fn set_self_closing(&mut self) {}
    fn set_force_quirks(&mut self) {}
    fn push_tag_name(&mut self, _: &[u8]) {}
    fn push_comment(&mut self, _: &[u8]) {}
    fn push_doctype_name(&mut self, _: &[u8]) {}
    fn init_doctype(&mut self) {}
    fn init_attribute(&mut self) {}
    fn push_attribute_name(&mut self, _: &[u8]) {}
    fn push_attribute_value(&mut self, _: &[u8]) {}
    fn set_doctype_public_identifier(&mut self, _: &[u8]) {}
    fn set_doctype_system_identifier(&mut self, _: &[u8]) {}
    fn push_doctype_public_identifier(&mut self, _: &[u8]) {}
    fn push_doctype_system_identifier(&mut self, _: &[u8]) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_becomes_one_line_without_what_is_not_shown() {
        for (text, line) in [
            ("  a \r\n\t b  ", Some("a b")),
            ("a\0b\u{1b}[31mc", Some("ab[31mc")),
            ("\u{202e}evil\u{2066}", Some("evil")),
            ("\u{feff}x\u{a0}y", Some("x y")),
            ("👩\u{200d}👩", Some("👩\u{200d}👩")),
            (" \u{7f}\n", None),
            ("", None),
        ] {
            assert_eq!(clean(text, 100).as_deref(), line, "{text:?}");
        }
    }

    #[test]
    fn what_is_too_long_ends_with_a_word_and_an_ellipsis() {
        assert_eq!(clean("one two three", 13).unwrap(), "one two three");
        assert_eq!(clean("one two three", 12).unwrap(), "one two…");
        assert_eq!(clean(&"ä".repeat(600), 500).unwrap(), format!("{}…", "ä".repeat(499)));
        assert_eq!(clean("a        ", 1).unwrap(), "a");
        assert_eq!(clean("ab", 1).unwrap(), "…");
    }

    #[test]
    fn a_line_of_pieces_is_the_line_of_the_whole() {
        let mut line = Line::new(20);
        for piece in ["one", " ", "two ", " three"] {
            line.push(piece);
        }

        assert_eq!((line.len(), line.take()), (13, "one two three".to_owned()));
        assert!(line.is_empty());
    }

    #[test]
    fn entities_are_decoded_once() {
        for (text, decoded) in [
            ("Tom &amp; Jerry", "Tom & Jerry"),
            ("&amp;lt;", "&lt;"),
            ("&#8217;&#x2019;&rsquo;", "’’’"),
            ("<b>&lt;</title></b>", "<b><</title></b>"),
            ("a & b &zzz;", "a & b &zzz;"),
            ("&#xD800;&#0;", "\u{fffd}\u{fffd}"),
        ] {
            assert_eq!(decode_entities(text), decoded, "{text}");
        }
    }
}
