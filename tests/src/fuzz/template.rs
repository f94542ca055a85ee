//! A request with gaps for what differs from run to run: ids of media, tokens, signatures.
//!
//! As text, for the corpus: lines end with CRLF on the wire, the last line break of the file
//! is none, `\xNN` is a byte, `\\` a backslash, `{{name}}` a gap, and `# ` at the beginning of
//! the file says what it is about.

use std::fmt::Write;

use super::scene::Values;

/// Bytes with gaps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template(pub(crate) Vec<u8>);

impl Template {
    /// Reads the text of the corpus.
    pub(crate) fn parse(text: &str) -> Self {
        let body = text.lines().skip_while(|line| line.starts_with('#')).collect::<Vec<_>>().join("\r\n");
        let mut bytes = Vec::new();
        let mut rest = body.as_bytes();
        while let Some((first, after)) = rest.split_first() {
            match (first, after) {
                (b'\\', [b'\\', after @ ..]) => {
                    bytes.push(b'\\');
                    rest = after;
                }
                (b'\\', [b'x', high, low, after @ ..]) => {
                    let digits = [*high, *low];
                    bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
                    rest = after;
                }
                _ => {
                    bytes.push(*first);
                    rest = after;
                }
            }
        }
        Self(bytes)
    }

    /// As text that [`Self::parse`] reads.
    pub(crate) fn to_text(&self) -> String {
        let mut text = String::new();
        let mut rest = self.0.as_slice();
        while let Some((first, after)) = rest.split_first() {
            if let Some(after_line) = rest.strip_prefix(b"\r\n") {
                text.push('\n');
                rest = after_line;
                continue;
            }
            match first {
                b'\\' => text.push_str("\\\\"),
                b' '..=b'~' => text.push(char::from(*first)),
                other => write!(text, "\\x{other:02x}").unwrap(),
            }
            rest = after;
        }
        text.push('\n');
        text
    }

    /// The bytes to send. The signature comes last: it is one of the rest.
    pub(crate) fn expand(&self, values: &Values) -> Vec<u8> {
        let bytes = fill(&self.0, |name, before| values.find(name, before));
        let line = bytes.split(|byte| *byte == b'\r').next().unwrap_or_default();
        let line = String::from_utf8_lossy(line).into_owned();
        let mut words = line.split(' ');
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        fill(&bytes, |name, _| (name == "signed").then(|| values.sign(method, target)))
    }
}

/// Fills the gaps for which there is something; the others stay.
fn fill(bytes: &[u8], find: impl Fn(&str, &[u8]) -> Option<String>) -> Vec<u8> {
    let mut filled = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let gap = bytes[at..].strip_prefix(b"{{").and_then(|rest| {
            let length = rest.windows(2).take(20).position(|end| end == b"}}")?;
            let value = find(std::str::from_utf8(&rest[..length]).ok()?, &bytes[..at])?;
            Some((value, length + 4))
        });
        if let Some((value, length)) = gap {
            filled.extend_from_slice(value.as_bytes());
            at += length;
        } else {
            filled.push(bytes[at]);
            at += 1;
        }
    }
    filled
}
