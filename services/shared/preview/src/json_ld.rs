//! The basics of JSON-LD: what a `<script type="application/ld+json">` says of the page.

use serde_json::Value;

use crate::{
    facts::Statements,
    language::{Fit, Languages},
    text::decode_entities,
};

/// Longest script that is read.
pub(crate) const LONGEST: usize = 128 << 10;
/// Things of one script that are looked at.
const MOST_THINGS: usize = 64;

/// Reads one script; what is no JSON says nothing.
pub(crate) fn read(script: &[u8], linked: &mut Statements, languages: &Languages) {
    let Ok(document) = serde_json::from_slice(script.trim_ascii()) else { return };
    let mut things = Vec::new();
    collect(&document, &mut things, 0);
    // What the page is about comes before what merely stands on it, whatever their order.
    things.sort_by_key(|(subject, _)| *subject);
    for (subject, thing) in things {
        match subject {
            Subject::Site => read_site(thing, linked, languages),
            Subject::Work | Subject::Page => read_thing(thing, linked, languages),
        }
    }
}

/// What a thing is, as far as a preview is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    Work,
    Page,
    Site,
}

impl Subject {
    fn of(thing: &Value) -> Option<Self> {
        let kinds = match &thing["@type"] {
            Value::Array(kinds) => kinds.as_slice(),
            kind => std::slice::from_ref(kind),
        };
        kinds.iter().filter_map(Value::as_str).find_map(|kind| {
            Some(match kind.rsplit('/').next()? {
                "WebSite" => Self::Site,
                "WebPage" | "AboutPage" | "ItemPage" | "CollectionPage" | "ProfilePage" | "FAQPage" | "QAPage" => {
                    Self::Page
                }
                "Book"
                | "Course"
                | "Event"
                | "Movie"
                | "MusicAlbum"
                | "MusicRecording"
                | "PodcastEpisode"
                | "Product"
                | "Recipe"
                | "SoftwareApplication"
                | "SoftwareSourceCode"
                | "TVEpisode"
                | "TVSeries"
                | "VideoGame"
                | "VideoObject"
                | "Question"
                | "JobPosting"
                | "Dataset" => Self::Work,
                kind if kind.ends_with("Article") || kind.ends_with("Posting") => Self::Work,
                _ => return None,
            })
        })
    }
}

fn collect<'a>(value: &'a Value, things: &mut Vec<(Subject, &'a Value)>, depth: usize) {
    const DEEPEST: usize = 4;
    if depth > DEEPEST || things.len() >= MOST_THINGS {
        return;
    }
    match value {
        Value::Array(values) => values.iter().take(MOST_THINGS).for_each(|value| collect(value, things, depth + 1)),
        Value::Object(thing) => {
            things.extend(Subject::of(value).map(|subject| (subject, value)));
            for inner in ["@graph", "mainEntity"] {
                thing.get(inner).into_iter().for_each(|inner| collect(inner, things, depth + 1));
            }
        }
        _ => {}
    }
}

fn read_site(site: &Value, linked: &mut Statements, languages: &Languages) {
    each_text(&site["name"], languages, &mut |fit, name| linked.site_name(fit, name));
}

fn read_thing(thing: &Value, linked: &mut Statements, languages: &Languages) {
    for name in ["headline", "name"] {
        each_text(&thing[name], languages, &mut |fit, text| linked.title(fit, text));
    }
    each_text(&thing["description"], languages, &mut |fit, text| linked.description(fit, text));
    each_text(&thing["publisher"]["name"], languages, &mut |fit, text| linked.site_name(fit, text));
    for name in ["image", "thumbnailUrl", "thumbnail", "primaryImageOfPage"] {
        each_url(&thing[name], &mut |url| linked.picture(url, None));
    }
    for (name, member) in
        [("datePublished", "article:published_time"), ("dateModified", "article:modified_time"), ("url", "og:url")]
    {
        thing[name].as_str().into_iter().for_each(|value| linked.member(member, value));
    }
}

/// A text, `{"@value", "@language"}`, or several of them.
fn each_text(value: &Value, languages: &Languages, take: &mut dyn FnMut(Fit, &str)) {
    match value {
        Value::String(text) => take(languages.fit(None), &decode_entities(text)),
        Value::Array(values) => {
            values
                .iter()
                .take(MOST_THINGS)
                .filter(|value| !value.is_array())
                .for_each(|value| each_text(value, languages, take));
        }
        Value::Object(_) => {
            let fit = languages.fit(value["@language"].as_str());
            value["@value"].as_str().into_iter().for_each(|text| take(fit, &decode_entities(text)));
        }
        _ => {}
    }
}

/// A URL, an object that has one, or several of them.
fn each_url(value: &Value, take: &mut dyn FnMut(&str)) {
    match value {
        Value::String(url) => take(url),
        Value::Array(values) => {
            values.iter().take(MOST_THINGS).filter(|value| !value.is_array()).for_each(|value| each_url(value, take));
        }
        Value::Object(_) => {
            let url = ["url", "contentUrl"].iter().find_map(|name| value[*name].as_str());
            url.into_iter().for_each(take);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn statements(document: &Value, languages: &str) -> Statements {
        let mut linked = Statements::default();
        read(document.to_string().as_bytes(), &mut linked, &Languages::parse(languages));
        linked
    }

    #[test]
    fn a_work_is_read_before_its_page_and_a_site_only_for_its_name() {
        let linked = statements(
            &json!({"@context": "https://schema.org", "@graph": [
                {"@type": "WebSite", "name": "The Daily", "description": "News"},
                {"@type": ["WebPage"], "name": "Page", "description": "Of the page"},
                {"@type": "http://schema.org/NewsArticle", "headline": "Ducks &amp; geese",
                 "image": [{"@type": "ImageObject", "url": "/a.jpg"}, "/b.jpg"], "datePublished": "2026-01-02"},
                {"@type": "Person", "name": "Nobody"}]}),
            "",
        );

        assert_eq!(linked.title.get(), Some("Ducks & geese"));
        assert_eq!(linked.description.get(), Some("Of the page"));
        assert_eq!(linked.site_name.get(), Some("The Daily"));
        assert_eq!(linked.pictures.iter().map(|found| found.url.as_str()).collect::<Vec<_>>(), ["/a.jpg", "/b.jpg"]);
        assert_eq!(linked.members, [("article:published_time".to_owned(), "2026-01-02".to_owned())]);
    }

    #[test]
    fn of_texts_in_several_languages_the_wanted_one_counts() {
        let document = json!({"@type": "Product", "name": [
            {"@value": "Lamp", "@language": "en"}, {"@value": "Lampe", "@language": "de"}]});

        assert_eq!(statements(&document, "de").title.get(), Some("Lampe"));
        assert_eq!(statements(&document, "fr").title.get(), Some("Lamp"));
    }

    #[test]
    fn what_is_no_json_or_hostile_says_nothing() {
        let deep = format!("{}1{}", "[".repeat(500_000), "]".repeat(500_000));
        let mut nested = json!({"@type": "Article", "headline": "deep"});
        for _ in 0..50 {
            nested = json!([nested]);
        }
        for script in [String::new(), "{".to_owned(), "\"x\"".to_owned(), deep, nested.to_string()] {
            let mut linked = Statements::default();
            read(script.as_bytes(), &mut linked, &Languages::default());
            assert_eq!(linked.title.get(), None);
        }
    }
}
