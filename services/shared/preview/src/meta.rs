//! What `<meta>` and `<link>` say.

use crate::{
    facts::Facts,
    language::{Fit, Languages},
    tag::{Attribute, Tag},
};

/// Beginnings of the properties of Open Graph that an answer passes on.
const VOCABULARIES: &[&str] = &["og:", "article:", "profile:", "book:", "music:", "video:"];
/// Properties that one `<meta>` may name at once.
const NAMES: usize = 4;
/// A page that leads elsewhere after a longer time is meant to be seen.
const LONGEST_REFRESH: f32 = 5.0;

/// Reads a `<meta>`.
pub(crate) fn read_meta(tag: &Tag, facts: &mut Facts, languages: &Languages) {
    let Some(content) = tag.get(Attribute::Content) else { return };
    if tag.has_word(Attribute::HttpEquiv, "refresh") && facts.refresh.is_none() {
        facts.refresh = refresh_target(&content).map(ToOwned::to_owned);
    }
    let fit = languages.fit(tag.get(Attribute::Lang).as_deref());
    for attribute in [Attribute::Property, Attribute::Name, Attribute::Itemprop] {
        let Some(names) = tag.get(attribute) else { continue };
        for name in names.split_ascii_whitespace().take(NAMES) {
            read_property(&name.to_ascii_lowercase(), &content, fit, facts);
        }
    }
}

fn read_property(name: &str, content: &str, fit: Fit, facts: &mut Facts) {
    if VOCABULARIES.iter().any(|vocabulary| name.starts_with(vocabulary)) {
        return read_graph(name, content, fit, facts);
    }
    if let Some(name) = name.strip_prefix("twitter:") {
        return read_card(name, content, fit, facts);
    }
    match name {
        "description" | "dc.description" | "dcterms.description" => facts.markup.description(fit, content),
        "title" | "headline" | "dc.title" | "dcterms.title" => facts.markup.title(fit, content),
        "application-name" | "apple-mobile-web-app-title" => facts.markup.site_name(fit, content),
        "image" | "thumbnailurl" | "thumbnail" => facts.markup.picture(content, None),
        "msapplication-tileimage" => facts.icons.picture(content, None),
        _ => {}
    }
}

/// Open Graph. What it says of a picture is not passed on: the copy is looked at instead.
fn read_graph(name: &str, content: &str, fit: Fit, facts: &mut Facts) {
    let graph = &mut facts.graph;
    match name {
        "og:title" => graph.title(fit, content),
        "og:description" => graph.description(fit, content),
        "og:site_name" => graph.site_name(fit, content),
        "og:image" | "og:image:url" => graph.picture(content, None),
        "og:image:secure_url" => match graph.pictures.last_mut() {
            Some(picture) if content.starts_with("https://") => content.clone_into(&mut picture.url),
            Some(_) => {}
            None => graph.picture(content, None),
        },
        "og:image:alt" => graph.describe_picture(content),
        _ if name.starts_with("og:image:") => {}
        _ => graph.member(name, content),
    }
}

/// A Twitter card, under the names of Open Graph.
fn read_card(name: &str, content: &str, fit: Fit, facts: &mut Facts) {
    let card = &mut facts.card;
    match name {
        "title" => card.title(fit, content),
        "description" => card.description(fit, content),
        "site" => card.site_name(fit, content),
        "image" | "image:src" | "image0" => card.picture(content, None),
        "image:alt" => card.describe_picture(content),
        "url" => card.member("og:url", content),
        "player" => card.member("og:video", content),
        "player:width" => card.member("og:video:width", content),
        "player:height" => card.member("og:video:height", content),
        // "Reading time", "6 minutes".
        "label1" | "label2" | "data1" | "data2" => card.member(&format!("og:{name}"), content),
        _ => {}
    }
}

/// The target in `0; url=https://example.org/`.
fn refresh_target(content: &str) -> Option<&str> {
    let (delay, rest) = content.split_once([';', ','])?;
    let soon = delay.trim().parse::<f32>().is_ok_and(|delay| delay <= LONGEST_REFRESH);
    let (name, url) = rest.split_once('=')?;
    let url = url.trim().trim_matches(['"', '\'']);
    (soon && name.trim().eq_ignore_ascii_case("url") && !url.is_empty()).then_some(url)
}

/// Reads a `<link>`.
pub(crate) fn read_link(tag: &Tag, facts: &mut Facts) {
    let (Some(rel), Some(href)) = (tag.get(Attribute::Rel), tag.get(Attribute::Href)) else { return };
    for word in rel.split_ascii_whitespace().take(NAMES) {
        match word.to_ascii_lowercase().as_str() {
            "canonical" => keep_first(&mut facts.canonical, &href),
            "image_src" | "thumbnail" => facts.markup.picture(&href, None),
            "apple-touch-icon" | "apple-touch-icon-precomposed" => facts.icons.better_picture(&href),
            "icon" => facts.icons.picture(&href, None),
            "alternate" | "alternative" => read_alternate(tag, &href, facts),
            _ => {}
        }
    }
}

fn read_alternate(tag: &Tag, href: &str, facts: &mut Facts) {
    match tag.get(Attribute::Type).map(|kind| kind.to_ascii_lowercase()).as_deref() {
        Some("application/json+oembed") => keep_first(&mut facts.oembed_json, href),
        Some("text/xml+oembed" | "application/xml+oembed") => keep_first(&mut facts.oembed_xml, href),
        _ => {}
    }
}

fn keep_first(place: &mut Option<String>, value: &str) {
    place.get_or_insert_with(|| value.to_owned());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_leads_elsewhere_at_once_says_where() {
        for (content, target) in [
            ("0; url=https://example.org/", Some("https://example.org/")),
            ("0;URL='/next'", Some("/next")),
            ("1.5, url = \"next\" ", Some("next")),
            ("300; url=/next", None),
            ("5", None),
            ("x; url=/next", None),
            ("0; url=", None),
            ("0; href=/next", None),
        ] {
            assert_eq!(refresh_target(content), target, "{content}");
        }
    }
}
