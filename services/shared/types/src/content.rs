//! What is said of content: its type and its name.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize};

/// A media type of RFC 9110: `type/subtype` and optional parameters, kept as it was given.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct ContentType(String);

/// The text is not `type/subtype` of tokens, or cannot stand in a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a media type")]
pub struct InvalidContentType;

const LONGEST_CONTENT_TYPE: usize = 1024;

impl ContentType {
    /// The type of content of which nothing is known (MSC2701).
    pub fn octet_stream() -> Self {
        Self("application/octet-stream".to_owned())
    }

    /// The value if it is a media type, else `application/octet-stream`.
    pub fn parse_or_octet_stream(text: &str) -> Self {
        text.parse().unwrap_or_else(|InvalidContentType| Self::octet_stream())
    }

    /// As it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `type/subtype` in lower case, without parameters.
    pub fn essence(&self) -> String {
        let end = self.0.find(';').unwrap_or(self.0.len());
        self.0[..end].trim_end().to_ascii_lowercase()
    }
}

impl FromStr for ContentType {
    type Err = InvalidContentType;

    fn from_str(text: &str) -> Result<Self, InvalidContentType> {
        let text = text.trim_matches([' ', '\t']);
        let (essence, parameters) = text.split_once(';').unwrap_or((text, ""));
        let (kind, subtype) = essence.trim_end().split_once('/').ok_or(InvalidContentType)?;
        if text.len() <= LONGEST_CONTENT_TYPE && is_token(kind) && is_token(subtype) && are_parameters(parameters) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidContentType)
        }
    }
}

/// `name=value` pairs between semicolons; a value is a token or a quoted string.
fn are_parameters(text: &str) -> bool {
    let mut rest = text.trim_matches(BLANK);
    while !rest.is_empty() {
        let Some(after) = rest.strip_prefix(';').or_else(|| strip_parameter(rest)) else { return false };
        rest = after.trim_start_matches(BLANK);
    }
    true
}

const BLANK: [char; 2] = [' ', '\t'];

/// What comes after one parameter, which must be a semicolon or the end.
fn strip_parameter(text: &str) -> Option<&str> {
    let (name, value) = text.split_once('=')?;
    let length = if let Some(quoted) = value.strip_prefix('"') {
        1 + quoted_length(quoted)?
    } else {
        let end = value.find([';', ' ', '\t']).unwrap_or(value.len());
        is_token(&value[..end]).then_some(end)?
    };
    let after = value[length..].trim_start_matches(BLANK);
    (is_token(name) && (after.is_empty() || after.starts_with(';'))).then_some(after)
}

/// How long a quoted string is from behind its first quote, with its last one.
fn quoted_length(text: &str) -> Option<usize> {
    let mut bytes = text.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => return Some(at + 1),
            b'\\' => drop(bytes.next().filter(|(_, escaped)| (b' '..=b'~').contains(escaped))?),
            b'\t' | b' '..=b'~' => {}
            _ => return None,
        }
    }
    None
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

impl fmt::Display for ContentType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ContentType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A file name as people see it: any Unicode, never empty, without control characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FileName(String);

impl FileName {
    /// The name without control characters; `None` if nothing is left.
    pub fn new(text: &str) -> Option<Self> {
        let clean: String = text.chars().filter(|character| !character.is_control()).collect();
        (!clean.is_empty()).then_some(Self(clean))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn odd_but_valid_types_are_kept_as_given() {
        for text in ["img/png", "Text/Plain; charset=x", "application/vnd.a+json", "a/b;x=\"q \\\" ;\" ; y=z", "a/b;"] {
            assert_eq!(ContentType::parse_or_octet_stream(text).as_str(), text);
        }
    }

    #[test]
    fn what_is_no_media_type_becomes_octet_stream() {
        for text in [
            "",
            "png",
            "/",
            "a/",
            "image/png\r\nX: y",
            "image/p ng",
            "spät/x",
            "text/plain; x=ä",
            "text/plain;a",
            "a/b;c=\"d",
            "a/b;c=d e",
        ] {
            assert_eq!(ContentType::parse_or_octet_stream(text), ContentType::octet_stream(), "{text:?}");
        }
    }

    #[test]
    fn the_essence_is_lower_case_and_has_no_parameters() {
        assert_eq!(ContentType::parse_or_octet_stream("Text/Plain ; charset=X").essence(), "text/plain");
    }

    #[test]
    fn file_names_lose_their_control_characters() {
        assert_eq!(FileName::new("a\r\nb\0\u{85}").map(|name| name.as_str().to_owned()), Some("ab".to_owned()));
        assert_eq!(FileName::new("\r\n"), None);
    }

    proptest! {
        #[test]
        fn every_type_can_stand_in_a_header_and_is_read_as_itself(text in r#"[a-z/;=" \t\\,ä\r\n\x00]{0,30}|\PC{0,20}|[a-z]{1,3}/[a-z]{1,3}(; ?[a-z]{1,2}=([a-z]{1,3}|"(\\.|[ -~]){0,4}")){0,3}"#) {
            let kind = ContentType::parse_or_octet_stream(&text);

            prop_assert!(kind.as_str().bytes().all(|byte| byte == b'\t' || (b' '..=b'~').contains(&byte)), "{kind:?}");
            prop_assert_eq!(kind.as_str().parse(), Ok(kind.clone()));
            prop_assert!(kind.essence().split('/').count() == 2 && kind.essence().split('/').all(is_token), "{kind:?}");
        }

        #[test]
        fn file_names_never_break_a_line(text in any::<String>()) {
            let name = FileName::new(&text);

            prop_assert_eq!(name.is_none(), text.chars().all(char::is_control));
            if let Some(name) = name {
                prop_assert!(!name.as_str().chars().any(char::is_control));
                prop_assert_eq!(FileName::new(name.as_str()), Some(name));
            }
        }
    }
}
