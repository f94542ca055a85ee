//! Keys in the store. Made by us alone, never taken from a request.

use std::fmt;

/// A key: segments of safe characters between slashes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(String);

/// The text cannot be a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} cannot be a key")]
pub struct InvalidKey(pub String);

impl Key {
    /// Checks the segments: not empty, at most 255 bytes, no `.` in front, and only
    /// `A-Z a-z 0-9 . : _ - [ ]`. Ids of Matrix are such, so valid ids make valid keys.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidKey> {
        let text = text.into();
        if text.split('/').all(is_segment) { Ok(Self(text)) } else { Err(InvalidKey(text)) }
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_segment(segment: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".:_-[]".contains(&byte);
    (1..=255).contains(&segment.len()) && !segment.starts_with('.') && segment.bytes().all(allowed)
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_its_folder() {
        for text in ["", "/", "a//b", "../a", "a/..", "a/.b", "a\\b", "a%2fb", "a#1", "a b", &"x".repeat(256)] {
            assert!(Key::new(text).is_err(), "{text:?}");
        }
        for text in ["a", "records/[::1]:8448/aa/Zm_-9", "incoming/01J"] {
            assert!(Key::new(text).is_ok(), "{text:?}");
        }
    }
}
