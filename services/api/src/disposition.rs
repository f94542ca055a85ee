//! `Content-Disposition` as we send it (RFC 6266, RFC 8187; Client-Server API, serving content).

use heliograph_types::{ContentType, FileName};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::ApiConfig;

/// Types that a browser may show without danger.
const INLINE: [&str; 26] = [
    "text/css",
    "text/plain",
    "text/csv",
    "application/json",
    "application/ld+json",
    "image/jpeg",
    "image/gif",
    "image/png",
    "image/apng",
    "image/webp",
    "image/avif",
    "video/mp4",
    "video/webm",
    "video/ogg",
    "video/quicktime",
    "audio/mp4",
    "audio/webm",
    "audio/aac",
    "audio/mpeg",
    "audio/ogg",
    "audio/wave",
    "audio/wav",
    "audio/x-wav",
    "audio/x-pn-wav",
    "audio/flac",
    "audio/x-flac",
];

/// All but the `attr-char` of RFC 8187.
const NOT_ATTR_CHAR: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

/// The header for content of this type with this name.
pub(crate) fn of_content(config: &ApiConfig, content_type: &ContentType, name: Option<&FileName>) -> String {
    let is_inline = !config.always_attachment && INLINE.contains(&content_type.essence().as_str());
    let word = if is_inline { "inline" } else { "attachment" };
    match name {
        None => word.to_owned(),
        Some(name) => format!("{word}; {}", parameter(name.as_str())),
    }
}

/// One form for each name, so that no two readers disagree.
fn parameter(name: &str) -> String {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&'*+-.^_`|~".contains(&byte);
    let quotable = |byte: u8| (b' '..=b'~').contains(&byte) && !b"\"\\%".contains(&byte);
    if name.bytes().all(token) {
        format!("filename={name}")
    } else if name.bytes().all(quotable) {
        format!("filename=\"{name}\"")
    } else {
        format!("filename*=utf-8''{}", utf8_percent_encode(name, NOT_ATTR_CHAR))
    }
}

/// How the headers of others are read: what is written here must come back from there. A
/// service never depends on a service, so the file stands in for the crate.
#[cfg(test)]
#[path = "../../federation-fetcher/src/disposition.rs"]
#[expect(unreachable_pub, reason = "it is public where it belongs")]
mod reader;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn named(name: &str) -> String {
        let png = ContentType::parse_or_octet_stream("image/png");
        of_content(&ApiConfig::default(), &png, FileName::new(name).as_ref())
    }

    #[test]
    fn each_name_has_the_form_that_it_needs() {
        assert_eq!(named("report-2.pdf"), "inline; filename=report-2.pdf");
        assert_eq!(named("my report; v2.pdf"), "inline; filename=\"my report; v2.pdf\"");
        assert_eq!(named("späť.png"), "inline; filename*=utf-8''sp%C3%A4%C5%A5.png");
        assert_eq!(named("a\"b"), "inline; filename*=utf-8''a%22b");
        assert_eq!(named("50%"), "inline; filename*=utf-8''50%25");
        assert_eq!(named("a b ü"), "inline; filename*=utf-8''a%20b%20%C3%BC");
        assert_eq!(named("x\r\nSet-Cookie: y"), "inline; filename=\"xSet-Cookie: y\"");
        assert_eq!(named(""), "inline");
    }

    #[test]
    fn only_harmless_types_are_shown_inline() {
        let default = ApiConfig::default();
        let word = |kind: &str| of_content(&default, &ContentType::parse_or_octet_stream(kind), None);

        for kind in ["Text/Plain; charset=x", "IMAGE/PNG", "video/mp4"] {
            assert_eq!(word(kind), "inline", "{kind}");
        }
        for kind in ["text/html;image/png", "image/svg+xml", "application/pdf", "text/javascript", "nonsense"] {
            assert_eq!(word(kind), "attachment", "{kind}");
        }
        let never = ApiConfig { always_attachment: true, ..default };
        assert_eq!(of_content(&never, &ContentType::parse_or_octet_stream("image/png"), None), "attachment");
    }

    proptest! {
        #[test]
        fn what_is_written_is_ascii_and_is_read_back(name in r#"\PC{1,20}|[ -~]{1,20}|[a-z"\\%;=' ä\r\n\x00\x85]{1,12}"#) {
            let header = named(&name);

            prop_assert!(header.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{header:?}");
            prop_assert_eq!(reader::read_file_name(header.as_bytes()), FileName::new(&name), "{}", header);
        }
    }
}
