//! Bytes at rest: one interface over every store that `object_store` speaks to.
//!
//! Knows keys and bytes; knows nothing of records or media.

mod config;
mod error;
mod key;
mod local;
mod observed;
mod store;
#[cfg(test)]
mod suite;

use std::{path::Path, sync::Arc};

pub use config::{StorageConfig, StoreUrl};
pub use error::BlobError;
pub use key::{InvalidKey, Key};
pub use local::LocalStore;
pub use observed::{Observed, Observer};
pub use store::{BlobReader, BlobStore, BlobWriter, Listing};

/// Opens the store that the settings name; without one, the folder `media` in `data_folder`.
pub fn open_store(config: &StorageConfig, data_folder: &Path) -> Result<Arc<dyn BlobStore>, BlobError> {
    let folder = config.url.as_ref().map_or_else(|| data_folder.join("media"), |url| url.folder().to_owned());
    Ok(Arc::new(LocalStore::open(&folder, config)?))
}
