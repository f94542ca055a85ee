//! What is kept of a tag: its name, and the attributes that may matter.

use std::borrow::Cow;

/// Longest name that is told from others.
const LONGEST_NAME: usize = 32;
/// Longest value; what is beyond it is dropped. No title, description or URL needs as much.
const LONGEST_VALUE: usize = 8 << 10;

/// An attribute that may matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attribute {
    Alt,
    AriaHidden,
    Charset,
    Content,
    DataSrc,
    Height,
    Hidden,
    Href,
    HttpEquiv,
    Itemprop,
    Lang,
    Name,
    Poster,
    Property,
    Rel,
    Role,
    Sizes,
    Src,
    Srcset,
    Type,
    Width,
}

const COUNT: usize = Attribute::Width as usize + 1;

impl Attribute {
    fn named(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"alt" => Self::Alt,
            b"aria-hidden" => Self::AriaHidden,
            b"charset" => Self::Charset,
            b"content" => Self::Content,
            b"data-src" => Self::DataSrc,
            b"height" => Self::Height,
            b"hidden" => Self::Hidden,
            b"href" => Self::Href,
            b"http-equiv" => Self::HttpEquiv,
            b"itemprop" => Self::Itemprop,
            b"lang" | b"xml:lang" => Self::Lang,
            b"name" => Self::Name,
            b"poster" => Self::Poster,
            b"property" => Self::Property,
            b"rel" => Self::Rel,
            b"role" => Self::Role,
            b"sizes" => Self::Sizes,
            b"src" => Self::Src,
            b"srcset" => Self::Srcset,
            b"type" => Self::Type,
            b"width" => Self::Width,
            _ => return None,
        })
    }
}

/// The tag that is being read. Its memory is used for the next one again.
#[derive(Debug, Default)]
pub(crate) struct Tag {
    name: Vec<u8>,
    values: [Vec<u8>; COUNT],
    /// A bit for each attribute that is there.
    present: u32,
    attribute_name: Vec<u8>,
    current: Option<Attribute>,
    /// `<a/>`
    pub(crate) is_closed: bool,
}

impl Tag {
    pub(crate) fn clear(&mut self) {
        self.name.clear();
        self.attribute_name.clear();
        self.present = 0;
        self.current = None;
        self.is_closed = false;
    }

    pub(crate) fn push_name(&mut self, piece: &[u8]) {
        push(&mut self.name, piece, LONGEST_NAME);
    }

    pub(crate) fn name(&self) -> &[u8] {
        &self.name
    }

    pub(crate) fn start_attribute(&mut self) {
        self.finish_attribute();
        self.attribute_name.clear();
        self.current = None;
    }

    pub(crate) fn push_attribute_name(&mut self, piece: &[u8]) {
        push(&mut self.attribute_name, piece, LONGEST_NAME);
    }

    pub(crate) fn push_value(&mut self, piece: &[u8]) {
        self.finish_attribute();
        if let Some(attribute) = self.current {
            push(&mut self.values[attribute as usize], piece, LONGEST_VALUE);
        }
    }

    /// The name is complete. Of attributes of one name the first counts.
    pub(crate) fn finish_attribute(&mut self) {
        if self.attribute_name.is_empty() {
            return;
        }
        self.current = Attribute::named(&self.attribute_name).filter(|attribute| !self.has(*attribute));
        self.attribute_name.clear();
        if let Some(attribute) = self.current {
            self.present |= 1 << attribute as u32;
            self.values[attribute as usize].clear();
        }
    }

    pub(crate) fn has(&self, attribute: Attribute) -> bool {
        self.present & (1 << attribute as u32) != 0
    }

    /// The value without white space around it, if there is anything left.
    pub(crate) fn get(&self, attribute: Attribute) -> Option<Cow<'_, str>> {
        let value = self.has(attribute).then(|| self.values[attribute as usize].trim_ascii())?;
        (!value.is_empty()).then(|| String::from_utf8_lossy(value))
    }

    /// Whether the value, a list of words, has this one.
    pub(crate) fn has_word(&self, attribute: Attribute, word: &str) -> bool {
        let value = self.get(attribute);
        value.is_some_and(|value| value.split_ascii_whitespace().any(|one| one.eq_ignore_ascii_case(word)))
    }

    /// A number of pixels: what stands at the beginning of the value.
    pub(crate) fn pixels(&self, attribute: Attribute) -> Option<u32> {
        let value = self.get(attribute)?;
        let end = value.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(value.len());
        // A part of the width is not known in pixels.
        if value[end..].trim_start().starts_with('%') { None } else { value[..end].parse().ok() }
    }
}

fn push(into: &mut Vec<u8>, piece: &[u8], most: usize) {
    let room = most.saturating_sub(into.len()).min(piece.len());
    into.extend_from_slice(&piece[..room]);
}

/// How an element takes part in the text of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// Within a line.
    Inline,
    /// White space within a line.
    Space,
    /// `<p>`
    Paragraph,
    Heading,
    /// A region that is not about the subject of the page, or is not text.
    Aside,
    /// Has no content.
    Void,
    /// Everything else ends the line before it.
    Block,
}

impl Class {
    pub(crate) fn of(name: &[u8]) -> Self {
        match name {
            b"a" | b"abbr" | b"acronym" | b"b" | b"bdi" | b"bdo" | b"big" | b"cite" | b"code" | b"data" | b"del"
            | b"dfn" | b"em" | b"font" | b"i" | b"ins" | b"kbd" | b"label" | b"mark" | b"nobr" | b"picture" | b"q"
            | b"rb" | b"ruby" | b"s" | b"samp" | b"small" | b"span" | b"strike" | b"strong" | b"sub" | b"sup"
            | b"time" | b"tt" | b"u" | b"var" => Self::Inline,
            b"br" => Self::Space,
            b"p" => Self::Paragraph,
            b"h1" | b"h2" | b"h3" | b"h4" | b"h5" | b"h6" => Self::Heading,
            b"aside" | b"audio" | b"button" | b"canvas" | b"dialog" | b"footer" | b"header" | b"map" | b"menu"
            | b"nav" | b"object" | b"rp" | b"rt" | b"select" | b"template" | b"video" => Self::Aside,
            b"area" | b"base" | b"col" | b"embed" | b"hr" | b"img" | b"input" | b"link" | b"meta" | b"param"
            | b"source" | b"track" | b"wbr" => Self::Void,
            _ => Self::Block,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(attributes: &[(&str, &str)]) -> Tag {
        let mut tag = Tag::default();
        for (name, value) in attributes {
            tag.start_attribute();
            name.as_bytes().chunks(2).for_each(|piece| tag.push_attribute_name(piece));
            value.as_bytes().chunks(1).for_each(|piece| tag.push_value(piece));
        }
        tag.finish_attribute();
        tag
    }

    #[test]
    fn of_attributes_of_one_name_the_first_counts() {
        let tag = tag(&[("content", " a "), ("onclick", "x"), ("content", "b"), ("hidden", "")]);

        assert_eq!(tag.get(Attribute::Content).as_deref(), Some("a"));
        assert!(tag.has(Attribute::Hidden) && !tag.has(Attribute::Src));
        assert_eq!(tag.get(Attribute::Hidden), None);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let long = "x".repeat(LONGEST_VALUE + 10);
        let mut tag = tag(&[("content", &long), (&long, &long)]);
        tag.push_name(long.as_bytes());

        assert_eq!(tag.get(Attribute::Content).map(|value| value.len()), Some(LONGEST_VALUE));
        assert_eq!((tag.name().len(), tag.present.count_ones()), (LONGEST_NAME, 1));
    }

    #[test]
    fn nothing_of_a_tag_is_left_to_the_next() {
        let mut tag = tag(&[("content", "a"), ("src", "b")]);
        tag.clear();
        tag.start_attribute();
        tag.push_attribute_name(b"src");
        tag.finish_attribute();

        assert_eq!((tag.get(Attribute::Content), tag.get(Attribute::Src)), (None, None));
    }

    #[test]
    fn sizes_are_read_in_pixels() {
        for (value, pixels) in
            [("640", Some(640)), ("640px", Some(640)), ("100%", None), ("auto", None), ("99999999999", None)]
        {
            assert_eq!(tag(&[("width", value)]).pixels(Attribute::Width), pixels, "{value}");
        }
    }
}
