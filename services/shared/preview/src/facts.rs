//! What was found on a page, by who says it.

use crate::{
    language::Fit,
    text::{DESCRIPTION, TITLE, clean, up_to},
};

/// Properties that are kept of one source; more are dropped.
const MOST_MEMBERS: usize = 64;
const LONGEST_NAME: usize = 64;
/// Pictures that are kept of one source.
const MOST_PICTURES: usize = 4;
/// Longest URL.
const LONGEST_URL: usize = 4096;

/// A text that may be said several times: the one in the best language counts, of those the first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Choice(Option<(Fit, String)>);

impl Choice {
    fn offer(&mut self, fit: Fit, text: &str, most: usize) {
        if self.0.as_ref().is_some_and(|(chosen, _)| *chosen <= fit) {
            return;
        }
        if let Some(text) = clean(text, most) {
            self.0 = Some((fit, text));
        }
    }

    pub(crate) fn get(&self) -> Option<&str> {
        self.0.as_ref().map(|(_, text)| text.as_str())
    }
}

/// A picture as it was named: its URL is not looked at yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) url: String,
    pub(crate) alt: Option<String>,
}

impl Found {
    /// `None` for what no preview can show.
    pub(crate) fn new(url: &str, alt: Option<&str>) -> Option<Self> {
        let url = url.trim();
        let is_inline = ["data:", "blob:", "about:", "javascript:"].iter().any(|scheme| starts_with(url, scheme));
        if url.is_empty() || url.len() > LONGEST_URL || is_inline {
            return None;
        }
        Some(Self { url: url.to_owned(), alt: alt.and_then(|alt| clean(alt, DESCRIPTION)) })
    }
}

fn starts_with(text: &str, begin: &str) -> bool {
    text.as_bytes().get(..begin.len()).is_some_and(|start| start.eq_ignore_ascii_case(begin.as_bytes()))
}

/// What one source says.
#[derive(Debug, Clone, Default)]
pub(crate) struct Statements {
    pub(crate) title: Choice,
    pub(crate) description: Choice,
    pub(crate) site_name: Choice,
    pub(crate) pictures: Vec<Found>,
    /// Further properties, under the names of Open Graph.
    pub(crate) members: Vec<(String, String)>,
}

impl Statements {
    pub(crate) fn title(&mut self, fit: Fit, text: &str) {
        self.title.offer(fit, text, TITLE);
    }

    pub(crate) fn description(&mut self, fit: Fit, text: &str) {
        self.description.offer(fit, text, DESCRIPTION);
    }

    pub(crate) fn site_name(&mut self, fit: Fit, text: &str) {
        self.site_name.offer(fit, text, TITLE);
    }

    pub(crate) fn picture(&mut self, url: &str, alt: Option<&str>) {
        if self.pictures.len() >= MOST_PICTURES {
            return;
        }
        if let Some(found) =
            Found::new(url, alt).filter(|found| self.pictures.iter().all(|known| known.url != found.url))
        {
            self.pictures.push(found);
        }
    }

    /// A picture that is better than those of this source so far.
    pub(crate) fn better_picture(&mut self, url: &str) {
        if let Some(found) = Found::new(url, None).filter(|found| !self.pictures.contains(found)) {
            self.pictures.insert(0, found);
            self.pictures.truncate(MOST_PICTURES);
        }
    }

    /// What is said of the picture that was named last.
    pub(crate) fn describe_picture(&mut self, alt: &str) {
        if let Some(picture) = self.pictures.last_mut().filter(|picture| picture.alt.is_none()) {
            picture.alt = clean(alt, DESCRIPTION);
        }
    }

    /// Of several properties of one name the first counts.
    pub(crate) fn member(&mut self, name: &str, value: &str) {
        let is_new = self.members.len() < MOST_MEMBERS && self.members.iter().all(|(known, _)| known != name);
        if !is_new || !is_name(name) {
            return;
        }
        if let Some(value) = clean(up_to(value, LONGEST_URL), DESCRIPTION) {
            self.members.push((name.to_owned(), value));
        }
    }
}

fn is_name(name: &str) -> bool {
    let is_character = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b":_-".contains(&byte);
    name.len() <= LONGEST_NAME && !name.ends_with(':') && name.bytes().all(is_character)
}

/// All that was found.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    /// Open Graph.
    pub(crate) graph: Statements,
    /// Twitter card.
    pub(crate) card: Statements,
    /// JSON-LD.
    pub(crate) linked: Statements,
    /// `<title>`, `<meta name=description>`, microdata.
    pub(crate) markup: Statements,
    /// Headings, text and pictures of the page itself.
    pub(crate) body: Statements,
    /// Icons of the site: better than nothing.
    pub(crate) icons: Statements,
    pub(crate) base: Option<String>,
    pub(crate) canonical: Option<String>,
    pub(crate) oembed_json: Option<String>,
    pub(crate) oembed_xml: Option<String>,
    /// Where the first video of the page is.
    pub(crate) player: Option<String>,
    /// Where `<meta http-equiv=refresh>` leads.
    pub(crate) refresh: Option<String>,
}

impl Facts {
    /// By falling trust.
    pub(crate) fn sources(&self) -> [&Statements; 6] {
        [&self.graph, &self.card, &self.linked, &self.markup, &self.body, &self.icons]
    }

    /// Whether the head alone says all that a preview shows.
    pub(crate) fn is_complete(&self) -> bool {
        self.title().is_some() && self.has_description() && self.has_picture()
    }

    /// The title that the page itself says.
    pub(crate) fn title(&self) -> Option<&str> {
        self.head().into_iter().find_map(|source| source.title.get())
    }

    pub(crate) fn has_description(&self) -> bool {
        self.head().iter().any(|source| source.description.get().is_some())
    }

    pub(crate) fn has_picture(&self) -> bool {
        self.head().iter().any(|source| !source.pictures.is_empty())
    }

    fn head(&self) -> [&Statements; 4] {
        [&self.graph, &self.card, &self.linked, &self.markup]
    }
}
