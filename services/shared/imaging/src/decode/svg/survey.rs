//! A look over the text of a drawing, before anything is made of it.
//!
//! One pass without an allocation: parsers take longer than the text is long for elements with many
//! attributes, and more stack the deeper elements lie.

use crate::error::RenderError;

/// Elements, texts and comments together.
pub(super) const MOST_NODES: u32 = 100_000;
/// How deep elements lie in each other.
pub(super) const MOST_DEPTH: u32 = 64;
/// A longer file is not a drawing for a chat.
const MOST_BYTES: usize = 4 << 20;
const MOST_ATTRIBUTES: u32 = 256;
/// Each is copied to all elements inside that declare more.
const MOST_NAMESPACES: usize = 2000;
/// Where the first element must begin.
const PROLOG_BYTES: usize = 4096;

/// Whether the first element is `svg`. Before it may stand what XML allows.
pub(super) fn begins_as_svg(file: &[u8]) -> bool {
    let start = &file[..file.len().min(PROLOG_BYTES)];
    let mut rest = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start).trim_ascii_start();
    while let Some((_, after)) = skip_markup(rest) {
        rest = after.trim_ascii_start();
    }
    let name =
        rest.strip_prefix(b"<svg:").or_else(|| rest.strip_prefix(b"<")).and_then(|name| name.strip_prefix(b"svg"));
    name.and_then(<[u8]>::first).is_some_and(|next| next.is_ascii_whitespace() || b">/:".contains(next))
}

/// Goes over the text and refuses what is too much.
pub(super) fn check(text: &[u8]) -> Result<(), RenderError> {
    if text.len() > MOST_BYTES {
        return Err(RenderError::broken("a drawing that is too long"));
    }
    let (mut depth, mut nodes, mut namespaces) = (0_u32, 0_u32, 0);
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| *byte == b'<') {
        rest = &rest[at..];
        // With the text before it.
        nodes += 2;
        if let Some((markup, after)) = skip_markup(rest) {
            if markup == Markup::Declarations {
                return Err(RenderError::broken("a drawing with declarations of its own"));
            }
            rest = after;
            continue;
        }
        let tag = Tag::read(rest)?;
        depth = match tag.kind {
            Kind::Start => depth + 1,
            Kind::End => depth.saturating_sub(1),
            Kind::Empty => depth,
        };
        namespaces += rest[..rest.len() - tag.after.len()].windows(5).filter(|name| name == b"xmlns").count();
        if namespaces > MOST_NAMESPACES || tag.attributes > MOST_ATTRIBUTES || depth > MOST_DEPTH || nodes > MOST_NODES
        {
            return Err(RenderError::broken("a drawing with too many elements"));
        }
        rest = tag.after;
    }
    Ok(())
}

/// What stands between `<` and `>` and is no element.
#[derive(PartialEq)]
enum Markup {
    Harmless,
    /// A document type with entities or the like.
    Declarations,
}

/// What comes after a comment, an instruction, a section of raw text or a document type.
fn skip_markup(rest: &[u8]) -> Option<(Markup, &[u8])> {
    for (start, end) in [(&b"<!--"[..], &b"-->"[..]), (b"<![CDATA[", b"]]>"), (b"<?", b"?>")] {
        if let Some(inside) = rest.strip_prefix(start) {
            return Some((Markup::Harmless, after(inside, end)));
        }
    }
    let inside = rest.strip_prefix(b"<!")?;
    // Of anything else, the end is not known, or it declares something.
    if !inside.starts_with(b"DOCTYPE") {
        return Some((Markup::Declarations, b""));
    }
    let end = inside.iter().position(|byte| b"[>".contains(byte)).unwrap_or(inside.len());
    if inside.get(end) == Some(&b'[') {
        return Some((Markup::Declarations, after(inside, b"]>")));
    }
    Some((Markup::Harmless, inside.get(end + 1..).unwrap_or_default()))
}

/// What comes after `end`; nothing without it.
fn after<'t>(text: &'t [u8], end: &[u8]) -> &'t [u8] {
    let at = text.windows(end.len()).position(|window| window == end);
    at.and_then(|at| text.get(at + end.len()..)).unwrap_or_default()
}

enum Kind {
    Start,
    End,
    Empty,
}

/// The tag that a text begins with.
struct Tag<'t> {
    kind: Kind,
    attributes: u32,
    after: &'t [u8],
}

impl<'t> Tag<'t> {
    fn read(text: &'t [u8]) -> Result<Self, RenderError> {
        let (mut quote, mut attributes) = (None, 0);
        for (at, byte) in text.iter().enumerate().skip(1) {
            match (quote, byte) {
                (None, b'"' | b'\'') => {
                    quote = Some(*byte);
                    attributes += 1;
                }
                (None, b'>') => {
                    let kind = match (text.get(1), text[at - 1]) {
                        (Some(b'/'), _) => Kind::End,
                        (_, b'/') => Kind::Empty,
                        _ => Kind::Start,
                    };
                    return Ok(Self { kind, attributes, after: &text[at + 1..] });
                }
                (Some(open), _) if open == *byte => quote = None,
                _ => {}
            }
        }
        Err(RenderError::broken("an element without an end"))
    }
}
