//! What a URL leads to, and what there is to say of what is no page.

use std::io::Read;

use url::Url;

use crate::{
    charset,
    page::Context,
    preview::{Picture, Preview},
    text::{Line, TITLE},
};

/// Bytes of a plain text that are read.
pub const TEXT_BYTES: usize = 16 << 10;
/// Characters of it that are shown.
const TEXT: usize = 500;

/// What an answer is, by its type and its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// HTML, or what is read like it.
    Page,
    /// To be read by people.
    Text,
    /// Is its own picture.
    Picture,
    /// A film.
    Video,
    /// A sound.
    Audio,
    /// A document in PDF.
    Pdf,
    /// Of this nothing but its name is known.
    Other,
}

impl Kind {
    /// By `Content-Type`, and by `beginning` if that says nothing.
    pub fn of(content_type: Option<&str>, beginning: &[u8]) -> Self {
        let essence = content_type.and_then(|kind| kind.split(';').next()).unwrap_or_default();
        let essence = essence.trim().to_ascii_lowercase();
        match essence.split_once('/') {
            Some(("image", "svg+xml")) => Self::Other,
            Some(("image", _)) => Self::Picture,
            Some(("video", _)) => Self::Video,
            Some(("audio", _) | ("application", "ogg")) => Self::Audio,
            Some(("application", "pdf" | "x-pdf")) => Self::Pdf,
            Some(("text", "html") | ("text" | "application", "xml")) => Self::Page,
            Some(("application", other)) if other.ends_with("+xml") => Self::Page,
            Some(("text", "plain")) if !is_text(beginning) => Self::Other,
            Some(("text", "plain" | "markdown" | "csv")) => Self::Text,
            Some(("application", "octet-stream" | "unknown")) | None => Self::by_content(beginning),
            Some(_) => Self::Other,
        }
    }

    fn by_content(beginning: &[u8]) -> Self {
        let start = beginning.trim_ascii_start();
        let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
        let begins = |with: &[u8]| start.get(..with.len()).is_some_and(|bytes| bytes.eq_ignore_ascii_case(with));
        if [&b"<!doctype html"[..], b"<html", b"<head", b"<title", b"<meta", b"<body", b"<!--"].into_iter().any(begins)
        {
            Self::Page
        } else if begins(b"%PDF-") {
            Self::Pdf
        } else if [&b"\x89PNG\r\n"[..], b"\xff\xd8\xff", b"GIF8"].into_iter().any(begins) {
            Self::Picture
        } else {
            Self::Other
        }
    }

    /// What there is to say of a file of this kind. `name` is what the server calls it.
    pub fn preview(self, url: &Url, content_type: Option<&str>, name: Option<&str>) -> Preview {
        let mut preview = Preview::of_file(url, name);
        match self {
            Self::Picture => preview.pictures.push(Picture { url: url.clone(), alt: None }),
            Self::Video => say_medium(&mut preview, "video", "video.other", url, content_type),
            Self::Audio => say_medium(&mut preview, "audio", "music.song", url, content_type),
            Self::Page | Self::Text | Self::Pdf | Self::Other => {}
        }
        preview
    }
}

fn say_medium(preview: &mut Preview, medium: &str, kind: &str, url: &Url, content_type: Option<&str>) {
    preview.say("og:type", kind);
    preview.say(&format!("og:{medium}"), url.as_str());
    let essence = content_type.and_then(|kind| kind.split(';').next()).map(str::trim);
    if let Some(essence) = essence.filter(|essence| essence.len() < 128) {
        preview.say(&format!("og:{medium}:type"), essence);
    }
}

/// No byte that cannot be in a text.
fn is_text(beginning: &[u8]) -> bool {
    let has_mark = encoding_rs::Encoding::for_bom(beginning).is_some();
    has_mark || !beginning.iter().any(|byte| matches!(byte, 0..=8 | 0xe..=0x1a | 0x1c..=0x1f))
}

/// The preview of a plain text: its name and how it begins. An error of `bytes` is their end.
pub fn read_text(bytes: impl Read, context: Context<'_>, name: Option<&str>) -> Preview {
    let mut raw = Vec::new();
    let most = TEXT_BYTES.min(context.most_bytes);
    let _ = bytes.take(most as u64).read_to_end(&mut raw);
    let told = context.content_type.and_then(charset::of_content_type);
    let domain = context.url.domain().and_then(|name| name.rsplit('.').next());
    // What was cut off may end within a character.
    let is_all = raw.len() < most;
    let encoding = told.unwrap_or_else(|| charset::guess(&raw, is_all, domain));
    let (text, _, _) = encoding.decode(&raw);
    let mut preview = Preview::of_file(context.url, name);
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    if preview.members.is_empty() {
        lines
            .next()
            .and_then(|line| crate::text::clean(line, TITLE))
            .into_iter()
            .for_each(|line| preview.say("og:title", line));
    }
    let mut description = Line::new(TEXT);
    for line in lines {
        description.space();
        description.push(line);
    }
    if !description.is_empty() {
        preview.say("og:description", description.take());
    }
    preview
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Languages, PAGE_BYTES};

    #[test]
    fn an_answer_is_what_its_type_says_or_else_its_first_bytes() {
        for (content_type, beginning, kind) in [
            (Some("text/HTML; charset=utf-8"), "", Kind::Page),
            (Some("application/xhtml+xml"), "", Kind::Page),
            (Some("application/rss+xml"), "", Kind::Page),
            (Some("image/webp"), "<html>", Kind::Picture),
            (Some("image/svg+xml"), "", Kind::Other),
            (Some("video/mp4"), "", Kind::Video),
            (Some("audio/ogg"), "", Kind::Audio),
            (Some("application/pdf"), "", Kind::Pdf),
            (Some("text/plain"), "words", Kind::Text),
            (Some("text/plain"), "a\0b", Kind::Other),
            (Some("text/css"), "", Kind::Other),
            (Some("application/json"), "{}", Kind::Other),
            (Some("application/octet-stream"), "%PDF-1.7", Kind::Pdf),
            (Some(""), " <!DOCTYPE HTML>", Kind::Page),
            (None, "\u{feff}<html>", Kind::Page),
            (None, "GIF89a", Kind::Picture),
            (None, "MZ", Kind::Other),
            (Some("nonsense"), "<html>", Kind::Page),
        ] {
            assert_eq!(Kind::of(content_type, beginning.as_bytes()), kind, "{content_type:?} {beginning:?}");
        }
    }

    #[test]
    fn of_a_file_its_name_is_told() {
        let url: Url = "https://example.org/a/caf%C3%A9%0a.pdf?x#y".parse().unwrap();

        let named = Kind::Pdf.preview(&url, None, Some("menu.pdf"));
        let unnamed = Kind::Pdf.preview(&url, None, None);
        let root = Kind::Other.preview(&"https://example.org/".parse().unwrap(), None, None);

        assert_eq!(serde_json::Value::Object(named.answer(None)), json!({"og:title": "menu.pdf"}));
        assert_eq!(serde_json::Value::Object(unnamed.answer(None)), json!({"og:title": "café .pdf"}));
        assert!(root.answer(None).is_empty());
    }

    #[test]
    fn a_picture_is_its_own_picture_and_a_film_says_where_it_is() {
        let url: Url = "https://example.org/a.png".parse().unwrap();

        let picture = Kind::Picture.preview(&url, Some("image/png"), None);
        let film = Kind::Video.preview(&url, Some("video/mp4; codecs=x"), None);

        assert_eq!(picture.pictures()[0].url, url);
        let expected = json!({"og:title": "a.png", "og:type": "video.other", "og:video": url.as_str(), "og:video:type": "video/mp4"});
        assert_eq!(serde_json::Value::Object(film.answer(None)), expected);
    }

    #[test]
    fn a_text_is_told_by_its_beginning() {
        let url: Url = "https://example.org/".parse().unwrap();
        let languages = Languages::default();
        let context =
            Context { url: &url, content_type: Some("text/plain"), languages: &languages, most_bytes: PAGE_BYTES };
        let text = encoding_rs::WINDOWS_1252.encode("\n  Grüße  \n\nÜber Äpfel\tund Öl\n").0.into_owned();

        let preview = read_text(text.as_slice(), context, None);
        let endless = read_text(std::io::repeat(b'x'), context, Some("x.txt"));

        let expected = json!({"og:title": "Grüße", "og:description": "Über Äpfel und Öl"});
        assert_eq!(serde_json::Value::Object(preview.answer(None)), expected);
        assert_eq!(endless.members["og:description"].as_str().map(|text| text.chars().count()), Some(TEXT));
    }
}
