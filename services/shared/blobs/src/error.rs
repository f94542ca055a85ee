//! Why the store did not do what was asked.

use std::error::Error;

use heliograph_types::{Failure, StoreName};

use crate::InvalidKey;

/// An error of the store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlobError {
    /// There is nothing under this key.
    #[error("{key} does not exist")]
    NotFound {
        /// The key.
        key: String,
    },
    /// Create-only, and there is something under this key.
    #[error("{key} exists already")]
    AlreadyExists {
        /// The key.
        key: String,
    },
    /// The disk or the bucket is full.
    #[error("no space left in the store: free some, or give it more")]
    Full,
    /// The store refused us.
    #[error("the store refuses access to {key}: {advice}")]
    Denied {
        /// The key.
        key: String,
        /// What to do about it.
        advice: &'static str,
    },
    /// Anything else; may pass by itself.
    #[error("the store failed on {key}: {source}")]
    Failed {
        /// The key.
        key: String,
        /// What the store said.
        source: Box<dyn Error + Send + Sync>,
    },
}

impl BlobError {
    /// True if there is nothing under the key.
    pub const fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    /// The same, and in which of several stores it was.
    pub(crate) fn in_store(mut self, name: &StoreName) -> Self {
        match &mut self {
            Self::NotFound { key }
            | Self::AlreadyExists { key }
            | Self::Denied { key, .. }
            | Self::Failed { key, .. } => *key = format!("{key} in store {name}"),
            Self::Full => {}
        }
        self
    }
}

/// Keys are made by us alone: one that cannot be is a fault of ours.
impl From<InvalidKey> for Failure {
    fn from(error: InvalidKey) -> Self {
        Self::internal(error.to_string())
    }
}

/// What the client learns: a missing blob is a missing medium, a failing store is an outage.
impl From<BlobError> for Failure {
    fn from(error: BlobError) -> Self {
        match error {
            BlobError::NotFound { .. } => Self::not_found(),
            BlobError::AlreadyExists { .. } => Self::internal(error.to_string()),
            BlobError::Full => Self::unavailable("the media store is full"),
            BlobError::Denied { .. } | BlobError::Failed { .. } => Self::unavailable("the media store is out of reach"),
        }
    }
}
