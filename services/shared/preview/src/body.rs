//! The page itself, for those that say nothing of themselves: headings, text, pictures.

use std::borrow::Cow;

use crate::{
    facts::Statements,
    language::Languages,
    pictures::Pictures,
    tag::{Attribute, Class, Tag},
    text::{DESCRIPTION, Line, TITLE},
};

/// Text of a page is taken paragraph by paragraph until there is so much of it,
const ENOUGH_TEXT: usize = 200;
/// and cut there.
const MOST_TEXT: usize = 500;
/// A paragraph of fewer characters is a caption or a button rather than prose,
const PROSE: usize = 40;
/// and so is any other block of fewer.
const PROSE_OF_BLOCK: usize = 80;
/// Roles of regions that are not about the subject of the page.
const ASIDE_ROLES: &[&str] = &[
    "banner",
    "complementary",
    "contentinfo",
    "dialog",
    "directory",
    "menu",
    "menubar",
    "navigation",
    "search",
    "toolbar",
];

/// Follows the elements of a page without keeping them.
#[derive(Debug)]
pub(crate) struct Body {
    /// How many `<svg>` and `<math>` are open.
    drawings: u32,
    aside: Option<Aside>,
    line: Line,
    block: Block,
    prose: Line,
    any: Line,
    headings: Line,
    heading: Heading,
    pictures: Pictures,
    player: Option<String>,
}

/// What the line that is being read stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Block {
    Paragraph,
    Heading,
    Other,
}

/// A region whose text is left out. Only elements of its own name are counted, so its depth is a number.
#[derive(Debug)]
struct Aside {
    name: Vec<u8>,
    depth: u32,
}

#[derive(Debug)]
struct Heading {
    line: Line,
    /// Of the one that is being read.
    level: Option<u8>,
    best: Option<(u8, String)>,
}

impl Body {
    pub(crate) fn new() -> Self {
        Self {
            drawings: 0,
            aside: None,
            line: Line::new(DESCRIPTION),
            block: Block::Other,
            prose: Line::new(MOST_TEXT),
            any: Line::new(MOST_TEXT),
            headings: Line::new(MOST_TEXT),
            heading: Heading { line: Line::new(TITLE), level: None, best: None },
            pictures: Pictures::default(),
            player: None,
        }
    }

    pub(crate) fn is_drawing(&self) -> bool {
        self.drawings > 0
    }

    /// Whether the tag is part of a drawing. Elements that cannot be in one end it, as its end may
    /// have been forgotten.
    pub(crate) fn draw(&mut self, tag: &Tag) -> bool {
        let begins = matches!(tag.name(), b"svg" | b"math");
        if self.is_drawing() && ends_drawing(tag.name()) {
            self.drawings = 0;
        }
        if begins && !tag.is_closed {
            self.line.space();
            self.drawings = self.drawings.saturating_add(1);
        }
        begins || self.is_drawing()
    }

    pub(crate) fn start(&mut self, tag: &Tag) {
        let class = Class::of(tag.name());
        match tag.name() {
            b"img" => self.pictures.offer(tag, self.aside.is_some()),
            b"video" => {
                self.pictures.offer_poster(tag);
                self.keep_player(tag);
            }
            b"embed" => self.keep_player(tag),
            _ => {}
        }
        if class == Class::Heading {
            self.heading.start(tag.name());
        }
        if class == Class::Void || self.enter_aside(tag, class) {
            return;
        }
        self.break_line(class);
        match class {
            Class::Paragraph => self.block = Block::Paragraph,
            Class::Heading => self.block = Block::Heading,
            _ => {}
        }
    }

    fn keep_player(&mut self, tag: &Tag) {
        if self.player.is_none() {
            self.player = tag.get(Attribute::Src).map(Cow::into_owned);
        }
    }

    /// Where the first video is.
    pub(crate) fn player(&mut self) -> Option<String> {
        self.player.take()
    }

    pub(crate) fn end(&mut self, name: &[u8]) {
        if self.is_drawing() {
            self.drawings -= u32::from(matches!(name, b"svg" | b"math"));
            return;
        }
        let class = Class::of(name);
        if class == Class::Heading {
            self.heading.end();
        }
        if !self.leave_aside(name) {
            self.break_line(class);
        }
    }

    pub(crate) fn text(&mut self, piece: &str) {
        if self.is_drawing() {
            return;
        }
        if self.heading.level.is_some() {
            self.heading.line.push(piece);
        }
        if self.aside.is_none() {
            self.line.push(piece);
        }
    }

    pub(crate) fn has_title(&self) -> bool {
        self.heading.best.is_some()
    }

    pub(crate) fn has_text(&self) -> bool {
        self.prose.len() >= ENOUGH_TEXT
    }

    pub(crate) fn has_picture(&self) -> bool {
        self.pictures.has_good()
    }

    /// Whether the tag belongs to a region that is left out.
    fn enter_aside(&mut self, tag: &Tag, class: Class) -> bool {
        if let Some(aside) = &mut self.aside {
            aside.depth = aside.depth.saturating_add(u32::from(aside.name == tag.name()));
            return true;
        }
        let is_aside = class == Class::Aside || is_left_out(tag);
        if is_aside {
            self.break_line(Class::Block);
            self.aside = Some(Aside { name: tag.name().to_vec(), depth: 1 });
        }
        is_aside
    }

    fn leave_aside(&mut self, name: &[u8]) -> bool {
        let Some(aside) = &mut self.aside else { return false };
        if aside.name == name {
            aside.depth -= 1;
            if aside.depth == 0 {
                self.aside = None;
            }
        }
        true
    }

    fn break_line(&mut self, class: Class) {
        match class {
            Class::Inline | Class::Void => {}
            Class::Space => {
                self.line.space();
                self.heading.line.space();
            }
            Class::Paragraph | Class::Heading | Class::Aside | Class::Block => {
                self.finish_line();
                self.block = Block::Other;
            }
        }
    }

    fn finish_line(&mut self) {
        if self.line.is_empty() {
            return;
        }
        let length = self.line.len();
        let line = self.line.take();
        if is_url(&line) {
            return;
        }
        match self.block {
            Block::Heading => return add(&mut self.headings, &line),
            Block::Paragraph if length >= PROSE => add(&mut self.prose, &line),
            Block::Other if length >= PROSE_OF_BLOCK => add(&mut self.prose, &line),
            Block::Paragraph | Block::Other => {}
        }
        add(&mut self.any, &line);
    }

    /// What was found.
    pub(crate) fn finish(mut self) -> Statements {
        self.finish_line();
        self.heading.end();
        let (mut said, fit) = (Statements::default(), Languages::default().fit(None));
        if let Some((_, heading)) = &self.heading.best {
            said.title(fit, heading);
        }
        let mut texts = [self.prose, self.any, self.headings].into_iter();
        if let Some(mut text) = texts.find(|text| !text.is_empty()) {
            said.description(fit, &text.take());
        }
        said.pictures = self.pictures.finish();
        said
    }
}

fn add(summary: &mut Line, line: &str) {
    if summary.len() < ENOUGH_TEXT {
        summary.space();
        summary.push(line);
    }
}

/// Elements that cannot be within `<svg>` or `<math>` (the standard's list, of those that matter here).
fn ends_drawing(name: &[u8]) -> bool {
    let is_block = matches!(
        name,
        b"blockquote"
            | b"body"
            | b"center"
            | b"div"
            | b"dl"
            | b"embed"
            | b"head"
            | b"img"
            | b"li"
            | b"menu"
            | b"meta"
            | b"ol"
            | b"p"
            | b"pre"
            | b"span"
            | b"strong"
            | b"table"
            | b"ul"
    );
    is_block || Class::of(name) == Class::Heading
}

/// Nothing but a URL: of some use to a program, and none to people.
fn is_url(line: &str) -> bool {
    (line.starts_with("https://") || line.starts_with("http://")) && !line.contains(' ')
}

/// By its attributes. Elements whose end need not be said are not left out: who knows where they end.
fn is_left_out(tag: &Tag) -> bool {
    let has_end = !matches!(
        tag.name(),
        b"body" | b"br" | b"dd" | b"dt" | b"html" | b"li" | b"main" | b"option" | b"p" | b"td" | b"th" | b"tr"
    );
    let is_hidden = tag.has(Attribute::Hidden) || tag.has_word(Attribute::AriaHidden, "true");
    has_end
        && (is_hidden || tag.has(Attribute::Role) && ASIDE_ROLES.iter().any(|role| tag.has_word(Attribute::Role, role)))
}

impl Heading {
    fn start(&mut self, name: &[u8]) {
        self.end();
        self.level = name.last().map(|digit| digit - b'0').filter(|level| *level <= 3);
    }

    fn end(&mut self) {
        let Some(level) = self.level.take() else { return };
        if !self.line.is_empty() && self.best.as_ref().is_none_or(|(best, _)| level < *best) {
            self.best = Some((level, self.line.take()));
        }
        self.line.take();
    }
}
