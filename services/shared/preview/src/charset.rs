//! The encoding of a page: by header, by its own word, by a guess.

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

/// The encoding that a `Content-Type` names.
pub(crate) fn of_content_type(content_type: &str) -> Option<&'static Encoding> {
    let parameters = content_type.split(';').skip(1);
    let named = parameters.filter_map(|parameter| parameter.split_once('='));
    let mut charsets = named.filter(|(name, _)| name.trim().eq_ignore_ascii_case("charset"));
    charsets.find_map(|(_, value)| of_label(value.trim().trim_matches(['"', '\''])))
}

fn of_label(label: &str) -> Option<&'static Encoding> {
    Encoding::for_label(label.as_bytes())
}

/// The encoding that a page names itself. It is not UTF-16: the name is there in ASCII.
pub(crate) fn of_own_word(label: &str) -> Option<&'static Encoding> {
    of_label(label.trim()).map(as_own_word)
}

/// See [`of_own_word`].
pub(crate) fn as_own_word(encoding: &'static Encoding) -> &'static Encoding {
    if encoding == UTF_16BE || encoding == UTF_16LE { UTF_8 } else { encoding }
}

/// The encoding that a `<meta>` or an XML declaration in `bytes` names: for what stands before it.
pub(crate) fn within(bytes: &[u8]) -> Option<&'static Encoding> {
    of_declaration(bytes).or_else(|| {
        let mut rest = bytes;
        while let Some((tag, after)) = next_meta(rest) {
            if let Some(encoding) = value_after(tag, b"charset").and_then(of_own_word) {
                return Some(encoding);
            }
            rest = after;
        }
        None
    })
}

/// The encoding of `<?xml encoding=""?>`, which only counts at the very beginning.
pub(crate) fn of_declaration(bytes: &[u8]) -> Option<&'static Encoding> {
    const LONGEST: usize = 256;
    let declaration = bytes.strip_prefix(b"<?xml")?;
    let declaration = &declaration[..declaration.len().min(LONGEST)];
    let end = declaration.iter().position(|byte| *byte == b'>')?;
    value_after(&declaration[..end], b"encoding").and_then(of_own_word)
}

/// What is inside of the next `<meta>`, and what comes after its beginning.
fn next_meta(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    const BEGIN: &[u8] = b"<meta";
    let start = bytes.windows(BEGIN.len()).position(|window| window.eq_ignore_ascii_case(BEGIN))?;
    let rest = &bytes[start + BEGIN.len()..];
    let end = rest.iter().position(|byte| *byte == b'>').unwrap_or(rest.len());
    Some((&rest[..end], rest))
}

/// The value after `name =`, with or without quotes.
fn value_after<'a>(bytes: &'a [u8], name: &[u8]) -> Option<&'a str> {
    let start = bytes.windows(name.len()).position(|window| window.eq_ignore_ascii_case(name))?;
    let rest = bytes[start + name.len()..].trim_ascii_start().strip_prefix(b"=")?.trim_ascii_start();
    let rest = rest.strip_prefix(b"\"").or_else(|| rest.strip_prefix(b"'")).unwrap_or(rest);
    let end = rest.iter().position(|byte| b"\"' ;/>?\t\r\n".contains(byte)).unwrap_or(rest.len());
    std::str::from_utf8(&rest[..end]).ok()
}

/// The likeliest encoding of `bytes`, the beginning of what is not ASCII. `domain` is the last
/// part of the host's name.
pub(crate) fn guess(bytes: &[u8], is_all: bool, domain: Option<&str>) -> &'static Encoding {
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
    detector.feed(bytes, is_all);
    // The detector refuses others.
    let domain = domain
        .filter(|domain| domain.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'));
    detector.guess(domain.map(str::as_bytes), Utf8Detection::Allow)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(encoding: Option<&'static Encoding>) -> &'static str {
        encoding.map_or("none", Encoding::name)
    }

    #[test]
    fn a_header_names_the_encoding() {
        for (header, encoding) in [
            ("text/html; charset=utf-8", "UTF-8"),
            ("text/html; foo=bar; Charset=\"ISO-8859-1\"", "windows-1252"),
            ("text/html;charset='koi8-r'", "KOI8-R"),
            ("text/html; charset=shift_jis; x", "Shift_JIS"),
            ("text/html", "none"),
            ("text/html; charset=", "none"),
            ("text/html; charset=nothing; charset=gbk", "GBK"),
            ("charset=utf-8", "none"),
        ] {
            assert_eq!(name(of_content_type(header)), encoding, "{header}");
        }
    }

    #[test]
    fn a_page_names_its_encoding() {
        for (page, encoding) in [
            ("<meta charset=windows-1251>", "windows-1251"),
            ("<META CharSet = 'GBK' />", "GBK"),
            ("<meta http-equiv=\"Content-Type\" content=\"text/html; charset=euc-kr\">", "EUC-KR"),
            ("<meta name=a><meta charset=\"utf-16\">", "UTF-8"),
            ("<meta charset=nothing><meta charset=big5>", "Big5"),
            ("<?xml version='1.0' encoding='iso-8859-2'?><meta charset=utf-8>", "ISO-8859-2"),
            (" <?xml version='1.0' encoding='iso-8859-2'?>", "none"),
            ("<meta charset", "none"),
            ("<meta", "none"),
            ("charset=utf-8", "none"),
            ("", "none"),
        ] {
            assert_eq!(name(within(page.as_bytes())), encoding, "{page}");
        }
    }

    #[test]
    fn what_names_none_is_guessed() {
        let russian = encoding_rs::WINDOWS_1251.encode("Привет, это страница о погоде и о природе").0;

        assert_eq!(guess(&russian, true, None), encoding_rs::WINDOWS_1251);
        assert_eq!(guess("Grüße aus Köln".as_bytes(), true, Some("DE")), UTF_8);
        assert_eq!(guess(b"", true, Some("x.y")), guess(b"", true, None));
    }
}
