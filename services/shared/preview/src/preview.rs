//! The answer: what the sources say, put together.

use std::collections::BTreeMap;

use heliograph_types::Mxc;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::Url;

use crate::{
    address::{as_text, file_name, resolve},
    facts::{Choice, Found, Statements},
    oembed::OEmbed,
    page::Page,
    text::{DESCRIPTION, TITLE, clean},
};

/// Pictures that are worth a try, should those before not be there.
const MOST_PICTURES: usize = 6;

/// What there is to say of a URL, but for the copy of its picture.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preview {
    pub(crate) members: BTreeMap<String, Value>,
    pub(crate) pictures: Vec<Picture>,
}

/// A picture that stands for a page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Picture {
    /// Of http or https; whether it may be fetched is the fetcher's to say.
    #[serde(with = "as_text")]
    pub url: Url,
    /// What is on it, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alt: Option<String>,
}

/// Our copy of a picture, and what is true of it.
#[derive(Debug, Clone)]
pub struct PictureCopy {
    /// Where clients get it.
    pub mxc: Mxc,
    /// `Content-Type`, by its content.
    pub content_type: String,
    /// In bytes.
    pub size: u64,
    /// Width and height in pixels, if they are known.
    pub dimensions: Option<(u32, u32)>,
    /// What is on it, in words.
    pub alt: Option<String>,
}

impl Preview {
    /// The best picture first.
    pub fn pictures(&self) -> &[Picture] {
        &self.pictures
    }

    /// The JSON object of the answer.
    pub fn answer(self, copy: Option<PictureCopy>) -> Map<String, Value> {
        let mut answer: Map<_, _> = self.members.into_iter().collect();
        let Some(copy) = copy else { return answer };
        answer.insert("og:image".to_owned(), copy.mxc.to_string().into());
        answer.insert("og:image:type".to_owned(), copy.content_type.into());
        answer.insert("matrix:image:size".to_owned(), copy.size.into());
        if let Some((width, height)) = copy.dimensions {
            answer.insert("og:image:width".to_owned(), width.into());
            answer.insert("og:image:height".to_owned(), height.into());
        }
        if let Some(alt) = copy.alt {
            answer.insert("og:image:alt".to_owned(), alt.into());
        }
        answer
    }

    /// Says `name`, unless something is said already.
    pub(crate) fn say(&mut self, name: &str, value: impl Into<Value>) {
        self.members.entry(name.to_owned()).or_insert_with(|| value.into());
    }

    /// What there is to say of a file that says nothing of itself.
    pub(crate) fn of_file(url: &Url, name: Option<&str>) -> Self {
        let mut preview = Self::default();
        let name = name.map(ToOwned::to_owned).or_else(|| file_name(url));
        if let Some(name) = name.and_then(|name| clean(&name, TITLE)) {
            preview.say("og:title", name);
        }
        preview
    }
}

impl Page {
    /// The preview of the page, together with what an oEmbed answer says of it.
    pub fn preview(&self, oembed: Option<&OEmbed>) -> Preview {
        let [graph, card, rest @ ..] = self.facts.sources();
        let mut sources = vec![graph, card];
        sources.extend(oembed.map(|oembed| &oembed.said));
        sources.extend(rest);
        compose(&sources, &self.base, |found| self.resource(&found.url), self.canonical())
    }
}

impl OEmbed {
    /// The preview of a page of which nothing but this is known.
    pub fn preview(&self, page: &Url) -> Preview {
        let look = |found: &Found| resolve(page, &found.url);
        compose(&[&self.said], page, look, Some(page.clone()))
    }
}

fn compose(
    sources: &[&Statements],
    base: &Url,
    look: impl Fn(&Found) -> Option<Url>,
    canonical: Option<Url>,
) -> Preview {
    let mut preview = Preview::default();
    let mut say_first = |name: &str, choice: fn(&Statements) -> &Choice| {
        if let Some(text) = sources.iter().find_map(|said| choice(said).get()) {
            preview.say(name, text);
        }
    };
    say_first("og:title", |said| &said.title);
    say_first("og:description", |said| &said.description);
    say_first("og:site_name", |said| &said.site_name);
    for (name, value) in sources.iter().flat_map(|said| &said.members) {
        if let Some(value) = member(base, name, value) {
            preview.say(name, value);
        }
    }
    if let Some(url) = canonical {
        preview.say("og:url", url.as_str());
    }
    let found = sources.iter().flat_map(|said| &said.pictures);
    let mut pictures = found.filter_map(|found| Some(Picture { url: look(found)?, alt: found.alt.clone() }));
    while let Some(picture) = pictures.next().filter(|_| preview.pictures.len() < MOST_PICTURES) {
        if preview.pictures.iter().all(|known| known.url != picture.url) {
            preview.pictures.push(picture);
        }
    }
    preview
}

/// A property as clients expect it: sizes are numbers, URLs are whole.
fn member(base: &Url, name: &str, value: &str) -> Option<Value> {
    match name {
        _ if name.ends_with(":width") || name.ends_with(":height") => value.parse::<u32>().ok().map(Value::from),
        "og:url"
        | "og:video"
        | "og:audio"
        | "og:video:url"
        | "og:video:secure_url"
        | "og:audio:url"
        | "og:audio:secure_url" => resolve(base, value).map(|url| url.as_str().into()),
        _ => clean(value, DESCRIPTION).map(Value::from),
    }
}
