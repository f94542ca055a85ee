//! What a drawing becomes when all its references are followed: a few lines can ask for billions of
//! elements, each made of ten others.
//!
//! Never less than what resvg makes; more where a style sheet is too clever. An element that leads back
//! to itself is refused.

mod references;

use std::collections::HashMap;

use resvg::usvg::roxmltree::{Document, Node, NodeId};

use self::references::{Reference, Sheet, Spread, is_gradient};
use super::survey::MOST_DEPTH;
use crate::error::RenderError;

/// Elements.
const MOST_ELEMENTS: u64 = 20_000;
/// Values of attributes, with pictures and the data of paths.
const MOST_BYTES: u64 = 8 << 20;
/// Letters that are drawn.
const MOST_LETTERS: u64 = 20_000;
/// Each element is held against each rule of the style sheet.
const MOST_STYLINGS: u64 = 4_000_000;

/// Follows all references of a drawing, and refuses it if that is too much.
pub(super) fn check(document: &Document<'_>) -> Result<(), RenderError> {
    let sheet = Sheet::read(document);
    let ids = document.descendants().filter_map(|node| Some((node.attribute("id")?, node)));
    // Of several with the same name, resvg takes the first for some things and the last for others.
    let mut targets: HashMap<&str, Vec<Node<'_, '_>>> = HashMap::new();
    for (id, node) in ids {
        targets.entry(id).or_default().push(node);
    }
    let mut extents = Extents { sheet: &sheet, targets, inside: HashMap::new(), entered: HashMap::new() };
    let whole = extents.inside(document.root_element(), 0)?;
    if whole.elements.saturating_mul(sheet.declarations) > MOST_STYLINGS {
        return Err(too_much());
    }
    Ok(())
}

/// How much something is.
#[derive(Debug, Clone, Copy, Default)]
struct Extent {
    elements: u64,
    depth: u32,
    bytes: u64,
    letters: u64,
}

impl Extent {
    fn add(&mut self, other: Self, times: u64) -> Result<(), RenderError> {
        let added = |sum: u64, part: u64| sum.saturating_add(part.saturating_mul(times));
        self.elements = added(self.elements, other.elements);
        self.bytes = added(self.bytes, other.bytes);
        self.letters = added(self.letters, other.letters);
        self.depth = self.depth.max(other.depth + 1);
        let is_too_much = self.elements > MOST_ELEMENTS
            || self.bytes > MOST_BYTES
            || self.letters > MOST_LETTERS
            || self.depth > MOST_DEPTH;
        if is_too_much { Err(too_much()) } else { Ok(()) }
    }
}

struct Extents<'d, 't> {
    sheet: &'d Sheet,
    targets: HashMap<&'d str, Vec<Node<'d, 't>>>,
    /// `None` while it is being found out.
    inside: HashMap<NodeId, Option<Extent>>,
    entered: HashMap<NodeId, Option<Extent>>,
}

impl<'d, 't> Extents<'d, 't> {
    /// Of an element where it stands.
    fn inside(&mut self, node: Node<'d, 't>, depth: u32) -> Result<Extent, RenderError> {
        if let Some(known) = self.inside.get(&node.id()) {
            return known.ok_or_else(too_much);
        }
        if depth > MOST_DEPTH {
            return Err(too_much());
        }
        self.inside.insert(node.id(), None);
        let mut extent = own(node);
        for child in node.children().filter(Node::is_element) {
            extent.add(self.inside(child, depth + 1)?, 1)?;
        }
        let (once, many): (Vec<_>, Vec<_>) =
            self.sheet.references(node).into_iter().partition(|reference| reference.spread == Spread::Once);
        for reference in once {
            self.follow(&reference, 1, depth, &mut extent)?;
        }
        // All that is inside inherits these.
        let inheritors = extent;
        for reference in many {
            self.follow(&reference, reference.spread.times(inheritors.elements, inheritors.bytes), depth, &mut extent)?;
        }
        self.inside.insert(node.id(), Some(extent));
        Ok(extent)
    }

    fn follow(
        &mut self,
        reference: &Reference,
        times: u64,
        depth: u32,
        extent: &mut Extent,
    ) -> Result<(), RenderError> {
        for target in self.targets.get(reference.id.as_str()).cloned().unwrap_or_default() {
            let other = if reference.spread == Spread::Once && reference.is_copy {
                self.inside(target, depth + 1)?
            } else {
                self.entered(target, depth + 1)?
            };
            extent.add(other, times)?;
        }
        Ok(())
    }

    /// Of an element that is drawn where another stands, but in the style of the place where it is
    /// defined.
    fn entered(&mut self, node: Node<'d, 't>, depth: u32) -> Result<Extent, RenderError> {
        if let Some(known) = self.entered.get(&node.id()) {
            return known.ok_or_else(too_much);
        }
        if depth > MOST_DEPTH {
            return Err(too_much());
        }
        self.entered.insert(node.id(), None);
        let mut extent = self.inside(node, depth)?;
        if is_gradient(node) {
            // Colors, but no shapes.
            extent.elements = 0;
        } else {
            let inheritors = extent;
            let styles: Vec<_> = node.ancestors().skip(1).flat_map(|outer| self.sheet.references(outer)).collect();
            for reference in styles.iter().filter(|reference| reference.spread != Spread::Once) {
                let times = reference.spread.times(inheritors.elements, inheritors.bytes);
                self.follow(reference, times, depth, &mut extent)?;
            }
        }
        self.entered.insert(node.id(), Some(extent));
        Ok(extent)
    }
}

/// Without its children and references.
fn own(node: Node<'_, '_>) -> Extent {
    let length = |text: &str| u64::try_from(text.len()).unwrap_or(u64::MAX);
    let is_text = ["text", "tspan", "textPath", "tref", "a"].contains(&node.tag_name().name());
    let texts = node.children().filter_map(|child| child.text().filter(|_| is_text && child.is_text()));
    Extent {
        elements: 1,
        depth: 1,
        bytes: node.attributes().map(|attribute| length(attribute.value())).sum(),
        letters: texts.map(length).sum(),
    }
}

fn too_much() -> RenderError {
    RenderError::broken("a drawing that refers to too much")
}
