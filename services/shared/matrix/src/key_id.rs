//! The name of a signing key.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// `ed25519:<version>`, the version of `A-Z a-z 0-9 _`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyId(String);

/// The text is no id of an Ed25519 key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a valid id of an ed25519 key")]
pub struct InvalidKeyId;

const ALGORITHM: &str = "ed25519:";
const LONGEST_KEY_ID: usize = 255;

impl KeyId {
    /// The id as text, with the algorithm.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// An id that no other key of this server has.
    pub(crate) fn random() -> Self {
        Self(format!("{ALGORITHM}h_{:08x}", rand::random::<u32>()))
    }

    /// The part after the algorithm.
    pub fn version(&self) -> &str {
        &self.0[ALGORITHM.len()..]
    }
}

impl FromStr for KeyId {
    type Err = InvalidKeyId;

    fn from_str(text: &str) -> Result<Self, InvalidKeyId> {
        let version = text.strip_prefix(ALGORITHM).ok_or(InvalidKeyId)?;
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if text.len() <= LONGEST_KEY_ID && !version.is_empty() && version.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidKeyId)
        }
    }
}

impl TryFrom<String> for KeyId {
    type Error = InvalidKeyId;

    fn try_from(text: String) -> Result<Self, InvalidKeyId> {
        text.parse()
    }
}

impl From<KeyId> for String {
    fn from(KeyId(text): KeyId) -> Self {
        text
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ed25519_with_a_plain_version_is_accepted() {
        assert_eq!("ed25519:a_1".parse::<KeyId>().map(|id| id.version().to_owned()), Ok("a_1".to_owned()));
        for text in ["", "ed25519", "ed25519:", "ed25519:a-b", "ED25519:1", "curve25519:1", "ed25519:ä"] {
            assert_eq!(text.parse::<KeyId>(), Err(InvalidKeyId), "{text}");
        }
    }
}
