//! What is known of a picture that was looked at.

use heliograph_blobs::{BlobError, BlobStore};
use heliograph_types::Mxc;
use serde::{Deserialize, Serialize};

use crate::picture_key;

/// More is none of ours.
const MOST_BYTES: u64 = 4 << 10;

/// What was seen when a picture was looked at. Derived from its content like a thumbnail, and
/// stored beside those: it can be removed at any time, and no record depends on it. The schema
/// only grows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PictureFacts {
    /// Pixels, as people see it: turned upright.
    pub width: u32,
    /// Likewise.
    pub height: u32,
    /// How long it moves, in milliseconds; 0 for one that stands still.
    #[serde(default)]
    pub duration_ms: u64,
    /// Its colors, blurred (MSC2448).
    pub blurhash: String,
}

impl PictureFacts {
    /// What is known of a medium. What cannot be read counts as unknown: it is found out anew.
    pub async fn find(blobs: &dyn BlobStore, mxc: &Mxc) -> Result<Option<Self>, BlobError> {
        match blobs.get(&picture_key(mxc), MOST_BYTES).await {
            Ok(json) => Ok(serde_json::from_slice(&json).ok()),
            Err(BlobError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// As it is stored.
    pub fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(self)
    }
}
