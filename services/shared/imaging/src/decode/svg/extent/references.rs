//! Which elements an element refers to: by its attributes, its style, and the style sheets.

use resvg::usvg::roxmltree::{Document, Node};

/// How often what is referred to is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spread {
    /// By the element itself.
    Once,
    /// By each element inside.
    Elements,
    /// At each point of each path inside.
    Points,
}

impl Spread {
    /// In an element that holds so many elements and bytes.
    pub(super) fn times(self, elements: u64, bytes: u64) -> u64 {
        match self {
            Self::Once => 1,
            Self::Elements => elements,
            // A point takes two numbers, which may be one digit and a space each.
            Self::Points => elements.saturating_mul(4).saturating_add(bytes / 2),
        }
    }

    fn of_property(name: &str) -> Self {
        match name {
            "clip-path" | "mask" | "filter" => Self::Once,
            "fill" | "stroke" | "marker-start" | "marker-end" => Self::Elements,
            // And what else one may have found to write.
            _ => Self::Points,
        }
    }
}

/// From one element to another.
#[derive(Debug, Clone)]
pub(super) struct Reference {
    pub(super) id: String,
    pub(super) spread: Spread,
    /// A copy takes the style of the place where it is used.
    pub(super) is_copy: bool,
}

impl Reference {
    fn to(id: &str, property: &str) -> Self {
        Self { id: id.to_owned(), spread: Spread::of_property(property), is_copy: false }
    }
}

/// Gradients hold colors, but no shapes.
pub(super) fn is_gradient(node: Node<'_, '_>) -> bool {
    matches!(node.tag_name().name(), "linearGradient" | "radialGradient")
}

/// The references in the style sheets of a drawing.
#[derive(Debug, Default)]
pub(super) struct Sheet {
    rules: Vec<Rule>,
    /// In all rules.
    pub(super) declarations: u64,
}

#[derive(Debug)]
struct Rule {
    /// One of which an element must have; none: any element is meant.
    classes: Vec<String>,
    references: Vec<Reference>,
}

impl Sheet {
    pub(super) fn read(document: &Document<'_>) -> Self {
        let mut sheet = Self::default();
        let styles = document.descendants().filter(|node| node.is_element() && node.tag_name().name() == "style");
        for text in styles.flat_map(|style| style.children().filter_map(|child| child.text())) {
            for rule in without_comments(text).split('}') {
                let (selector, declarations) = rule.rsplit_once('{').unwrap_or((rule, ""));
                sheet.declarations += 1 + u64::try_from(declarations.split(';').count()).unwrap_or(u64::MAX);
                let references = of_style(declarations);
                if !references.is_empty() {
                    sheet.rules.push(Rule { classes: classes_of(selector), references });
                }
            }
        }
        sheet
    }

    /// All references of an element.
    pub(super) fn references(&self, node: Node<'_, '_>) -> Vec<Reference> {
        let mut found = Vec::new();
        for attribute in node.attributes() {
            match attribute.name() {
                "style" => found.extend(of_style(&without_comments(attribute.value()))),
                "href" if node.tag_name().name() == "a" => {}
                "href" => {
                    let id = attribute.value().trim().strip_prefix('#').map(str::to_owned);
                    let is_copy = node.tag_name().name() == "use";
                    found.extend(id.map(|id| Reference { id, spread: Spread::Once, is_copy }));
                }
                name => found.extend(named(attribute.value()).map(|(_, id)| Reference::to(id, name))),
            }
        }
        let classes = node.attribute("class").unwrap_or_default();
        let has = |class: &String| classes.split_ascii_whitespace().any(|own| own == class);
        for rule in &self.rules {
            if rule.classes.is_empty() || rule.classes.iter().any(has) {
                found.extend_from_slice(&rule.references);
            }
        }
        found
    }
}

/// The classes of what a selector selects; none if that may be more than elements with a class.
fn classes_of(selector: &str) -> Vec<String> {
    let class = |alternative: &str| {
        let selected =
            alternative.trim().rsplit(|letter: char| letter.is_whitespace() || ">+~".contains(letter)).next()?;
        let is_plain = selected.chars().all(|letter| letter.is_alphanumeric() || "._-".contains(letter));
        let (_, class) = selected.rsplit_once('.').filter(|_| is_plain)?;
        Some(class.to_owned())
    };
    selector.split(',').map(class).collect::<Option<_>>().unwrap_or_default()
}

fn of_style(declarations: &str) -> Vec<Reference> {
    let property = |before: &str| {
        let name = before.rsplit_once(':').map_or("", |(name, _)| name.trim_end()).to_owned();
        name.rsplit(|letter: char| !letter.is_alphanumeric() && letter != '-').next().map(str::to_owned)
    };
    named(declarations).map(|(before, id)| Reference::to(id, &property(before).unwrap_or_default())).collect()
}

/// What a text names as `url(#name)`, each with what stands before it.
fn named(text: &str) -> impl Iterator<Item = (&str, &str)> {
    const START: &str = "url(";
    text.match_indices(START).filter_map(|(at, _)| {
        let rest = text[at + START.len()..]
            .trim_start_matches(|letter: char| letter.is_whitespace() || "\"'".contains(letter));
        let name = rest.strip_prefix('#')?;
        let end = name.find(|letter: char| letter.is_whitespace() || "\"')".contains(letter));
        Some((&text[..at], &name[..end.unwrap_or(name.len())]))
    })
}

fn without_comments(style: &str) -> String {
    let mut parts = style.split("/*");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once("*/").map_or("", |(_, after)| after))
}
