//! The file name in a `Content-Disposition` header of strangers (RFC 6266, RFC 8187).

use heliograph_types::FileName;
use percent_encoding::percent_decode;

/// The name that a header gives, if any can be read. Never an error: `filename*` counts,
/// else `filename`; the disposition itself is ignored.
pub fn read_file_name(header: &[u8]) -> Option<FileName> {
    let parameters = read_parameters(header);
    let get = |name: &str| parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_slice());
    let extended = get("filename*").and_then(decode_extended);
    let plain = || get("filename").map(|value| String::from_utf8(value.to_vec()).unwrap_or_else(|_| latin1(value)));
    extended.or_else(plain).as_deref().and_then(FileName::new)
}

/// Names in lower case with their values, quotes and escapes taken away.
fn read_parameters(header: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut parameters = Vec::new();
    let mut rest = match header.iter().position(|byte| *byte == b';') {
        Some(end) => &header[end + 1..],
        None => return parameters,
    };
    while let Some(equals) = rest.iter().position(|byte| matches!(byte, b'=' | b';')) {
        let name = String::from_utf8_lossy(rest[..equals].trim_ascii()).to_ascii_lowercase();
        if rest[equals] == b';' {
            rest = &rest[equals + 1..];
            continue;
        }
        let (value, after) = read_value(rest[equals + 1..].trim_ascii_start());
        parameters.push((name, value));
        rest = after;
    }
    parameters
}

/// A quoted string or whatever ends at a semicolon; and what follows that semicolon.
fn read_value(text: &[u8]) -> (Vec<u8>, &[u8]) {
    let after = |from: &'_ [u8]| from.iter().position(|byte| *byte == b';').map_or(from.len(), |end| end + 1);
    let Some(quoted) = text.strip_prefix(b"\"") else {
        let end = text.iter().position(|byte| *byte == b';').unwrap_or(text.len());
        return (text[..end].trim_ascii().to_vec(), &text[after(text)..]);
    };
    let mut value = Vec::new();
    let mut bytes = quoted.iter().enumerate();
    while let Some((index, byte)) = bytes.next() {
        match byte {
            b'"' => {
                let rest = &quoted[index + 1..];
                return (value, &rest[after(rest)..]);
            }
            b'\\' => value.extend(bytes.next().map(|(_, byte)| *byte)),
            other => value.push(*other),
        }
    }
    (value, &[])
}

/// `charset'language'percent-encoded`.
fn decode_extended(value: &[u8]) -> Option<String> {
    let text = str::from_utf8(value).ok()?;
    let mut parts = text.splitn(3, '\'');
    let (charset, _language, encoded) = (parts.next()?, parts.next()?, parts.next()?);
    if !is_percent_encoded(encoded.as_bytes()) {
        return None;
    }
    let bytes: Vec<u8> = percent_decode(encoded.as_bytes()).collect();
    match charset.to_ascii_lowercase().as_str() {
        "utf-8" => String::from_utf8(bytes).ok(),
        "iso-8859-1" => Some(latin1(&bytes)),
        _ => None,
    }
}

/// Each `%` has two digits after it.
fn is_percent_encoded(text: &[u8]) -> bool {
    let is_hex = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_hexdigit);
    text.iter().enumerate().all(|(at, byte)| *byte != b'%' || (is_hex(text.get(at + 1)) && is_hex(text.get(at + 2))))
}

fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(header: &[u8]) -> Option<String> {
        read_file_name(header).map(|name| name.to_string())
    }

    #[test]
    fn names_are_read_in_every_form() {
        for (header, expected) in [
            (&b"inline; filename=report-2.pdf"[..], "report-2.pdf"),
            (b"attachment;FileName = \"my report; v2.pdf\" ; x=y", "my report; v2.pdf"),
            (br#"inline; filename="a\"b\\c""#, r#"a"b\c"#),
            (b"inline; filename*=utf-8''sp%C3%A4%C5%A5.png", "sp\u{e4}\u{165}.png"),
            (b"inline; filename=plain.txt; filename*=UTF-8'en'better.txt", "better.txt"),
            (b"inline; filename*=iso-8859-1''%E4.txt", "\u{e4}.txt"),
            (b"inline; filename*=utf-8''%zz; filename=plain.txt", "plain.txt"),
            (b"inline; filename*=utf-8''%ff; filename=plain.txt", "plain.txt"),
            (b"inline; filename*=koi8-r''%ff; filename=plain.txt", "plain.txt"),
            (b"inline; filename=\"sp\xc3\xa4t\"", "sp\u{e4}t"),
            (b"inline; filename=\"sp\xe4t\"", "sp\u{e4}t"),
            (b"form-data; odd; filename=\"a\r\nb\"", "ab"),
            (b"; filename=\"unclosed", "unclosed"),
            (b"inline; filename=100%25", "100%25"),
        ] {
            assert_eq!(name(header).as_deref(), Some(expected), "{}", String::from_utf8_lossy(header));
        }
    }

    #[test]
    fn what_cannot_be_read_is_no_name() {
        for header in
            [&b""[..], b"inline", b"inline; filename=", b"inline; filename=\"\"", b"filename=x", b"inline; filename*=x"]
        {
            assert_eq!(name(header), None, "{}", String::from_utf8_lossy(header));
        }
    }

    proptest! {
        #[test]
        fn reading_never_panics(header in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = read_file_name(&[b"inline;filename".as_slice(), &header].concat());
        }
    }
}
