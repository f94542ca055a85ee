//! Keys in the store. Made by us alone, never taken from a request.

use std::fmt;

use heliograph_types::StoreName;

/// Stands before the keys of all stores but the usual one.
const STORE: &str = "store";

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

    /// What the name of its store is, and the key there; `None` if it is one of the usual store.
    pub(crate) fn routed(&self) -> Option<(&str, &str)> {
        let rest = self.0.strip_prefix(STORE)?.strip_prefix('/')?;
        Some(rest.split_once('/').unwrap_or((rest, "")))
    }

    /// The key below a prefix.
    pub(crate) fn below(&self, prefix: &Self) -> Self {
        Self(format!("{prefix}/{self}"))
    }
}

/// Stands before all keys of one of several stores; those of the usual one have nothing in front.
pub fn store_prefix(store: &StoreName) -> Key {
    // The alphabet of names lies within that of keys.
    Key(format!("{STORE}/{store}"))
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

    #[test]
    fn a_key_says_in_which_store_it_is() {
        let prefix = store_prefix(&"eu".parse().unwrap());
        let routed =
            |text: &str| Key::new(text).unwrap().routed().map(|(name, rest)| (name.to_owned(), rest.to_owned()));

        assert_eq!(Key::new(prefix.as_str()), Ok(prefix));
        assert_eq!(routed("store/eu/blobs/a"), Some(("eu".to_owned(), "blobs/a".to_owned())));
        assert_eq!(routed("store/eu"), Some(("eu".to_owned(), String::new())));
        for usual in ["blobs/a", "stores/eu/a", "store", "a/store/eu/b"] {
            assert_eq!(routed(usual), None);
        }
    }
}
