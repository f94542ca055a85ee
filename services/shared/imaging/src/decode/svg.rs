//! SVG, by resvg; only where the rules allow it. It is drawn as large as the thumbnail is.
//!
//! Nothing outside the file is looked at: no file, no address, no font of the system. A drawing is a
//! program, and a short one can ask for much, so it is weighed three times: its text
//! ([`survey`]), what it becomes when all references are followed ([`extent`]), and what it costs to
//! paint ([`toll`]).

mod extent;
mod fonts;
mod survey;
mod toll;

use std::sync::Arc;

use resvg::{
    tiny_skia::{Pixmap, Transform},
    usvg::{ImageHrefResolver, ImageKind, Options, Tree, roxmltree},
};

use super::{Decoded, Format, Header};
use crate::{
    error::RenderError,
    geometry::Size,
    picture::{Layout, Picture},
    rules::Rules,
    source::Source,
};

/// What a drawing may take beside its canvas: the tree, fonts, pictures in it, and layers.
pub(crate) const MEMORY_BYTES: u64 = 192 << 20;
/// A larger drawing counts as this large, in the same shape: it can be drawn at any size.
const LONGEST_SIDE: f32 = 4096.0;
/// Of a drawing that does not say how large it is, in the units of CSS.
const USUAL_SIZE: (f32, f32) = (300.0, 150.0);
/// What a picture inside a drawing may be.
const EMBEDDED: Rules =
    Rules { most_pixels: 4 << 20, most_frames: 1, most_animated_pixels: 0, svg: false, avif: false };

pub(super) fn is_of(file: &[u8]) -> bool {
    survey::begins_as_svg(file)
}

pub(super) fn read_header(file: &[u8]) -> Result<Header, RenderError> {
    let (width, height) = natural_size(&parse(text_of(file)?)?)?;
    let larger = (width.max(height) / LONGEST_SIDE).max(1.0);
    let size = Size { width: in_pixels(width / larger), height: in_pixels(height / larger) };
    Ok(Header::still(Format::Svg, size, 4))
}

/// Draws it in this size.
pub(super) fn decode(file: &dyn Source, _: &Header, size: Size) -> Result<Decoded, RenderError> {
    let document = parse(text_of(file.bytes())?)?;
    let (width, height) = natural_size(&document)?;
    extent::check(&document)?;
    let tree = Tree::from_xmltree(&document, &options()).map_err(broken)?;
    drop(document);
    let to_canvas = Transform::from_scale(in_units(size.width) / width, in_units(size.height) / height);
    toll::check(&tree, to_canvas, size)?;
    let mut canvas = Pixmap::new(size.width, size.height).ok_or_else(|| RenderError::broken("too large a drawing"))?;
    resvg::render(&tree, to_canvas, &mut canvas.as_mut());
    let samples = canvas.take_demultiplied();
    Ok(Picture { size, layout: Layout::Rgba, samples }.into())
}

fn text_of(file: &[u8]) -> Result<&str, RenderError> {
    let text = str::from_utf8(file).map_err(|_| RenderError::broken("a drawing that is not in UTF-8"))?;
    survey::check(text.as_bytes())?;
    Ok(text)
}

fn parse(text: &str) -> Result<roxmltree::Document<'_>, RenderError> {
    // The survey left no declarations in it: a document type is only a name.
    let options = roxmltree::ParsingOptions {
        allow_dtd: true,
        nodes_limit: survey::MOST_NODES,
        ..roxmltree::ParsingOptions::default()
    };
    roxmltree::Document::parse_with_options(text, options).map_err(broken)
}

/// The size that its root asks for, as resvg understands it.
fn natural_size(document: &roxmltree::Document<'_>) -> Result<(f32, f32), RenderError> {
    let root = document.root_element();
    let mut alone = String::from("<svg xmlns=\"http://www.w3.org/2000/svg\"");
    for name in ["width", "height", "viewBox"] {
        if let Some(value) = root.attribute(name) {
            // Numbers and units: what would have to be escaped is none.
            let value: String = value.chars().filter(|letter| !"<>&\"".contains(*letter)).collect();
            alone.extend([" ", name, "=\"", &value, "\""]);
        }
    }
    alone.push_str("/>");
    let is_said = ["width", "height", "viewBox"].into_iter().any(|name| root.has_attribute(name));
    let size = Tree::from_str(&alone, &options()).map_err(broken)?.size();
    Ok(if is_said { (size.width(), size.height()) } else { USUAL_SIZE })
}

fn options() -> Options<'static> {
    Options {
        image_href_resolver: ImageHrefResolver {
            resolve_data: Box::new(|_, data, _| embedded(data)),
            resolve_string: Box::new(|_, _| None),
        },
        fontdb: fonts::ours(),
        font_family: fonts::FAMILY.to_owned(),
        ..Options::default()
    }
}

/// A picture inside the drawing, whatever it is said to be; no drawing in a drawing.
fn embedded(data: Arc<Vec<u8>>) -> Option<ImageKind> {
    match Header::read(&data, &EMBEDDED).ok()?.format {
        Format::Jpeg => Some(ImageKind::JPEG(data)),
        Format::Png => Some(ImageKind::PNG(data)),
        Format::Gif => Some(ImageKind::GIF(data)),
        Format::WebP => Some(ImageKind::WEBP(data)),
        _ => None,
    }
}

fn broken(error: impl std::fmt::Display) -> RenderError {
    RenderError::broken(error.to_string())
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates; sides are positive")]
fn in_pixels(side: f32) -> u32 {
    (side.round() as u32).max(1)
}

#[expect(clippy::cast_precision_loss, reason = "no more than LONGEST_SIDE")]
fn in_units(side: u32) -> f32 {
    side as f32
}

#[cfg(test)]
mod tests;
